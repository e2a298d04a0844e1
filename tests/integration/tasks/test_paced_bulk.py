"""What is done to many tasks at a rate: no faster, what does not match costs nothing of it, and it can be stopped."""

from __future__ import annotations

from uuid import UUID

import pytest

from accounts.identity import Identity
from accounts.models import AuditEntry
from accounts.roles import Role
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.observer import Observer, Recorder
from scheduling.duties.bulk_work import BulkWork
from tasks import bulk, changes
from tasks.bulk import Answer, BulkVerb, Preview, Step
from tasks.domain.states import TaskStatus
from tasks.filters import TaskFilter
from tasks.models import BulkRequest, Task
from tests.support.factories import ManualClock, after, create, in_state, make_user, row

DEAD = TaskFilter(status=[TaskStatus.DEAD_LETTER])


def dead_letters(count: int, **fields: str) -> list[Task]:
    return [in_state(TaskStatus.DEAD_LETTER, **fields) for _ in range(count)]


def ready() -> int:
    return Task.objects.filter(status=TaskStatus.QUEUED).count()


def redrive(rate: str, wanted: TaskFilter = DEAD) -> UUID:
    bulk.request(BulkVerb.RETRY, wanted, after(1), bulk.read_pace(rate))
    return bulk.unfinished()[-1]


def test_it_is_kept_and_goes_no_faster_than_its_rate():
    dead_letters(9)

    assert bulk.request(BulkVerb.RETRY, DEAD, after(1), bulk.read_pace("2/s")) == Answer(9, 0)
    (kept,) = bulk.unfinished()
    seen = [(bulk.advance(kept, after(moment)), ready()) for moment in (2, 2.1, 2.6, 3.1, 60, 61)]

    assert [count for _, count in seen] == [2, 2, 3, 4, 6, 8]
    assert seen[-1][0] == Step(BulkVerb.RETRY, 8, finished=False, paced=True)
    assert bulk.advance(kept, after(62)) == Step(BulkVerb.RETRY, 9, finished=True, paced=True)
    assert (ready(), bulk.unfinished()) == (9, [])


def test_a_slow_rate_begins_with_one():
    dead_letters(3)
    kept = redrive("60/h")

    counts = []
    for moment in (1, 30, 61, 121):
        bulk.advance(kept, after(moment))
        counts.append(ready())

    assert counts == [1, 1, 2, 3]


def test_what_does_not_match_is_passed_over_at_once():
    others = [in_state(TaskStatus.DEAD_LETTER, title="hay") for _ in range(5)]
    dead_letters(2, title="needle")
    before = [row(task) for task in others]
    kept = redrive("1/s", TaskFilter(status=[TaskStatus.DEAD_LETTER], search="needle"))

    assert bulk.advance(kept, after(2)) == Step(BulkVerb.RETRY, 1, finished=False, paced=True)
    assert bulk.advance(kept, after(3)) == Step(BulkVerb.RETRY, 2, finished=True, paced=True)

    assert [row(task) for task in others] == before


def test_the_duty_rests_between_the_steps_of_a_rate():
    dead_letters(2)
    redrive("1/s")
    heard = Recorder()
    duty = BulkWork(Observer(heard), ManualClock(), None)

    rests = [duty.perform(after(moment)) for moment in (2, 3)]

    assert rests == [duty.period_seconds, duty.period_seconds]
    assert [event.facts for event in heard.events] == [{"verb": "retry", "tasks": 2}]


@pytest.mark.parametrize("text", ["often", "0/s", "1001/s", "", "100001/m"])
def test_what_is_no_rate_or_too_fast_is_refused(text: str):
    with pytest.raises(BadInput) as refusal:
        bulk.read_pace(text)

    assert refusal.value.field == "rate"


def test_it_is_stopped_once_and_noted():
    user = make_user("root", role=Role.ADMIN)
    root: Identity = user.identity
    dead_letters(3)
    changes.request_bulk(BulkVerb.RETRY, DEAD, root, after(1), bulk.read_pace("1/s"))
    (kept,) = bulk.unfinished()
    bulk.advance(kept, after(2))

    for _ in range(2):
        changes.stop_bulk(kept, root)

    assert (ready(), bulk.advance(kept, after(9)), BulkRequest.objects.count()) == (1, None, 0)
    noted = AuditEntry.objects.filter(target="tasks").order_by("pk").values_list("actor", "action", "facts")
    filter_ = {"status": ["DEAD_LETTER"]}
    assert list(noted) == [
        ("root", "tasks.retried", {"filter": filter_, "count": 3, "rate": "1/s"}),
        ("root", "tasks.stopped", {"verb": "retry", "filter": filter_, "done": 1}),
    ]


def test_a_preview_says_what_would_be_done_and_does_nothing(monkeypatch: pytest.MonkeyPatch):
    tasks = [*dead_letters(2, queue="mail"), *dead_letters(1), create()]
    before = [row(task) for task in tasks]
    groups = [("DEAD_LETTER", "mail", "job", 2), ("DEAD_LETTER", "default", "job", 1)]

    assert bulk.preview(BulkVerb.RETRY, TaskFilter(), after(1)) == Preview(groups, is_all=True)
    assert bulk.preview(BulkVerb.RETRY, TaskFilter(search="nothing"), after(1)).count == 0
    monkeypatch.setattr(bulk, "PREVIEWED", 2)
    looked_at = bulk.preview(BulkVerb.RETRY, TaskFilter(), after(1))

    assert (looked_at.count, looked_at.is_all) == (2, False)
    assert [row(task) for task in tasks] == before
