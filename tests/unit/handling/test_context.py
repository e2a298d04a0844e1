"""The context: what it tells, what it passes on, and when it ends the attempt."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta, timezone

import pytest

from tasks import PayloadMismatch, TaskCancelled, TaskContext, TimeLimitExceeded, task
from tasks.handling.port import EnqueueRequest
from tests.support.handlers import START, RecordingSink, make_context


class Watch:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_the_context_tells_the_facts_of_its_attempt():
    context = make_context(
        RecordingSink(), task_id="0190", attempt=2, timeout_seconds=30,
        started_at=START.astimezone(timezone(timedelta(hours=5))),
    )  # fmt: skip

    assert (context.task_id, context.name, context.attempt, context.fencing_token) == ("0190", "made-up", 2, 7)
    assert context.deadline == START + timedelta(seconds=30)
    assert context.deadline.tzinfo is UTC


def test_the_remaining_time_runs_on_the_elapsed_clock():
    watch = Watch()
    context = make_context(RecordingSink(), elapsed=watch, timeout_seconds=30)

    watch.seconds += 29
    before = context.remaining_seconds
    watch.seconds += 2

    assert (before, context.remaining_seconds) == (1.0, -1.0)


def test_log_lines_and_progress_reach_the_sink():
    sink = RecordingSink()
    context = make_context(sink)

    context.log("half way")
    context.log(12, level="warning")
    context.progress(0)
    context.progress(99.5)

    assert sink.told == [("info", "half way"), ("warning", "12"), 0, 99.5]


def test_results_are_read_once_and_only_when_asked_for():
    sink = RecordingSink()
    context = make_context(sink)
    before = list(sink.told)

    assert context.results is context.results == {"fetch-page": 3, "fetch-page-2": 4}
    assert (before, sink.told) == ([], ["results"])


def test_a_cancelled_attempt_gets_no_results():
    sink = RecordingSink()
    sink.cancelled = True

    with pytest.raises(TaskCancelled):
        _ = make_context(sink).results

    assert sink.told == []


@pytest.mark.parametrize("percent", [-1, 100.1, float("nan")])
def test_progress_outside_its_range_is_refused(percent):
    sink = RecordingSink()

    with pytest.raises(ValueError) as refused:
        make_context(sink).progress(percent)

    assert str(refused.value) == f"progress is from 0 to 100, not {percent!r}"
    assert sink.told == []


def test_a_level_that_is_not_known_is_refused():
    sink = RecordingSink()

    with pytest.raises(ValueError) as refused:
        make_context(sink).log("hello", level="loud")

    assert str(refused.value) == "'loud' is no level: use one of debug, info, warning, error"
    assert sink.told == []


@pytest.mark.parametrize(
    "speak", [TaskContext.checkpoint, lambda context: context.log("x"), lambda context: context.progress(1)]
)
def test_speaking_ends_a_cancelled_attempt(speak):
    sink = RecordingSink()
    context = make_context(sink)
    speak(context)
    assert not context.cancelled

    sink.cancelled = True

    assert context.cancelled
    with pytest.raises(TaskCancelled) as ended:
        speak(context)
    assert str(ended.value) == "The task was cancelled, or is another worker's now."


def test_a_checkpoint_ends_an_attempt_at_its_deadline():
    watch = Watch()
    context = make_context(RecordingSink(), elapsed=watch, timeout_seconds=30)
    context.checkpoint()

    watch.seconds += 30

    with pytest.raises(TimeLimitExceeded):
        context.checkpoint()


def test_the_last_words_of_an_attempt_are_kept():
    sink = RecordingSink()
    sink.cancelled = True

    with pytest.raises(TaskCancelled):
        make_context(sink).log("cleaning up")

    assert sink.told == [("info", "cleaning up")]


def test_a_handler_that_swallows_exceptions_is_ended_all_the_same():
    sink = RecordingSink()
    context = make_context(sink)
    done = []

    def handler():
        for item in range(5):
            try:
                context.checkpoint()
                done.append(item)
                sink.cancelled = item == 1
            except Exception:
                done.append("swallowed")

    with pytest.raises(TaskCancelled):
        handler()
    assert done == [0, 1]


def test_an_untrusted_lease_is_told_and_ends_nothing():
    sink = RecordingSink()
    context = make_context(sink)
    assert context.lease_valid

    sink.leased = False
    context.checkpoint()

    assert not context.lease_valid


def test_a_context_serves_async_handlers():
    sink = RecordingSink()
    context = make_context(sink)

    async def handler():
        context.progress(50)
        await asyncio.sleep(0)
        sink.cancelled = True
        await asyncio.to_thread(context.checkpoint)

    with pytest.raises(TaskCancelled):
        asyncio.run(handler())
    assert sink.told == [50]


def test_enqueue_passes_name_payload_and_options():
    sink = RecordingSink()

    made = make_context(sink).enqueue("other", {"a": 1}, priority="HIGH", idempotency_key="k")

    assert made == "made"
    assert sink.told == [EnqueueRequest("other", {"a": 1}, priority="HIGH", idempotency_key="k")]


def test_enqueue_checks_the_payload_of_a_handler_that_is_known_here():
    @task("mail")
    def mail(email): ...

    sink = RecordingSink()

    with pytest.raises(PayloadMismatch):
        make_context(sink).enqueue("mail")
    with pytest.raises(TypeError, match="colour"):
        make_context(sink).enqueue("mail", {"email": "a@b.c"}, colour="red")

    assert sink.told == []


def test_a_cancelled_attempt_enqueues_nothing():
    sink = RecordingSink()
    sink.cancelled = True

    with pytest.raises(TaskCancelled):
        make_context(sink).enqueue("other")

    assert sink.told == []
