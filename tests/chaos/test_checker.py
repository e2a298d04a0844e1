"""The checker itself on trial: doctored journals and rows, one lie at a time, and truths that look like lies."""

from __future__ import annotations

import pytest

from tests.chaos.checker import RULES, judge
from tests.chaos.doctored import broken, ended, evidence, ran, row
from tests.chaos.evidence import Accepted, Asked, Ending, Evidence, Execution, Exit, SeenLease


def test_a_run_in_which_all_is_well_breaks_no_rule_and_every_fact_is_judged():
    found = evidence(row(queued_at=9.0), calm=[(0.0, 100.0)])

    findings = {finding.rule: finding.judged for finding in judge(found)}

    assert broken(found) == set()
    assert findings == {**dict.fromkeys(RULES, 1), "crashed": 0, "lost": 2, "idempotency": 2, "double": 2, "overlap": 0}


@pytest.mark.parametrize("code", [0, 1, -11])
def test_a_process_that_ends_of_itself_is_told(code: int):
    assert broken(evidence(exits=[Exit("scheduler-0", code, "Traceback …", ends=False)])) == {"crashed"}


def test_a_process_may_be_killed_and_a_client_may_come_to_its_end():
    exits = [Exit("scheduler-0", -9, "", ends=False), Exit("client", 0, "", ends=True)]

    assert broken(evidence(exits=exits)) == set()
    assert broken(evidence(exits=[Exit("client", 1, "Traceback …", ends=True)])) == {"crashed"}


# --- nothing is lost ------------------------------------------------------------------------------------------------


def test_an_accepted_task_without_a_row_is_lost():
    assert broken(evidence(accepted=[Accepted("a", 1), Accepted("b", 2)])) == {"lost"}


def test_what_was_asked_for_and_never_acknowledged_is_lost():
    assert broken(evidence(asked={1: Asked(1, "k", 0.0), 2: Asked(2, None, 0.0)})) == {"lost"}


def test_a_child_that_a_handler_was_told_of_and_that_has_no_row_is_lost():
    assert broken(evidence(accepted=[Accepted("a", 1), Accepted("b")])) == {"lost"}


@pytest.mark.parametrize("status", ["PENDING", "QUEUED", "PROCESSING"])
def test_a_task_that_has_not_ended_is_unfinished(status: str):
    stuck = row(status=status, attempts=0, settled_token=0, result=None)

    assert broken(evidence(stuck, executions=[])) == {"unfinished"}


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "DEAD_LETTER"])
def test_an_end_that_the_handler_does_not_lead_to_is_told(status: str):
    assert "state" in broken(evidence(row(status=status)))


def test_a_cancellation_that_was_acknowledged_must_stand():
    cancelled = row(status="CANCELLED", settled_token=0, result=None)

    assert broken(evidence(cancelled, cancelled=frozenset({"a"}))) == set()
    assert broken(evidence(row(), cancelled=frozenset({"a"}))) == {"state"}


def test_a_dead_letter_of_lost_leases_needs_as_many_losses():
    dead = row(status="DEAD_LETTER", error="worker lost: …", attempts=3, lost_leases=4, settled_token=0, max_retries=20)
    deaths = [ran(token, 10.0 * token, 10.0 * token, None) for token in (1, 2, 3, 4)]
    losses = [ended("lost", token, 10.0 * token + 1) for token in (1, 2, 3, 4)]

    assert broken(evidence(dead, executions=deaths, endings=losses)) == set()
    assert broken(evidence(dead, executions=deaths[:3], endings=losses[:3])) == {"state"}


def test_a_dead_letter_whose_attempts_were_used_up_by_losses_is_right():
    dead = row(status="DEAD_LETTER", error="worker lost: …", attempts=1, lost_leases=1, settled_token=0, max_retries=0)

    assert broken(evidence(dead, executions=[ran(how=None)], endings=[ended("lost")])) == set()


def test_a_poison_that_did_not_end_as_a_lost_worker_is_told():
    dead = row(name="poison", status="DEAD_LETTER", error="hopeless", failures=1)

    assert broken(evidence(dead, executions=[ran(how="RuntimeError")], endings=[ended("failed")])) == {"state"}


