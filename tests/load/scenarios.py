"""The acts of a run, in their order: each sends users, and tells in figures what came of it.

What a scenario returns can be written as JSON: `figures` for tables, `requests` and `looks` for plots.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from tests.load.names import CREATE, FLOW
from tests.load.scale import Scale
from tests.load.swarm import Request, Swarm, Users, p
from tests.load.watch import Look, Watch, look
from tests.support.waiting import eventually

Found = dict[str, Any]
END_SECONDS = 120.0
KEPT_SHARE = 0.95
"""A rate counts as kept if so much of it was reached."""


@dataclass(frozen=True)
class Place:
    """Where the scenarios are played."""

    swarm: Swarm
    port: int
    scale: Scale

    def play(self, name: str, users: Users) -> tuple[list[Request], list[Look]]:
        """Send users, and watch until every task that they created has ended."""
        with Watch(self.port) as watch:
            requests = self.swarm.send(name, users)
            self.wait_for_the_end()
        return requests, watch.looks

    def wait_for_the_end(self) -> None:
        """Wait until nothing is ready and nothing runs."""

        def ended() -> bool:
            now = look(self.port)
            return now.ready == now.running == 0

        eventually(ended, END_SECONDS, every_seconds=0.2)


def followed(place: Place) -> Found:
    """Tasks are created one by one, and each is followed to its end."""
    scale = place.scale
    users = Users(("Subscriber", "Poller"), scale.followers, 120, scale.followed)
    requests, looks = place.play("followed", users)
    flows = [request for request in requests if request.name == FLOW]
    seconds = max(flow.at + flow.milliseconds / 1000 for flow in flows) - flows[0].at
    figures = {
        "followed": len(flows),
        "not_completed": sum(bool(flow.failure) for flow in flows),
        "per_minute": len(flows) / seconds * 60,
        **_quantiles(flows),
    }
    return _found(figures, requests, looks)


def throughput(place: Place) -> Found:
    """Users create tasks as fast as they are answered, and the worker keeps up or not."""
    scale = place.scale
    requests, looks = place.play("throughput", Users(("Rusher",), scale.rush_users, scale.rush_seconds))
    created, completed = _named(requests, CREATE), looks[-1].completed - looks[0].completed
    ended_at = next(each.at for each in looks if each.completed == looks[-1].completed)
    figures = {
        "created": len(created),
        "created_per_minute": len(created) / _span(created) * 60,
        "completed_per_minute": completed / (ended_at - created[0].at) * 60,
        "deepest": max(each.ready for each in looks),
        **_quantiles(created),
    }
    return _found(figures, requests, looks)


def steady(place: Place) -> Found:
    """A great many tasks are made and worked off; then so many a second are created, for a while, and looked at."""
    scale = place.scale
    begun = time.monotonic()
    _, stored = place.play("stored", Users(("Bulk",), 2, 180, scale.stored))
    stored_seconds = time.monotonic() - begun
    requests, looks = place.play("steady", Users(("Steady",), scale.steady_rate, scale.steady_seconds))
    figures = {
        "stored": stored[-1].completed,
        "stored_seconds": stored_seconds,
        "per_second": _rate(requests),
        "in_all": looks[-1].completed,
        "deepest": max(each.ready for each in looks),
        **_quantiles(requests),
        "kinds": {name: _quantiles(_named(requests, name)) for name in sorted({each.name for each in requests})},
    }
    return _found(figures, requests, looks)


def capacity(place: Place) -> Found:
    """The rate is raised step by step until answers take too long or the rate is not reached; the last but one is the highest."""
    scale, requests, looks = place.scale, [], []

    def attempt(rate: int) -> Found:
        sent, seen = place.play(f"capacity-{rate}", Users(("Steady",), rate, scale.step_seconds))
        requests.extend(sent)
        looks.extend(seen)
        settled = [each for each in sent if each.at >= sent[0].at + scale.warming_seconds]
        return step(rate, settled, scale.limit_ms)

    steps = climb(range(scale.first_rate, scale.last_rate + 1, scale.rate_step), attempt)
    highest = max((each["rate"] for each in steps if each["kept"]), default=0)
    return _found({"steps": steps, "highest": highest}, requests, looks)


def climb(rates: Iterable[int], attempt: Callable[[int], Found]) -> list[Found]:
    """One attempt after another, up to the first whose rate is not kept."""
    steps = []
    for rate in rates:
        steps.append(attempt(rate))
        if not steps[-1]["kept"]:
            break
    return steps


def step(rate: int, requests: Sequence[Request], limit_ms: float) -> Found:
    """What became of a rate, and whether it was kept: reached, answered in time, and without a failure."""
    figures = {"rate": rate, "per_second": _rate(requests), **_quantiles(requests)}
    reached = figures["per_second"] >= KEPT_SHARE * rate
    return {**figures, "kept": reached and figures["p95"] < limit_ms and not figures["failures"]}


SCENARIOS: dict[str, Callable[[Place], Found]] = {
    "followed": followed,
    "throughput": throughput,
    "steady": steady,
    "capacity": capacity,
}


def _named(requests: Sequence[Request], name: str) -> list[Request]:
    return [request for request in requests if request.name == name]


def _quantiles(requests: Sequence[Request]) -> Found:
    quantiles = {f"p{share * 100:g}": p(share, requests) for share in (0.5, 0.95, 0.99)}
    return {"requests": len(requests), "failures": sum(bool(each.failure) for each in requests), **quantiles}


def _span(requests: Sequence[Request]) -> float:
    return requests[-1].at - requests[0].at + requests[-1].milliseconds / 1000


def _rate(requests: Sequence[Request]) -> float:
    """Creations a second."""
    created = _named(requests, CREATE)
    return (len(created) - 1) / (created[-1].at - created[0].at)


def _found(figures: Found, requests: Sequence[Request], looks: Sequence[Look]) -> Found:
    return {
        "figures": figures,
        "requests": [astuple(each) for each in requests],
        "looks": [astuple(each) for each in looks],
    }
