"""The example of docs/COMING-FROM-CELERY.md: an order is charged, then booked and confirmed, then closed.

Load it with DTQ_HANDLERS=docs.examples.orders. In the place of a bank and a mail server stand the arguments, so that it can be
tried.
"""

from __future__ import annotations

from typing import Any

from tasks import Discard, Retry, TaskContext, chain, group, task

DECLINED, BUSY = 402, 503


@task("charge", queue="payments", max_retries=5, timeout=30, rate="100/m", lock="order:{order}", takes_context=True)
def charge(context: TaskContext, order: int, amount: int, answers: list[int]) -> str:
    """Charge the card; the bank gives these answers, one an attempt."""
    answer = answers[context.attempt - 1]
    if answer == BUSY:
        raise Retry(0.1, "the bank is busy")
    if answer == DECLINED:
        raise Discard("the card was declined")
    context.log(f"order {order}: {amount} charged")
    return f"{context.task_id}"


@task("book", queue="books")
def book(order: int, amount: int) -> int:
    """Write it into the books."""
    return amount


@task("confirm", queue="mail")
async def confirm(order: int, email: str) -> str:
    """Tell the customer."""
    return email


@task("close-order", takes_context=True)
def close_order(context: TaskContext, order: int) -> dict[str, Any]:
    """Put together what the others have returned."""
    return {"order": order, "booked": context.results["book"], "told": context.results["confirm"]}


def place(order: int, amount: int, email: str, answers: list[int]) -> list[Any]:
    """Create the tasks of an order, all or none; in a transaction they come into being with its commit."""
    return chain(
        charge.task(order=order, amount=amount, answers=answers),
        group(book.task(order=order, amount=amount), confirm.task(order=order, email=email)),
        close_order.task(order=order),
    ).enqueue()
