"""The handlers of a shop: what works on the pictures of `screenshots.py`."""

from __future__ import annotations

import time

from tasks import Retry, TaskContext, task


@task("send-invoice", queue="mail", timeout=30)
def send_invoice(order: int, seconds: float = 0.2) -> dict[str, int]:
    """An invoice a moment."""
    time.sleep(seconds)
    return {"order": order}


@task("resize-photos", queue="media", takes_context=True, timeout=600)
def resize_photos(context: TaskContext, album: str, photos: int, seconds: float = 1.0) -> str:
    """Go through an album, telling how far it is."""
    for number in range(1, photos + 1):
        time.sleep(seconds)
        context.log(f"{album}: photo {number} of {photos} is resized")
        context.progress(100 * number / photos)
    return album


@task("import-prices", queue="stock", takes_context=True, timeout=120)
def import_prices(context: TaskContext, supplier: str, rows: int) -> int:
    """Meet a supplier whose server is busy at first."""
    context.log(f"asking {supplier} for its prices")
    context.progress(10)
    context.log(f"{rows} rows are announced")
    if context.attempt == 1:
        context.log(f"{supplier} answers 503 after row 318", level="warning")
        context.progress(38)
        raise Retry(600, f"{supplier} is busy (503), 318 of {rows} rows were read")
    return rows


@task("charge-card", queue="payments", max_retries=0)
def charge_card(order: int, problem: str) -> None:
    """Fail in the way that is asked for."""
    raise ConnectionError(problem)
