"""The line of messages to one client: its pace, its bounds, and what newer messages replace."""

from __future__ import annotations

import pytest

from dtq_site.api.outbox import Outbox, Overflow


def new_outbox(*, max_messages: int = 10, window_bytes: int = 100) -> Outbox:
    return Outbox(max_messages=max_messages, window_bytes=window_bytes)


def sent(outbox: Outbox) -> list[str]:
    taken = []
    while (text := outbox.take(0.0)) is not None:
        taken.append(text)
    return taken


def test_messages_leave_in_order():
    outbox = new_outbox()
    for text in "abc":
        outbox.put("op", text, 0.0)

    assert sent(outbox) == ["a", "b", "c"]
    assert len(outbox) == 0


def test_of_one_subject_only_the_newest_waits_in_the_place_of_the_first():
    outbox = new_outbox()
    outbox.put("op", "task 1, version 1", 0.0, subject=1)
    outbox.put("op", "task 2, version 1", 0.0, subject=2)
    outbox.put("other", "task 1, version 1, other", 0.0, subject=1)

    outbox.put("op", "task 1, version 2", 0.0, subject=1)

    assert sent(outbox) == ["task 1, version 2", "task 2, version 1", "task 1, version 1, other"]


def test_what_has_no_subject_replaces_nothing():
    outbox = new_outbox()

    outbox.put("op", "a", 0.0)
    outbox.put("op", "b", 0.0)

    assert sent(outbox) == ["a", "b"]


def test_no_more_wait_than_allowed_but_newer_ones_of_their_subjects():
    outbox = new_outbox(max_messages=2)
    outbox.put("op", "a", 0.0, subject=1)
    outbox.put("op", "b", 0.0, subject=2)

    with pytest.raises(Overflow):
        outbox.put("op", "c", 0.0, subject=3)
    outbox.put("op", "d", 0.0, subject=2)

    assert sent(outbox) == ["a", "d"]


def test_what_is_not_wanted_any_more_leaves_the_line():
    outbox = new_outbox()
    outbox.put("op", "a", 0.0)
    outbox.put("other", "b", 0.0, subject=1)

    outbox.drop("op")

    assert sent(outbox) == ["b"]


def test_beyond_the_window_messages_wait_for_the_clients_pong():
    outbox = new_outbox(window_bytes=100)
    for text in ("a" * 49, "b" * 60, "c"):
        outbox.put("op", text, 0.0)

    assert outbox.take(0.0) == "a" * 49
    assert not outbox.wants_ping()
    assert outbox.take(0.0) == "b" * 60
    assert outbox.wants_ping()
    assert not outbox.wants_ping()
    assert outbox.take(0.0) is None
    outbox.pong()

    assert outbox.take(0.0) == "c"


def test_a_pong_tells_of_what_was_sent_before_its_ping_only():
    outbox = new_outbox(window_bytes=100)
    for text in ("a" * 50, "b" * 50, "c"):
        outbox.put("op", text, 0.0)
    assert outbox.take(0.0)
    assert outbox.wants_ping()
    assert outbox.take(0.0)

    outbox.pong()

    assert outbox.wants_ping()
    assert sent(outbox) == ["c"]


def test_a_pong_that_nobody_asked_for_tells_nothing():
    outbox = new_outbox(window_bytes=100)
    outbox.put("op", "a" * 100, 0.0)
    outbox.put("op", "b", 0.0)
    assert outbox.take(0.0)

    outbox.pong()

    assert outbox.take(0.0) is None


def test_it_stalls_from_the_last_message_that_left_while_others_wait():
    outbox = new_outbox()
    assert outbox.stalled_since is None

    outbox.put("op", "a", 1.0)
    outbox.put("op", "b", 2.0)
    assert outbox.stalled_since == 1.0
    outbox.take(3.0)
    assert outbox.stalled_since == 3.0
    outbox.take(4.0)
    assert outbox.stalled_since is None


def test_an_emptied_line_stalls_no_more():
    outbox = new_outbox()
    outbox.put("op", "a", 1.0)

    outbox.drop("op")

    assert outbox.stalled_since is None
