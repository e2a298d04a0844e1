"""What is read back of a journal, and what is made of its lines."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.chaos import evidence
from tests.chaos.evidence import Accepted, Asked, Execution, Sight
from tests.chaos.journal import Journal, Witness, read
from tests.support.handlers import RecordingSink, make_context

LINE = {"event": "a", "number": 1}
TASK = "0190c2a0-0000-7000-8000-000000000001"


def test_each_process_has_a_file_of_its_own(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.write(LINE)

    forked = multiprocessing.get_context("fork").Process(target=journal.write, args=({"event": "b"},))
    forked.start()
    forked.join()
    journal.write({"event": "c"})

    assert len(list(tmp_path.iterdir())) == 2
    assert sorted(line["event"] for line in read(tmp_path)) == ["a", "b", "c"]


def test_all_threads_of_a_process_write_into_one_file_from_the_first_line_on(tmp_path: Path):
    journal = Journal(tmp_path)
    at_once = threading.Barrier(8)

    def write() -> None:
        at_once.wait()
        journal.write(LINE)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(write)

    assert len(list(tmp_path.iterdir())) == 1
    assert read(tmp_path) == [LINE] * 8


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path):
    Journal(tmp_path).write(LINE, LINE)
    (written,) = tmp_path.iterdir()

    written.write_text(written.read_text()[:-5])

    assert read(tmp_path) == [LINE]


def test_an_execution_is_written_down_from_start_to_end(tmp_path: Path):
    sink = RecordingSink()
    witness = Witness(Journal(tmp_path), make_context(sink))

    with witness.execution():
        sink.leased = False
        witness.see("beat")
        answer = witness.result()

    (found,) = evidence.executions(read(tmp_path))
    assert (found.task, found.token, found.how, found.result) == (TASK, 7, "returned", answer)
    assert [sight.leased for sight in found.sights] == [True, False, False]
    assert found.started_at == found.sights[0].at <= found.sights[1].at <= found.sights[2].at


def test_an_execution_that_raises_has_no_result(tmp_path: Path):
    witness = Witness(Journal(tmp_path), make_context(RecordingSink()))

    with suppress(RuntimeError), witness.execution():
        witness.result()
        raise RuntimeError

    (found,) = evidence.executions(read(tmp_path))
    assert (found.how, found.result) == ("RuntimeError", None)


def test_a_second_start_under_one_token_is_an_execution_of_its_own():
    start = {"event": "start", "task": "a", "token": 1, "at": 1.0, "leased": True}

    assert evidence.executions([start, start]) == [Execution("a", 1, (Sight(1.0, True),))] * 2


def test_of_several_requests_for_one_task_the_earliest_due_time_counts():
    lines = [{"event": "asked", "number": 1, "key": "k", "not_before": moment} for moment in (5.0, 4.0, 6.0)]
    lines += [{"event": "accepted", "number": 1, "task": "a"}, {"event": "cancelled", "task": "a"}]

    assert evidence.asked(lines) == {1: Asked(1, "k", 4.0)}
    assert evidence.acknowledged(lines) == [Accepted("a", 1)]
    assert evidence.cancelled(lines) == {"a"}
