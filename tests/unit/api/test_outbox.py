"""The line of messages to one client: its pace, its bounds, and what newer messages replace."""

from __future__ import annotations

import pytest

from dtq_site.api.outbox import Backlog, Outbox, Overflow


def new_outbox(*, max_messages: int = 10, window_bytes: int = 100, backlog: Backlog | None = None) -> Outbox:
    return Outbox(max_messages=max_messages, window_bytes=window_bytes, backlog=backlog or Backlog(1000))


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


# --- bytes, counted for an account -------------------------------------------------------------------------------------


def test_what_waits_for_all_sockets_of_an_account_has_a_bound_in_bytes():
    backlog = Backlog(10)
    first, second = new_outbox(backlog=backlog), new_outbox(backlog=backlog)
    first.put("op", "1234", 0.0)
    second.put("op", "123456", 0.0)

    with pytest.raises(Overflow):
        second.put("op", "1", 0.0)

    assert (len(first), len(second), backlog.size) == (1, 1, 10)
    sent(first)
    second.put("op", "1234", 0.0)
    assert backlog.size == 10


def test_beyond_the_bound_a_socket_may_still_have_its_share():
    backlog = Backlog(12)
    hoarder, other = new_outbox(backlog=backlog), new_outbox(backlog=backlog)
    hoarder.put("op", "x" * 12, 0.0)

    other.put("op", "123456", 0.0)

    for outbox in (other, hoarder):
        with pytest.raises(Overflow):
            outbox.put("op", "1", 0.0)
    assert (backlog.size, backlog.sockets) == (18, 2)
    hoarder.clear()
    other.put("op", "123456", 0.0)
    assert (backlog.size, backlog.sockets) == (12, 1)


def test_one_message_alone_may_be_larger_than_the_bound():
    backlog = Backlog(10)
    outbox = new_outbox(backlog=backlog)

    outbox.put("op", "x" * 50, 0.0)

    with pytest.raises(Overflow):
        outbox.put("op", "x", 0.0)
    assert sent(outbox) == ["x" * 50]
    assert (backlog.size, backlog.sockets) == (0, 0)


def test_a_message_beyond_the_window_counts_until_it_was_read():
    backlog = Backlog(10)
    outbox = new_outbox(window_bytes=20, backlog=backlog)
    outbox.put("op", "x" * 50, 0.0)

    assert len(sent(outbox)) == 1
    assert outbox.wants_ping()
    assert backlog.size == 30

    outbox.pong()
    assert backlog.size == 0


def test_what_is_replaced_dropped_or_cleared_counts_no_more():
    backlog = Backlog(10)
    outbox, other = new_outbox(backlog=backlog), new_outbox(backlog=backlog)
    outbox.put("op", "12345678", 0.0, subject=1)
    outbox.put("op", "1234", 0.0, subject=1)
    outbox.put("gone", "123", 0.0)
    other.put("op", "123", 0.0)
    assert backlog.size == 10

    outbox.drop("gone")
    assert backlog.size == 7
    outbox.clear()
    assert (backlog.size, len(outbox), outbox.stalled_since) == (3, 0, None)


def test_a_socket_whose_account_becomes_known_takes_what_waits_along():
    own, accounts = Backlog(10), Backlog(10)
    outbox = new_outbox(backlog=own)
    outbox.put(None, "12345", 0.0)

    outbox.join(accounts)

    assert (own.size, accounts.size) == (0, 5)
