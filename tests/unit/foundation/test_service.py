"""One loop on one thread, woken and stopped at once."""

import threading
import time

from dtq_site.foundation import service as services
from dtq_site.foundation.observer import Observer, Recorder
from dtq_site.foundation.service import Service, ServiceGroup
from tests.support.waiting import eventually


class Scripted(Service):
    """Does what the test wrote down, round by round, then sleeps for an hour."""

    name = "scripted"

    def __init__(self, *rounds, observer=None) -> None:
        super().__init__(observer or Observer())
        self._rounds = list(rounds)
        self.done = 0
        self.tidied = 0
        self.idle = threading.Event()

    def run_once(self) -> float:
        self.done += 1
        if not self._rounds:
            self.idle.set()
            return 3600.0
        step = self._rounds.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def after_round(self) -> None:
        self.tidied += 1


def test_a_round_that_asks_for_no_pause_is_followed_at_once():
    service = Scripted(0, 0, 0)
    service.start()

    assert service.idle.wait(5)
    service.stop()
    assert service.join(5)
    assert (service.done, service.tidied) == (4, 4)


def test_stop_ends_a_long_sleep_at_once():
    service = Scripted()
    service.start()
    assert service.idle.wait(5)

    begun = time.monotonic()
    service.stop()

    assert service.stopping
    assert service.join(5)
    assert time.monotonic() - begun < 1.0


def test_wake_starts_the_next_round():
    service = Scripted()
    service.start()
    assert service.idle.wait(5)
    service.idle.clear()

    service.wake()

    assert service.idle.wait(5)
    service.stop()
    assert service.join(5)


def test_a_wake_during_a_round_is_not_lost():
    service = Scripted()
    first_round = service.run_once
    service.run_once = lambda: (service.wake(), first_round())[1] if service.done == 0 else first_round()
    service.start()

    for _ in range(500):
        if service.done >= 2:
            break
        time.sleep(0.01)

    service.stop()
    assert service.join(5)
    assert service.done == 2


def test_a_failing_round_is_told_and_tried_again_with_growing_pauses(monkeypatch):
    asked = []
    monkeypatch.setattr(
        services, "full_jitter", lambda failures, *, base_seconds, cap_seconds: asked.append(failures) or -0.1
    )
    heard = Recorder()
    service = Scripted(ValueError("one"), ValueError("two"), 0, ValueError("three"), observer=Observer(heard))
    service.start()
    assert service.idle.wait(5)
    service.stop()
    assert service.join(5)

    told = [(event.facts["service"], event.facts["error"], event.facts["failures"]) for event in heard.events]
    assert told == [
        ("scripted", "ValueError('one')", 1),
        ("scripted", "ValueError('two')", 2),
        ("scripted", "ValueError('three')", 1),
    ]
    assert asked == [1, 2, 1]
    assert "in run_once" in heard.events[0].facts["trace"]
    assert service.tidied == service.done == 5


def test_a_service_is_late_while_a_round_goes_on_and_not_while_it_sleeps_or_after_its_end():
    begun, go_on = threading.Event(), threading.Event()
    service = Scripted()
    first_round = service.run_once
    service.run_once = lambda: (begun.set(), go_on.wait(5), first_round())[2]
    assert service.late_seconds < 0

    service.start()
    assert begun.wait(5)
    eventually(lambda: service.late_seconds > 0.05)
    go_on.set()
    assert service.idle.wait(5)

    eventually(lambda: service.late_seconds < -3000)  # it sleeps for an hour
    service.stop()
    assert service.join(5)
    assert service.late_seconds == float("-inf")


def test_a_service_that_never_started_has_ended():
    assert Scripted().join(0)


def test_a_group_stops_in_its_order_and_names_what_is_stuck():
    stopped = []

    class Stubborn(Scripted):
        name = "stubborn"

        def stop(self) -> None:
            stopped.append(self.name)

    class Willing(Scripted):
        name = "willing"

        def stop(self) -> None:
            stopped.append(self.name)
            super().stop()

    stubborn, willing = Stubborn(), Willing()
    group = ServiceGroup([stubborn, willing])
    group.start()

    assert group.stop(0.05) == ["stubborn"]
    assert stopped == ["stubborn", "willing"]
    Service.stop(stubborn)
    assert stubborn.join(5)
