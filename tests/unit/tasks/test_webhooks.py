"""What webhooks tell of, and which addresses they may have."""

from __future__ import annotations

import pytest

from dtq_site.foundation.errors import BadInput
from tasks.domain.states import Hold, TaskStatus
from tasks.domain.webhooks import STATUS_OF, check_events, event_of
from tasks.webhooks.addresses import MAX_URL, check_url, host_of


def test_every_end_is_told_and_a_wait_for_another_attempt():
    told = {(status, hold): event_of(status, hold) for status in TaskStatus for hold in Hold}

    assert {place: str(event) for place, event in told.items() if event is not None} == {
        **{(TaskStatus.COMPLETED, hold): "task.completed" for hold in Hold},
        **{(TaskStatus.FAILED, hold): "task.failed" for hold in Hold},
        **{(TaskStatus.CANCELLED, hold): "task.cancelled" for hold in Hold},
        **{(TaskStatus.DEAD_LETTER, hold): "task.dead_lettered" for hold in Hold},
        (TaskStatus.PENDING, Hold.BACKOFF): "task.retried",
    }
    assert {event: STATUS_OF[event] for (status, _), event in told.items() if event} == {
        event: status for (status, _), event in told.items() if event
    }


def test_events_are_kept_once_and_in_one_order():
    assert check_events(["task.failed", "task.completed", "task.failed"]) == ["task.completed", "task.failed"]


@pytest.mark.parametrize("events", [[], ["task.created"], ["webhook.test"], ["task.failed", ""]])
def test_no_events_or_others_are_refused(events: list[str]):
    with pytest.raises(BadInput) as refused:
        check_events(events)

    assert refused.value.field == "events"


@pytest.mark.parametrize(
    "url", ["https://shop.example/hooks?key=1", "https://8.8.8.8:8443/", "https://[2001:4860:4860::8888]/a"]
)
def test_an_address_on_the_internet_is_taken_as_it_is(url: str):
    assert check_url(url, allow_http=False, allow_private=False) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://shop.example/", "must begin with https://"),
        ("ftp://shop.example/", "Write an address"),
        ("shop.example", "Write an address"),
        ("https:///hooks", "Write an address"),
        ("https://shop.example:99999/", "Write an address"),
        ("https://shop.example:0/", "Write an address"),
        ("https://shop .example\n/", "no address"),
        ("https://ann:secret@shop.example/", "Leave out a password"),
        ("https://shop.example/#top", "Leave out a password"),
        ("https://127.0.0.1/", "127.0.0.1 is not on the public internet"),
        ("https://[::1]/", "::1 is not on the public internet"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254 is not on the public internet"),
        ("https://shop.example/" + "x" * MAX_URL, "at most 2,000"),
    ],
)
def test_another_address_is_refused_with_the_reason(url: str, said: str):
    with pytest.raises(BadInput, match=said) as refused:
        check_url(url, allow_http=False, allow_private=False)

    assert refused.value.field == "url"


def test_what_is_allowed_is_taken():
    assert check_url("http://shop.example/", allow_http=True, allow_private=False) == "http://shop.example/"
    assert check_url("https://10.0.0.1/", allow_http=False, allow_private=True) == "https://10.0.0.1/"


def test_of_an_address_the_host_may_be_shown():
    assert host_of("https://shop.example:8443/secret?key=1") == "shop.example"
