"""Worker tokens that another takes the place of."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from accounts import worker_tokens
from accounts.models import WorkerToken
from dtq_site.foundation.errors import BadInput, Conflict, NotFound, Unauthenticated
from tests.integration.accounts.issuing import issue, rows
from tests.support.factories import ManualClock

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_rotated_token_is_good_for_a_while_beside_the_new_one():
    clock = ManualClock()
    old = issue(queues=["mail"], expires_at=clock.now() + timedelta(days=10), clock=clock)
    clock.advance(86_400)

    new = worker_tokens.rotate(old.token.pk, timedelta(hours=1), clock=clock)

    assert (new.token.name, new.token.queues, new.token.account_id) == ("laptop", ["mail"], old.token.account_id)
    assert new.token.expires_at == clock.now() + timedelta(days=10)
    clock.advance(3599)
    assert worker_tokens.identify(old.secret, clock).username == "boat"
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        worker_tokens.identify(old.secret, clock)
    assert worker_tokens.identify(new.secret, clock).username == "boat"


def test_rotation_never_makes_the_old_one_live_longer():
    clock = ManualClock()
    old = issue(expires_at=clock.now() + timedelta(hours=1), clock=clock)

    worker_tokens.rotate(old.token.pk, timedelta(days=30), clock=clock)

    assert WorkerToken.objects.get(pk=old.token.pk).expires_at == clock.now() + timedelta(hours=1)


def test_a_revoked_token_is_not_rotated():
    token = issue().token
    worker_tokens.revoke(token.pk)
    before = rows()

    with pytest.raises(Conflict):
        worker_tokens.rotate(token.pk, timedelta(0))

    assert rows() == before


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=31)])
def test_an_overlap_has_bounds(overlap: timedelta):
    token = issue().token
    before = rows()

    with pytest.raises(BadInput) as refusal:
        worker_tokens.rotate(token.pk, overlap)

    assert (refusal.value.field, rows()) == ("overlapSeconds", before)


def test_an_unknown_token_is_not_found():
    for change in (worker_tokens.revoke, lambda id_: worker_tokens.rotate(id_, timedelta(0))):
        with pytest.raises(NotFound):
            change(uuid4())
