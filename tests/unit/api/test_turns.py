"""Whose turn it is to be shown something."""

from __future__ import annotations

from typing import Any

from dtq_site.api.hub import Subscription
from dtq_site.api.live_query import LiveQuery
from dtq_site.api.turns import PATIENCE_SECONDS, SLICE_SECONDS, Show, Turns
from dtq_site.foundation.news import News


def subscription(account: str, key: str) -> Subscription:
    def ignore(*_: Any) -> None:
        pass

    return Subscription(LiveQuery(object(), (key,), account, lambda root: {}), ignore, ignore, ignore)


def show(*subscriptions: Subscription, subject: str = "task", root: str = "row") -> Show:
    return Show(News(subject, root, []), subscriptions)


def made_at_once(turns: Turns, each: Show, seconds: float) -> bool:
    """Whether it comes now; then it takes so long."""
    comes = turns.comes_now(each)
    if comes:
        turns.charge(each, seconds)
    return comes


def test_an_account_is_shown_at_once_what_fits_into_its_slice_and_the_rest_is_late():
    turns = Turns()
    turns.begin()
    shows = [show(subscription("ann", f"query {n}")) for n in range(4)]

    assert [made_at_once(turns, each, SLICE_SECONDS / 2) for each in shows] == [True, True, False, False]
    assert list(turns.late()) == shows[2:]
    assert not turns


def test_what_another_account_takes_is_at_nobody_elses_cost():
    turns = Turns()
    turns.begin()
    heavy, light = subscription("ann", "heavy"), subscription("bob", "light")
    made_at_once(turns, show(heavy, subject="1"), 10 * SLICE_SECONDS)
    made_at_once(turns, show(heavy, subject="2"), 0)

    assert turns.comes_now(show(light))
    assert [each.news.subject for each in turns.late()] == ["2"]


def test_a_new_round_gives_everybody_a_slice_who_is_not_late():
    turns = Turns()
    turns.begin()
    for account in ("ann", "bob"):
        made_at_once(turns, show(subscription(account, account), subject="1"), SLICE_SECONDS)
    turns.comes_now(show(subscription("ann", "ann"), subject="2"))

    turns.begin()

    assert turns.comes_now(show(subscription("bob", "bob"), subject="3"))
    assert not turns.comes_now(show(subscription("ann", "ann"), subject="3"))
    assert [each.news.subject for each in turns.late()] == ["2", "3"]


def test_of_those_who_are_late_whoever_has_taken_least_comes_next():
    turns = Turns()
    turns.begin()
    for account, seconds in (("ann", 0.9), ("bob", 0.3)):
        made_at_once(turns, show(subscription(account, "first")), seconds)
        for subject in "12":
            turns.comes_now(show(subscription(account, account), subject=subject))

    order = []
    for each in turns.late():
        turns.charge(each, 0.7)
        order.append((each.account, each.news.subject))

    assert order == [("bob", "1"), ("ann", "1"), ("bob", "2"), ("ann", "2")]


def test_a_newer_state_takes_the_place_of_an_older_one_that_waits():
    turns = Turns()
    turns.begin()
    first, second = subscription("ann", "same"), subscription("ann", "same")
    made_at_once(turns, show(subscription("ann", "other")), SLICE_SECONDS)
    turns.comes_now(show(first, subject="a", root="old"))
    turns.comes_now(show(first, subject="b", root="old"))

    assert not turns.comes_now(show(second, first, subject="a", root="new"))

    shown = [(each.news.subject, each.news.root, each.subscriptions) for each in turns.late()]
    assert shown == [("a", "new", [first, second]), ("b", "old", (first,))]


def test_what_several_accounts_are_shown_is_late_for_none_while_one_has_time():
    turns = Turns()
    turns.begin()
    ann, bob = subscription("ann", "same"), subscription("bob", "same")
    made_at_once(turns, show(subscription("ann", "other")), SLICE_SECONDS)
    turns.comes_now(show(ann, root="old"))

    shared = show(ann, bob, root="new")

    assert turns.comes_now(shared)
    assert (shared.account, shared.subscriptions) == ("bob", [ann, bob])
    assert list(turns.late()) == []


def test_what_waits_while_very_much_is_made_for_its_account_is_given_up():
    turns = Turns()
    turns.begin()
    made_at_once(turns, show(subscription("ann", "first")), 1.0)
    for n in range(20):
        turns.comes_now(show(subscription("ann", f"query {n}")))
    made_at_once(turns, show(subscription("bob", "first")), 1.0)
    turns.comes_now(show(subscription("bob", "late")))

    made = 0
    for each in turns.late():
        if each.account == "ann":
            assert list(turns.given_up()) == []
            made += 1
        turns.charge(each, 60.0 if made == 1 else 1.0)  # one that takes very long counts for a second
        if made == PATIENCE_SECONDS:
            break
    given_up = list(turns.given_up())

    assert [each.account for each in given_up] == ["ann"] * (20 - made)
    assert not turns
