"""From what a handler returned or raised to the outcome that is reported."""

from __future__ import annotations

from uuid import UUID

import pytest

from tasks import Discard, PayloadMismatch, Retry, TaskCancelled, TimeLimitExceeded
from tasks.domain.lease import Lease, LeasedTask
from tasks.domain.outcome import Outcome, OutcomeKind
from workers.runtime.ending import judge

LEASE = Lease(UUID(int=1), 7, UUID(int=2))
TASK = LeasedTask(LEASE, "mail", {}, 1, 30.0, 15.0, False, UUID(int=3))


class Unspeakable(Exception):
    """Its text cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def ended(result: object = None, raised: BaseException | None = None, to_end: bool = False) -> Outcome | None:
    return judge(TASK, 0.5, result=result, raised=raised, to_end=to_end)


def test_what_a_handler_returns_is_copied_into_the_outcome():
    result = {"rows": [1, 2.5, "ü", None, True]}

    outcome = ended(result)
    result["rows"].append("later")

    assert outcome == Outcome(LEASE, OutcomeKind.COMPLETED, 0.5, result={"rows": [1, 2.5, "ü", None, True]})


@pytest.mark.parametrize(
    ("raised", "kind", "error"),
    [
        (ValueError("no luck"), OutcomeKind.FAILED, "ValueError: no luck"),
        (ValueError(), OutcomeKind.FAILED, "ValueError"),
        (SystemExit(3), OutcomeKind.FAILED, "SystemExit: 3"),
        (Unspeakable(), OutcomeKind.FAILED, "Unspeakable, whose text cannot be told"),
        (TimeLimitExceeded(), OutcomeKind.FAILED, "TimeLimitExceeded: the attempt ran longer than its limit of 30 s"),
        (Discard("gone for good"), OutcomeKind.DISCARDED, "gone for good"),
        (PayloadMismatch("'to' is missing"), OutcomeKind.DISCARDED, "'to' is missing"),
    ],
)
def test_what_a_handler_raises_decides_what_follows(raised: BaseException, kind: OutcomeKind, error: str):
    assert ended(raised=raised) == Outcome(LEASE, kind, 0.5, error=error)


def test_a_handler_may_choose_its_own_wait():
    assert ended(raised=Retry(2.5, "busy")) == Outcome(
        LEASE, OutcomeKind.FAILED, 0.5, error="busy", retry_delay_seconds=2.5
    )


def test_a_cancelled_attempt_has_no_outcome_and_one_that_only_says_so_has_failed():
    assert ended(raised=TaskCancelled(), to_end=True) is None
    outcome = ended(raised=TaskCancelled())
    assert outcome is not None and outcome.kind is OutcomeKind.FAILED and "TaskCancelled" in outcome.error


def test_a_result_that_is_no_json_is_discarded_and_says_why():
    outcome = ended({"when": object()})

    assert outcome is not None and outcome.kind is OutcomeKind.DISCARDED
    assert outcome.error.startswith("result cannot be stored: it contains an object of type object")