def test_one_key_is_one_row_and_one_answer():
    twin = row("b")

    assert broken(evidence(row(), twin, executions=[ran(), Execution("b", 1, ran().sights, "returned", "1:x")])) == {
        "idempotency"
    }
    assert broken(evidence(accepted=[Accepted("a", 1), Accepted("c", 1)])) == {"idempotency", "lost"}


def test_without_a_key_an_unanswered_request_may_leave_a_second_row():
    again = Execution("b", 1, ran().sights, "returned", "1:x")
    found = evidence(row(key=None), row("b", key=None), asked={1: Asked(1, None, 0.0)}, executions=[ran(), again])

    assert broken(found) == set()


# --- one result -----------------------------------------------------------------------------------------------------


def test_two_executions_of_one_claim_are_told():
    assert broken(evidence(executions=[ran(), ran(begun=20.0, seen=21.0)])) == {"double"}


@pytest.mark.parametrize("ending", ["failed", "discarded"])
def test_a_completion_beside_another_outcome_of_the_same_claim_is_told(ending: str):
    assert "double" in broken(evidence(endings=[ended(ending)]))


def test_two_losses_of_one_claim_are_told():
    later = row(settled_token=2, result="2:x", attempts=2)
    found = evidence(later, executions=[ran(), ran(2, 20.0, 21.0)], endings=[ended("lost"), ended("lost", at=13.0)])

    assert "double" in broken(found)


def test_a_lost_lease_may_still_complete_and_a_refused_report_is_no_outcome():
    assert broken(evidence(endings=[ended("lost"), ended("refused", at=13.0)])) == set()


@pytest.mark.parametrize(
    "executions",
    [
        [],
        [ran(how=None)],
        [ran(how="Retry")],
        [ran(2)],
        [Execution("a", 1, ran().sights, "returned", "of another")],
    ],
)
def test_a_result_must_be_that_of_the_execution_with_the_settled_token(executions: list[Execution]):
    assert "result" in broken(evidence(executions=executions))


def test_a_failure_must_be_that_of_an_execution_that_raised():
    failed = row(name="useless", status="FAILED", result=None)

    assert broken(evidence(failed, executions=[ran(how="Discard")], endings=[ended("discarded")])) == set()
    assert broken(evidence(failed, executions=[ran()], endings=[ended("discarded")])) == {"result"}


@pytest.mark.parametrize("how", ["returned", "Retry", None])
def test_an_execution_of_which_nothing_is_on_record_is_told(how: str | None):
    executions = [ran(how=how), ran(2, 20.0, 21.0)]
    settled = row(settled_token=2, result="2:x", attempts=2)

    assert broken(evidence(settled, executions=executions)) == {"vanished"}
    assert broken(evidence(settled, executions=executions, endings=[ended("lost")])) == set()


# --- one at a time --------------------------------------------------------------------------------------------------


def overlapping(*, leased: bool = False, lost_at: float | None = 14.0, leases: tuple[SeenLease, ...] = ()) -> Evidence:
    """Token 1 runs from 10 to 20, token 2 from 15 to 16."""
    settled = row(settled_token=2, result="2:x", attempts=2)
    losses = [] if lost_at is None else [ended("lost", at=lost_at)]
    executions = [ran(1, 10.0, 20.0, leased=leased), ran(2, 15.0, 16.0)]
    return evidence(settled, executions=executions, endings=[*losses, ended("refused", at=20.0)], leases=leases)


def test_executions_may_overlap_after_the_earlier_lease_was_lost():
    assert broken(overlapping(leases=(SeenLease("a", 1, 13.0), SeenLease("a", 2, 18.0)))) == set()


def test_an_overlap_while_the_earlier_one_trusts_its_lease_is_told():
    assert broken(overlapping(leased=True)) == {"overlap"}


def test_an_overlap_within_the_lease_that_the_row_named_is_told():
    assert broken(overlapping(leases=(SeenLease("a", 1, 15.5), SeenLease("a", 1, 13.0)))) == {"overlap"}


@pytest.mark.parametrize("lost_at", [None, 15.5])
def test_an_overlap_without_a_loss_before_it_is_told(lost_at: float | None):
    assert broken(overlapping(lost_at=lost_at)) == {"overlap"}


