"""`make screenshots`: the pictures of the README, taken of a shop at work on servers of its own. They are in docs/images.

Everything in them is real but the hour before it in the charts, which is made up: nobody wants to wait for it.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from accounts.roles import Role
from tests.conformance.conftest import find_browser
from tests.support import node_packages
from tests.support.backing import open_backing
from tests.support.processes import Processes
from tests.support.servers import free_port
from tests.support.sources import ROOT
from tests.support.waiting import eventually

IMAGES = ROOT / "docs" / "images"
HANDLERS = "tests.conformance.shop_handlers"
MOST_BYTES = 150_000

SCHEDULES = (
    {"name": "daily-report", "cronExpression": "0 6 * * mon-fri", "timezone": "Europe/Berlin"},
    {"name": "import-prices", "intervalSeconds": 3600, "payload": {"supplier": "north", "rows": 1200}},
)
PROBLEMS = ["bank.example.com: connection refused"] * 11 + ["card 4711 has expired"] * 3
OPERATION = "mutation($input: ScheduleInput!) { createSchedule(input: $input) { id } }"
UNKNOWN = 'mutation { createTask(input: {name: "close-books", queue: "reports", title: "Close the books of October"}) { id } }'


def main() -> None:
    """Take them all."""
    with open_backing("sqlite") as servers, tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, **servers, "DTQ_HANDLERS": HANDLERS, "DTQ_QUEUE_LATE_AFTER": "1h"}
        processes = Processes(variables, Path(folder))
        try:
            take_pictures(processes, variables)
        finally:
            processes.clear_away()


def take_pictures(processes: Processes, variables: Mapping[str, str]) -> None:
    """Have the shop work, and look at it."""
    os.environ.update(variables, DJANGO_SETTINGS_MODULE="dtq_site.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from accounts import demo

    call_command("migrate", verbosity=0)
    for role in demo.ROLES:
        demo.make(role)
    url = f"http://127.0.0.1:{(port := free_port())}"
    processes.manage("runserver", str(port), "--noreload")
    for name in ("oslo", "lima"):
        queues = "mail,media,stock,payments"
        processes.manage("runworker", "--name", name, "--queues", queues).wait_for("worker.ready")
    make_up_a_past()
    processes.manage("runscheduler").wait_for("scheduler.ready")
    with httpx.Client(base_url=url, transport=httpx.HTTPTransport(retries=20), timeout=30) as client:
        task = open_the_shop(client)
    IMAGES.mkdir(exist_ok=True)
    command = ["node", str(node_packages.CONFORMANCE / "screenshots.cjs"), find_browser() or "chromium"]
    admin = (Role.ADMIN, demo.password(Role.ADMIN))
    environment = {**os.environ, "NODE_PATH": str(node_packages.ensure())}
    subprocess.run([*command, url, *admin, str(IMAGES), task], env=environment, check=True, timeout=120)
    for picture in sorted(IMAGES.glob("*.png")):
        make_small(picture)


def make_up_a_past() -> None:
    """Have the charts show a busy hour."""
    from dtq_site.foundation.database import database_clock
    from scheduling import samples
    from tasks import metrics

    now = database_clock.now()
    steps, chance = 121, random.Random(7)
    for step in range(steps):
        wave = 0.4 + 0.3 * math.sin(step / 9) + 0.3 * chance.random()
        done = round(300 + 400 * wave)
        counts = metrics.observed(metrics.RUN_SECONDS, [0.02 + 0.0007 * each for each in range(done)])
        counts += metrics.observed(metrics.WAIT_SECONDS, [0.004 + 0.005 * wave * each for each in range(done)])
        counts[metrics.ENTERED, "COMPLETED"] += done
        counts[metrics.RETRIES, ""] += round(30 * wave)
        metrics.record(counts)
        queues = {"mail": samples.QueueState(round(240 * wave), 4 * wave), "media": samples.QueueState(step % 4, 3.0)}
        samples.take(queues, now - timedelta(seconds=30 * (steps - step)))


def open_the_shop(client: httpx.Client) -> str:
    """Give it work of all kinds; returns the id of the task that has a story to tell."""
    from tasks.models import Task
    from tests.conformance import shop_handlers as shop

    for schedule in SCHEDULES:
        ask(client, OPERATION, {"input": schedule})
    ask(client, UNKNOWN)
    for order, problem in enumerate(PROBLEMS):
        shop.charge_card.enqueue(order=order, problem=problem)
    for album in ("harbour", "mountains", "old town"):
        shop.resize_photos.enqueue(album=album, photos=90)
    story = shop.import_prices.options(idempotency_key="prices").enqueue(supplier="south", rows=840)
    shop.send_invoice.enqueue_many([{"order": order, "seconds": 0.3} for order in range(240)])
    eventually(lambda: Task.objects.filter(pk=story.pk, retries=1).exists(), timeout_seconds=60)
    eventually(lambda: Task.objects.filter(status="DEAD_LETTER").count() == len(PROBLEMS), timeout_seconds=60)
    return str(story.pk)


def ask(client: httpx.Client, query: str, variables: Mapping[str, Any] | None = None) -> None:
    """Ask the API as the demo admin."""
    if "authorization" not in client.headers:
        login = client.post("/auth/login", json={"username": "admin", "password": "admin123"}).raise_for_status()
        client.headers["authorization"] = f"Bearer {login.json()['access_token']}"
    answer = client.post("/graphql", json={"query": query, "variables": variables or {}}).raise_for_status().json()
    assert "errors" not in answer, answer


def make_small(picture: Path) -> None:
    """Write it anew with 256 colours, which is enough for a page."""
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)
    assert picture.stat().st_size <= MOST_BYTES, f"{picture} has {picture.stat().st_size:,} bytes"


if __name__ == "__main__":
    main()
