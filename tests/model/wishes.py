"""What tasks people may want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import strategies as st

from tasks.domain.submission import Request
from tasks.domain.workflow import OnFailure
from tests.model.world import NAMES, QUEUES


def wanted(data: st.DataObject, others: Sequence[str], now: datetime) -> list[Request]:
    """Up to three tasks; half of them need one or two of the `others`, if there are any."""
    needs = st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True) if others else st.none()
    request = st.builds(
        Request,
        name=st.sampled_from(NAMES),
        queue=st.sampled_from(QUEUES),
        priority=st.sampled_from([5, 5, 1, 20]),
        max_retries=st.integers(0, 2),
        scheduled_at=st.sampled_from([None, None, now + timedelta(seconds=3)]),
        depends_on=st.none() | needs,
    )
    drawn = data.draw(st.lists(request, min_size=1, max_size=3))
    on_failure = st.sampled_from([None, *OnFailure])
    return [replace(each, on_dependency_failure=data.draw(on_failure)) if each.depends_on else each for each in drawn]
