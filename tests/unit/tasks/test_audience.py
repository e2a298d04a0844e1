"""What a process believes of those who listen to events."""

from __future__ import annotations

from tasks.queue.audience import BELIEVED_SECONDS, Audience


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_believed_at_first():
    assert not Audience(Clock()).is_absent


def test_that_nobody_listens_is_believed_for_a_moment_from_the_question_on():
    clock = Clock()
    audience = Audience(clock)

    audience.note(clock.now - BELIEVED_SECONDS / 2, 0)

    assert audience.is_absent
    clock.now += BELIEVED_SECONDS / 2
    assert not audience.is_absent


def test_that_somebody_listens_holds_until_redis_says_otherwise():
    clock = Clock()
    audience = Audience(clock)
    audience.note(clock.now, 0)

    audience.note(clock.now, 2)

    assert not audience.is_absent


def test_an_old_answer_is_not_believed():
    clock = Clock()
    audience = Audience(clock)

    audience.note(clock.now - BELIEVED_SECONDS, 0)

    assert not audience.is_absent