def test_a_killed_execution_is_known_to_have_run_until_it_was_last_seen_only():
    settled = row(settled_token=2, result="2:x", attempts=2)
    executions = [ran(1, 10.0, 14.0, None), ran(2, 15.0, 16.0)]
    found = evidence(settled, executions=executions, endings=[ended("lost", at=14.5)], leases=[SeenLease("a", 1, 17.0)])

    assert broken(found) == set()


# --- never early ----------------------------------------------------------------------------------------------------


def test_a_start_before_the_due_time_is_told():
    assert broken(evidence(asked={1: Asked(1, "k", 10.0)})) == set()
    assert broken(evidence(asked={1: Asked(1, "k", 10.1)})) == {"early"}


@pytest.mark.parametrize(("third", "expected"), [(16.0, set()), (15.9, {"early"})])
def test_each_failure_doubles_the_wait(third: float, expected: set[str]):
    settled = row(settled_token=3, result="3:x", attempts=3, failures=2)
    executions = [ran(1, 10.0, 11.0, "Retry"), ran(2, 13.0, 13.5, "Retry"), ran(3, third, third + 1)]
    failures = [ended("failed", 1, 12.0), ended("failed", 2, 14.0)]

    assert broken(evidence(settled, executions=executions, endings=failures)) == expected


@pytest.mark.parametrize(("third", "expected"), [(25.0, set()), (24.9, {"early"})])
def test_a_first_lost_lease_costs_no_wait_and_a_second_does(third: float, expected: set[str]):
    settled = row(settled_token=3, result="3:x", attempts=3, lost_leases=2)
    executions = [ran(1, 10.0, 11.0, None), ran(2, 14.0, 15.0, None), ran(3, third, third + 1)]
    losses = [ended("lost", 1, 14.0), ended("lost", 2, 24.0)]

    assert broken(evidence(settled, executions=executions, endings=losses)) == expected


def test_a_loss_of_what_never_started_costs_no_wait():
    settled = row(settled_token=3, result="3:x", attempts=1, lost_leases=1)
    losses = [ended("lost", 1, 14.0), ended("lost", 2, 24.0)]

    assert broken(evidence(settled, executions=[ran(3, 24.0, 25.0)], endings=losses)) == set()


# --- attempts -------------------------------------------------------------------------------------------------------


def test_more_attempts_than_the_task_has_are_told():
    settled = row(settled_token=2, result="2:x", attempts=2, failures=1, max_retries=0)
    executions = [ran(1, 10.0, 11.0, "Retry"), ran(2, 20.0, 21.0)]

    assert broken(evidence(settled, executions=executions, endings=[ended("failed")])) == {"attempts"}


def test_failures_that_are_not_on_record_are_told():
    assert broken(evidence(row(failures=1))) == {"attempts"}


def test_a_task_is_not_charged_for_a_claim_that_never_started():
    settled = row(settled_token=2, result="2:x", attempts=2)

    assert broken(evidence(settled, executions=[ran(2)], endings=[ended("lost", 1, 9.0)])) == {"charged"}


def test_a_start_noted_beforehand_may_be_charged():
    twice = row(settled_token=3, result="3:x", attempts=2)
    losses = [ended("lost", 1, 8.0), ended("lost", 2, 9.0)]
    only = row(status="DEAD_LETTER", error="worker lost: …", settled_token=0, max_retries=0)

    assert broken(evidence(twice, executions=[ran(3)], endings=losses)) == set()
    assert broken(evidence(only, executions=[], endings=[ended("lost")])) == set()


@pytest.mark.parametrize(
    ("deaths", "expected"), [(0, set()), (1, set()), (2, {"charged"})], ids=["free", "one slot", "all slots"]
)
def test_a_start_that_had_a_slot_when_its_process_died_may_be_charged(deaths: int, expected: set[str]):
    settled = row(settled_token=2, result="2:x", attempts=2)
    others = [row(str(number), number=None, key=None, settled_token=2, result="2:x") for number in range(deaths)]
    killed = [Execution(each.task, 1, ran(begun=7.0, seen=8.0).sights) for each in others]
    again = [Execution(each.task, 2, ran().sights, "returned", "2:x") for each in others]
    losses = [Ending(each.task, 1, "lost", 9.0, "worker") for each in others]
    found = evidence(
        settled, *others, executions=[ran(2), *killed, *again], endings=[ended("lost", 1, 9.0, "worker"), *losses]
    )

    assert broken(found) == expected
