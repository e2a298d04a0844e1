"""Workers that know nothing but an address and a token, against a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from statistics import median
from uuid import uuid4

import pytest

from accounts.roles import Role
from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.database import database_clock
from tests.e2e.claiming import TEAM, Api, create, parked, send_claim, token_of
from tests.support.servers import RedisServer
from tests.support.worker_client import Refused, WorkerClient, completed, over_http

pytestmark = pytest.mark.usefixtures("committed_db", "redis_server")


def test_a_waiting_claim_is_answered_when_a_task_is_created(api: Api):
    worker = api.worker()
    took = []
    with ThreadPoolExecutor(1) as threads:
        for _ in range(20):
            claim = threads.submit(worker.claim, waitSeconds=30)
            parked(api, 1)

            created_at = elapsed_clock()
            task_id = create()
            (leased,) = claim.result(10)
            took.append(elapsed_clock() - created_at)

            assert leased["taskId"] == task_id
            assert worker.report(completed(leased)) == ["ACCEPTED"]

    assert median(took) < 1  # it was called in: by itself it looks every 5 s


def test_a_claim_waits_no_longer_than_it_said(api: Api):
    worker = api.worker()

    began_at = elapsed_clock()
    assert worker.claim(waitSeconds=1) == []
    took = elapsed_clock() - began_at

    assert 0.9 < took < 5
    parked(api, 0)


def test_the_time_of_the_wait_does_not_shorten_the_lease(api: Api):
    from tasks.models import Task

    worker = api.worker()
    with ThreadPoolExecutor(1) as threads:
        sent_at = database_clock.now()
        claim = threads.submit(worker.claim, waitSeconds=30, leaseSeconds=10)
        parked(api, 1)
        time.sleep(2)
        task_id = create()
        (leased,) = claim.result(10)

    length = timedelta(milliseconds=leased["leaseMs"])
    assert timedelta(seconds=11.9) < length
    assert sent_at + length <= Task.objects.get(pk=task_id).lease_expires_at


def test_of_those_that_wait_one_of_the_task_s_team_is_called(api: Api):
    of_red, of_blue = api.worker("red"), api.worker("blue")
    with ThreadPoolExecutor(2) as threads:
        claims = {
            worker: threads.submit(worker.claim, waitSeconds=2, claim_id=str(uuid4())) for worker in (of_red, of_blue)
        }
        parked(api, 2)

        task_id = create("blue")

        assert [each["taskId"] for each in claims[of_blue].result(10)] == [task_id]
        assert claims[of_red].result(10) == []


def test_of_a_batch_each_gets_one(api: Api):
    from tests.integration.graphql.making import make_task

    workers = [api.worker() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        claims = [threads.submit(worker.claim, waitSeconds=30) for worker in workers]
        parked(api, 8)

        created = {str(make_task(TEAM).pk) for _ in range(8)}

        assert {leased["taskId"] for claim in claims for leased in claim.result(10)} == created


def test_a_claim_whose_client_has_hung_up_takes_nothing(api: Api):
    token = token_of(TEAM)
    worker = WorkerClient(over_http(api.http, token), "send-email")
    connection = send_claim(api, worker, token)
    parked(api, 1)

    connection.close()
    parked(api, 0)
    task_id = create()

    assert [each["taskId"] for each in worker.claim()] == [task_id]


def test_the_tasks_of_a_paused_queue_wake_nobody_and_those_of_a_new_queue_do(api: Api):
    from tasks import queues

    worker = api.worker()
    create(queue="paused")
    queues.pause("paused")
    with ThreadPoolExecutor(1) as threads:
        claim = threads.submit(worker.claim, waitSeconds=30)
        parked(api, 1)

        task_id = create(queue="new")

        assert [each["taskId"] for each in claim.result(3)] == [task_id]


def test_a_revoked_token_ends_the_wait_without_a_task(api: Api):
    from accounts import worker_tokens
    from accounts.models import User
    from tests.integration.graphql.making import make_identity

    account = User.objects.get(pk=make_identity(Role.WORKER, TEAM).user_id)
    issued = worker_tokens.issue(account, name="boat")
    worker = WorkerClient(over_http(api.http, issued.secret), "send-email")
    with ThreadPoolExecutor(1) as threads:
        claim = threads.submit(worker.claim, waitSeconds=30)
        parked(api, 1)

        worker_tokens.revoke(issued.token.pk)
        task_id = create()

        with pytest.raises(Refused, match="UNAUTHENTICATED"):
            claim.result(10)
    assert [each["taskId"] for each in api.worker().claim()] == [task_id]


def test_without_redis_tasks_are_found_a_little_later(own_redis: RedisServer, start_api: Callable[..., Api]):
    api = start_api(REDIS_URL=own_redis.url)
    worker = api.worker()
    with ThreadPoolExecutor(1) as threads:
        claim = threads.submit(worker.claim, waitSeconds=30)
        parked(api, 1)
        own_redis.kill()

        task_id = create()
        assert [each["taskId"] for each in claim.result(10)] == [task_id]

        own_redis.start()
        api.server.process.wait_for("bells.unheard")
        for _ in range(3):
            claim = threads.submit(worker.claim, waitSeconds=30)
            parked(api, 1)
            task_id = create()
            assert [each["taskId"] for each in claim.result(10)] == [task_id]
