"""What clients learn of an exception: an error of ours as it is, a database that is away or busy as such, all else masked."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from dtq_site.foundation.connections import is_unavailable
from dtq_site.foundation.database import is_lock_conflict
from dtq_site.foundation.errors import DTQError, Unavailable
from dtq_site.foundation.observer import Observer


class Faults:
    """Masks what is our own fault: the client gets an id, the observer the same id with the trace."""

    def __init__(self, observer: Observer, new_id: Callable[[], str]) -> None:
        self._observer = observer
        self._new_id = new_id

    def shown(self, error: Exception, event: str, **facts: Any) -> DTQError:
        """The error that the client may see in place of `error`; a fault of ours is emitted as `event` with `facts`."""
        if is_unavailable(error) or is_lock_conflict(error):
            return Unavailable()
        if isinstance(error, DTQError) and error.code != DTQError.code:
            return error
        error_id = self._new_id()
        trace = "".join(traceback.format_exception(error))
        self._observer.emit(event, id=error_id, **facts, error=repr(error), trace=trace)
        return DTQError("Something went wrong on our side.", id=error_id)
