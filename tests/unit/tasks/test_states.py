"""The table of moves."""

from tasks.domain.states import MOVES, PROMOTABLE_HOLDS, TERMINAL, Hold, TaskStatus

CANCELLED, COMPLETED, DEAD_LETTER, FAILED = (
    TaskStatus.CANCELLED,
    TaskStatus.COMPLETED,
    TaskStatus.DEAD_LETTER,
    TaskStatus.FAILED,
)


def test_four_states_are_terminal():
    assert {COMPLETED, FAILED, CANCELLED, DEAD_LETTER} == TERMINAL


def test_only_retry_and_delete_start_from_a_terminal_state():
    assert {verb for verb, move in MOVES.items() if move.sources & TERMINAL} == {"retry", "delete"}


def test_a_completed_task_only_can_be_deleted():
    assert {verb for verb, move in MOVES.items() if COMPLETED in move.sources} == {"delete"}


def test_only_a_claim_starts_a_task():
    assert {verb for verb, move in MOVES.items() if TaskStatus.PROCESSING in move.targets} == {"claim"}


def test_every_state_can_be_reached_and_every_state_can_be_left():
    reached = frozenset().union(*(move.targets for move in MOVES.values()))
    left = frozenset().union(*(move.sources for move in MOVES.values()))

    assert reached == left == frozenset(TaskStatus)


def test_occurrences_of_schedules_are_not_for_the_promoter():
    assert {Hold.DUE, Hold.BACKOFF} == PROMOTABLE_HOLDS
