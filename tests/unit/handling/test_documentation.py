"""The Python of docs/WRITING-HANDLERS.md runs, and does what the page says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import tasks
from tasks import Discard, Retry
from tasks.domain.locks import LockAnswer, LockVerdict
from tasks.handling.port import EnqueueRequest
from tests.support.handlers import RecordingSink, make_context

PAGE = Path(__file__).resolve().parents[3] / "docs" / "WRITING-HANDLERS.md"


@pytest.fixture
def page(submitted) -> dict:
    """What the page's code has defined after it ran from top to bottom."""
    names: dict = {"__name__": "writing_handlers"}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_the_pages_code_creates_the_tasks_that_it_names(page, submitted):
    assert submitted == [
        [EnqueueRequest("send-welcome", {"email": "ann@example.com"})],
        [
            EnqueueRequest("send-welcome", {"email": "bob@example.com"}),
            EnqueueRequest("send-welcome", {"email": "eve@example.com"}),
        ],
        [
            EnqueueRequest(
                "send-welcome", {"email": "ann@example.com"},
                priority="LOW", delay_seconds=3600, idempotency_key="welcome-ann",
            )
        ],
        [
            EnqueueRequest("fetch-page", {"address": "a"}, key="fetch-page"),
            EnqueueRequest("sum-up", {}, depends_on=["fetch-page"], key="sum-up"),
        ],
        [
            EnqueueRequest("fetch-page", {"address": "a"}, key="fetch-page"),
            EnqueueRequest("fetch-page", {"address": "bb"}, key="fetch-page-2"),
            EnqueueRequest("sum-up", {}, depends_on=["fetch-page", "fetch-page-2"], key="sum-up"),
        ],
    ]  # fmt: skip


def test_the_pages_last_step_has_the_results_of_the_others(page):
    assert page["sum_up"](make_context(RecordingSink())) == 7


def test_the_pages_handlers_end_as_it_says(page):
    assert asyncio.run(page["warm_cache"](["a", "b"])) == 2
    assert page["charge_card"]("o-1") == "o-1"
    with pytest.raises(Retry) as again:
        page["charge_card"]("o-1", answer=429)
    with pytest.raises(Discard):
        page["charge_card"]("o-1", answer=402)

    assert again.value.delay_seconds == 60


def test_the_pages_context_speaks(page):
    sink = RecordingSink()
    context = make_context(sink, task_id="t")

    assert page["import_rows"](context, rows=["a"]) == 1
    assert sink.told == [
        ("info", "row 1: a"),
        100.0,
        EnqueueRequest("send-welcome", {"email": "ann@example.com"}, idempotency_key="t:done"),
    ]


def test_the_pages_handlers_use_locks_as_it_says(page):
    sink = RecordingSink()
    sink.locks = [LockAnswer(LockVerdict.BUSY), LockAnswer(LockVerdict.TAKEN, 7)]
    context = make_context(sink, lock="report:ann", lock_fencing_number=5)

    assert page["close_month"].lock_of({"account": "ann"}) == "report:ann"
    assert page["close_month"](context, account="ann") == 5
    assert page["change_prices"](context, shop="north") == "north as 7"
    assert sink.told == ["take prices:north", "wait 1 s for prices:north", "take prices:north", "free prices:north"]


def test_the_page_lists_every_member_of_the_context():
    table = PAGE.read_text().partition("## The context")[2].partition("## A handler can run twice")[0]
    first_cells = "\n".join(re.findall(r"^\| [^|]*\|", table, re.MULTILINE))
    listed = set(re.findall(r"`(\w+)[(`]", first_cells))
    context = make_context(RecordingSink())

    assert listed == {name for name in dir(context) if not name.startswith("_")}


def test_every_public_name_is_on_the_page():
    text = PAGE.read_text()

    assert [name for name in tasks.__all__ if name not in text] == []
