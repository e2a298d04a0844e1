"""What a running handler says, as it is handed over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dtq_site.foundation.clock import LeaseTimer
from tasks.domain.outcome import MAX_LINE_LENGTH
from tests.unit.workers.making import claimed
from tests.unit.workers.reporter_world import ScriptedTransport, World
from workers.runtime.sink import Sink


def test_of_a_line_or_an_error_of_any_length_no_more_is_handed_over_than_is_kept(tmp_path):
    world = World(tmp_path)
    (attempt,) = world.held.add([claimed(1)], LeaseTimer.sent_at())
    with ThreadPoolExecutor(1) as aside:
        sink = Sink(attempt, ScriptedTransport(), world.reporter, aside)

        sink.log("info", "l" * 5_000_000)
        sink.log("info", "\udc80" * MAX_LINE_LENGTH)
        sink.close("e" * 5_000_000)

    messages = [note.message for note in world.reporter._outbox.notes]
    assert messages == ["l" * MAX_LINE_LENGTH, "\\udc80" * (MAX_LINE_LENGTH // 6) + "\\udc"[:4], "e" * MAX_LINE_LENGTH]
