"""A worker in another language, against a real server."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tests.e2e.claiming import TEAM, Api, create
from tests.support.processes import Processes
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")


@pytest.mark.long
def test_the_worker_in_node_js_runs_tasks_and_stops_when_it_is_told_to(
    start_api: Callable[..., Api], processes: Processes
):
    from accounts import worker_tokens
    from accounts.models import User
    from tasks import lifecycle
    from tasks.models import Task, TaskLog
    from tests.integration.graphql.making import make_identity
    from workers.models import Worker

    node = shutil.which("node")
    assert node is not None, "this needs Node.js: apt-get install nodejs"
    api = start_api()
    account = User.objects.get(pk=make_identity(Role.WORKER, TEAM).user_id)
    token = worker_tokens.issue(account, name="node").secret
    script = str(Path(__file__).parents[2] / "docs/examples/worker.mjs")
    worker = processes.start([node, script], DTQ_SERVER=f"{api.server.http_url}/graphql", DTQ_TOKEN=token)
    worker.wait_for("^ready: word-count, nap$")

    counted = create(name="word-count", payload={"text": "to be or  not"})
    broken = create(name="word-count", payload={}, max_retries=0)
    worker.wait_for(f"word-count {counted} COMPLETED ACCEPTED")
    worker.wait_for(f"word-count {broken} FAILED ACCEPTED")
    endless = create(name="nap", payload={"seconds": 60}, max_retries=0)
    eventually(lambda: Task.objects.get(pk=endless).begun, 30)
    lifecycle.cancel(endless, database_clock.now())
    eventually(lambda: Task.objects.get(pk=endless).lease_expires_at is None, 30)
    last = create(name="nap", payload={"seconds": 3}, max_retries=0)
    eventually(lambda: Task.objects.get(pk=last).begun, 30)  # so the answer to its claim has arrived

    assert worker.terminate() == 0
    assert Task.objects.get(pk=counted).result == {"words": 4}
    assert "TypeError" in Task.objects.get(pk=broken).error
    assert [line.message for line in TaskLog.objects.filter(task_id=counted)] == ["counting 13 characters"]
    assert Task.objects.get(pk=last).result == {"slept": 3}
    assert Worker.objects.get().status == "stopped"
