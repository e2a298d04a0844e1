"""Where this process's APIs tell of their own faults: the log, under an id that the client gets too."""

from __future__ import annotations

import secrets

from dtq_site.foundation.faults import Faults
from dtq_site.foundation.logging import log_events
from dtq_site.foundation.observer import Observer


def new_id() -> str:
    """An id for a request or a fault, for a person to read out."""
    return secrets.token_hex(8)


faults = Faults(Observer(log_events("dtq.api")), new_id)
