"""Samples of the sums: how they are taken and thinned out, and the history that they tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.roles import Role
from scheduling import samples
from scheduling.duties.sampler import Sampler
from scheduling.models import MetricSample
from scheduling.samples import QueueState
from tasks import metrics
from tasks.domain.states import TaskStatus
from tests.integration.graphql.making import data, make_identity, refusal
from tests.integration.scheduling.performing import make_duty
from tests.support.factories import START, after, create, in_state, waiting

HOUR = timedelta(hours=1)
HISTORY = """query ($seconds: Int, $after: DateTime) { history(seconds: $seconds, after: $after) {
    stepSeconds at seconds created completed failed deadLettered cancelled retried lost
    wait { p50 p95 p99 } run { p50 p95 p99 } queues { name depth oldestSeconds }
    totals { seconds created completed runP50 } } }"""

TOTALS = "{ history { totals { completed } } }"


def take(seconds: float, **queues: tuple[int, float]) -> bool:
    return samples.take({name: QueueState(*state) for name, state in queues.items()}, after(seconds))


def moments() -> list[float]:
    taken = MetricSample.objects.order_by("taken_at").values_list("taken_at", flat=True)
    return [(each - START).total_seconds() for each in taken]


def count(*labels: str) -> None:
    metrics.record({(metrics.ENTERED, label): 1 for label in labels})


def test_a_stretch_of_the_shortest_step_has_one_sample_whoever_asks():
    assert [take(0), take(4), take(9.9), take(10), take(10)] == [True, False, False, True, False]
    assert moments() == [0, 10]


def test_what_happened_is_the_difference_of_two_samples_and_the_last_stretch_ends_now():
    count("COMPLETED")
    take(0, mail=(3, 2.5))
    count("COMPLETED", "FAILED")
    take(10, mail=(1, 0.5), idle=(0, 0.0))
    count("DEAD_LETTER")

    told = samples.history(HOUR, after(14))

    assert told.step == 10
    assert [(stretch.at, stretch.seconds) for stretch in told.stretches] == [(after(10), 10), (after(14), 4)]
    entered = [stretch.sums[metrics.ENTERED] for stretch in told.stretches]
    assert entered[0] == {"COMPLETED": 1, "FAILED": 1}
    assert entered[1] == {"COMPLETED": 0, "FAILED": 0, "DEAD_LETTER": 1}
    assert told.stretches[0].queues == {"mail": QueueState(1, 0.5)}
    assert told.whole is not None
    assert told.whole.seconds == 14
    assert told.whole.count(metrics.ENTERED) == 3


def test_only_what_is_new_is_told_after_a_moment_and_the_whole_is_told_all_the_same():
    for seconds in (0, 10, 20, 30):
        count("COMPLETED")
        take(seconds)

    told = samples.history(HOUR, after(31), after=after(20))

    assert [stretch.at for stretch in told.stretches] == [after(30), after(31)]
    assert told.whole is not None
    assert told.whole.count(metrics.ENTERED) == 3


def test_the_samples_from_before_that_moment_are_not_read_but_for_the_first(monkeypatch: pytest.MonkeyPatch):
    for seconds in range(0, 3600, 10):
        take(seconds)
    made: list[Any] = []
    make = samples._Sample
    monkeypatch.setattr(samples, "_Sample", lambda *row: made.append(row) or make(*row))

    told = samples.history(HOUR, after(3600), after=after(3570))

    assert [stretch.at for stretch in told.stretches] == [after(3580), after(3590), after(3600)]
    assert told.whole is not None
    assert told.whole.seconds == 3600
    assert len(made) == 5  # the first of all, the one at that moment, two, and the present


def test_where_no_scheduler_ran_a_stretch_is_longer_and_nothing_is_lost():
    take(0)
    count("COMPLETED", "CANCELLED")
    take(1000)

    told = samples.history(HOUR, after(1010))

    assert [(stretch.seconds, stretch.count(metrics.ENTERED)) for stretch in told.stretches] == [(1000, 2), (10, 0)]


def test_two_samples_of_one_moment_are_told_as_one():
    for _ in range(2):  # as two schedulers do that both lead for a moment
        MetricSample.objects.create(taken_at=START, step=3600, sums={}, queues={})
    take(10)

    assert [stretch.at for stretch in samples.history(HOUR, after(12)).stretches] == [after(10), after(12)]


def test_the_past_grows_coarser_and_no_count_is_lost_by_it():
    for seconds in range(0, 7260, 10):
        count("COMPLETED")
        take(seconds)
    fine = samples.history(timedelta(hours=2), after(7200)).whole
    assert fine is not None

    removed = samples.forget(after(7260 + 7200))

    kept = moments()
    assert removed == 726 - 121
    assert kept == list(range(0, 7260, 60))
    coarse = samples.history(timedelta(hours=6), after(7260))
    assert coarse.step == 60
    assert sum(stretch.count(metrics.ENTERED) for stretch in coarse.stretches) == fine.count(metrics.ENTERED) == 725


def test_of_many_queues_the_deepest_are_kept_and_of_empty_ones_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "MOST_QUEUES", 2)

    take(0, a=(1, 1.0), b=(7, 2.04), c=(3, 3.0), d=(0, 0.0))

    assert MetricSample.objects.get().queues == {"b": [7, 2.0], "c": [3, 3.0]}


def test_the_duty_takes_samples_at_full_periods_of_the_clock():
    create(queue="mail")
    waiting(queue="mail")
    duty, _ = make_duty(Sampler)

    rests = [duty.perform(after(seconds)) for seconds in (3.0, 10.0, 10.5)]

    assert rests == pytest.approx([7.0, 10.0, 9.5])
    assert moments() == [3, 10]
    assert MetricSample.objects.order_by("-taken_at")[0].queues == {"mail": [1, 10.0]}
    assert duty.progress.account.treated == 2


def ask(seconds: int | None = None, **variables: Any) -> dict[str, Any]:
    return data(HISTORY, make_identity(Role.VIEWER), seconds=seconds, **variables)["history"]


def test_the_api_tells_it_in_columns():
    from dtq_site.foundation.database import database_clock

    now = database_clock.now()
    samples.take({"mail": QueueState(4, 9.0)}, now - timedelta(seconds=40))
    in_state(TaskStatus.COMPLETED)
    in_state(TaskStatus.DEAD_LETTER)
    samples.take({"mail": QueueState(2, 1.0)}, now - timedelta(seconds=20))

    told = ask(300)

    assert told["stepSeconds"] == 10
    assert len(told["at"]) == 2
    assert told["seconds"][0] == pytest.approx(20)
    assert [told[name] for name in ("created", "completed", "deadLettered")] == [[2, 0], [1, 0], [1, 0]]
    assert [told[name] for name in ("failed", "cancelled", "retried", "lost")] == [[0, 0]] * 4
    assert told["run"]["p50"] == [pytest.approx(0.375, abs=0.13), None]
    assert told["queues"] == [{"name": "mail", "depth": [2, 2], "oldestSeconds": [1.0, 1.0]}]
    assert (told["totals"]["created"], told["totals"]["completed"]) == (2, 1)
    assert ask(300, after=told["at"][0])["at"][:-1] == []


def test_the_totals_go_beyond_32_bits():
    from dtq_site.foundation.database import database_clock

    samples.take({}, database_clock.now() - timedelta(seconds=40))
    metrics.record({(metrics.ENTERED, "COMPLETED"): 3_000_000_000})

    assert samples.history(HOUR, database_clock.now()).whole.count(metrics.ENTERED) == 3_000_000_000
    assert data(TOTALS, make_identity(Role.VIEWER))["history"] == {"totals": {"completed": 3_000_000_000}}


def test_without_a_sample_there_is_nothing_to_tell():
    told = ask()

    assert (told["at"], told["queues"], told["totals"]) == ([], [], None)


@pytest.mark.parametrize("seconds", [0, 59, 90 * 86_400 + 1])
def test_a_range_that_is_not_kept_is_refused(seconds: int):
    assert refusal(HISTORY, make_identity(Role.VIEWER), seconds=seconds) == ("BAD_USER_INPUT", "seconds")


def test_one_operation_asks_for_few_histories():
    aliases = " ".join(f"{name}: history(seconds: 7776000) {{ stepSeconds }}" for name in "abcde")

    assert refusal(f"{{ {aliases} }}", make_identity(Role.VIEWER)) == ("QUERY_TOO_COMPLEX", None)
