"""docs/COMING-FROM-CELERY.md: its example does on a real worker what the page says that it does."""

from __future__ import annotations

from docs.examples import orders
from tests.support.factories import reread
from tests.support.processes import Processes
from tests.support.sources import ROOT
from tests.support.waiting import eventually


def test_the_example_of_the_page(committed_db: None, processes: Processes):
    processes.manage("runscheduler").wait_for("scheduler.ready")
    processes.manage("runworker", DTQ_HANDLERS="docs.examples.orders").wait_for("worker.ready")

    paid = orders.place(1, 900, "ann@example.com", [orders.BUSY, 200])
    declined = orders.place(2, 900, "bob@example.com", [orders.DECLINED])

    eventually(lambda: all(reread(task).completed_at for task in paid + declined), 30)
    charge, *_, closed = map(reread, paid)
    assert (charge.status, charge.attempts) == ("COMPLETED", 2)
    assert closed.result == {"order": 1, "booked": 900, "told": "ann@example.com"}
    assert [reread(task).status for task in declined] == ["FAILED", "CANCELLED", "CANCELLED", "CANCELLED"]


def test_the_page_shows_the_example():
    page = (ROOT / "docs/COMING-FROM-CELERY.md").read_text()
    example = (ROOT / "docs/examples/orders.py").read_text()

    shown = [block for block in page.split("```python\n")[1:] if "from tasks import" in block]
    assert [block.partition("```")[0].strip() for block in shown] == [
        example[example.index("from typing import") :].strip()
    ]
