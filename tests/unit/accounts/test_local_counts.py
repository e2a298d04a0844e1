"""The count of logins that a process keeps by itself."""

from accounts.throttle import WINDOW_MS, LocalCounts


def test_a_key_takes_its_limit_within_a_window_and_says_how_long_to_wait():
    counts = LocalCounts()

    waits = [counts.reserve(f"attempt-{second}", {"ann": 3}, second * 1000) for second in range(5)]

    assert waits == [0, 0, 0, WINDOW_MS - 3000, WINDOW_MS - 4000]


def test_a_refused_attempt_is_not_counted_for_the_other_key_either():
    counts = LocalCounts()
    counts.reserve("first", {"ann": 1, "here": 2}, 0)

    assert counts.reserve("second", {"ann": 1, "here": 2}, 0) == WINDOW_MS
    assert counts.reserve("third", {"bob": 1, "here": 2}, 0) == 0


def test_an_attempt_that_is_given_back_makes_room():
    counts = LocalCounts()
    counts.reserve("first", {"ann": 1}, 0)

    counts.give_back("first", ("ann", "never-seen"))

    assert counts.reserve("second", {"ann": 1}, 0) == 0


def test_a_window_ends_exactly_one_minute_after_the_attempt():
    counts = LocalCounts()
    counts.reserve("first", {"ann": 1}, 0)

    assert counts.reserve("second", {"ann": 1}, WINDOW_MS - 1) == 1
    assert counts.reserve("second", {"ann": 1}, WINDOW_MS) == 0


def test_memory_is_bounded_and_the_longest_unused_key_goes_first():
    counts = LocalCounts(capacity=2)
    for key in ("ann", "bob", "cyd"):
        counts.reserve(key, {key: 1}, 0)

    assert counts.reserve("again", {"cyd": 1}, 0) == WINDOW_MS
    assert counts.reserve("again", {"ann": 1}, 0) == 0
