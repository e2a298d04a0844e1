"""Leaves the bodies of requests to the application.

Twisted, under Daphne, reads every form itself, for nothing: what it cannot read it answers with 400 and no word before the
application sees it, and of all else it keeps a second copy.
"""

from __future__ import annotations

from functools import partial

from daphne import http_protocol


def leave_bodies_alone() -> None:
    """Have Daphne, if it serves this process, hand over every body as it came."""
    http_protocol.WebRequest = partial(http_protocol.WebRequest, parsePOSTFormSubmission=False)
