"""How soon subscribers are shown a change, on one Daphne process: many that follow a task each, some that follow all.

A producer changes tasks that wait for a far moment, at a fixed rate, and cancels them in the end. A latency reaches from before
the statement that changes the row to the client's having read it; the measure fails unless every end was shown to everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.benchmarks.figures import number, percentile, spread, table
from tests.benchmarks.installation import Installation
from tests.benchmarks.measures import Measure, Sample, Samples, Scale
from tests.benchmarks.socket_load import Request, following
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System
from tests.benchmarks.systems.dtq import DTQ
from tests.support.waiting import eventually

ONE_EACH = "a task each, 200 changes/s in all"
EVERYTHING = "everything, 20 changes/s"

_SERVER = "dtq_site.asgi:application"
_FOLLOW_ONE = "subscription ($id: ID!) { taskUpdated(id: $id) { id title status version } }"
_FOLLOW_ALL = "subscription { taskUpdated { id title status version } }"
_SHARES = (0.5, 0.95, 0.99)


def _cases(stage: Stage, systems: Sequence[System], scale: Scale) -> dict[str, Callable[[], Sample]]:
    if DTQ not in systems:
        return {}
    installation = stage.installation(DTQ, "live")
    return {
        f"{scale.followers:,} sockets: {ONE_EACH}": partial(_one_each, installation, scale),
        f"{scale.watchers:,} sockets: {EVERYTHING}": partial(_everything, installation, scale),
    }


def _one_each(installation: Installation, scale: Scale) -> Sample:
    installation.clear()
    ids = installation.ask("create_waiting", count=scale.followers)
    requests = [{"query": _FOLLOW_ONE, "variables": {"id": id_}} for id_ in ids]
    return _change(installation, requests, ids, 200, scale, ends=len(ids))


def _everything(installation: Installation, scale: Scale) -> Sample:
    installation.clear()
    ids = installation.ask("create_waiting", count=scale.watchers)
    requests = [{"query": _FOLLOW_ALL}] * scale.watchers
    return _change(installation, requests, ids, 20, scale, ends=len(ids) * scale.watchers)


def _change(
    installation: Installation, requests: Sequence[Request], ids: Sequence[str], rate: int, scale: Scale, *, ends: int
) -> Sample:
    with (
        installation.serving(_SERVER) as port,
        following(port, installation.ask("token"), requests) as followers,
    ):
        installation.ask("change", ids=ids, per_second=rate, count=int(rate * scale.follow_seconds))
        installation.ask("end", ids=ids, per_second=rate)
        eventually(lambda: followers.ended >= ends, 60)
    return {name: percentile(followers.milliseconds, share) for name, share in _named_shares()} | {
        "shown": len(followers.milliseconds)
    }


def _named_shares() -> list[tuple[str, float]]:
    return [(f"p{round(share * 100)}", share) for share in _SHARES]


def slowest_p95(samples: Samples) -> float:
    """The worse of the two cases, in ms."""
    return max(spread(sample["p95"] for sample in of_case).median for of_case in samples.values())


def _section(samples: Samples) -> str:
    rows = []
    for label, of_case in samples.items():
        shares = [number(spread(sample[name] for sample in of_case).median) for name, _ in _named_shares()]
        rows.append([label, number(spread(sample["shown"] for sample in of_case).median), *shares])
    return table(["followers", "shown", "p50 ms", "p95 ms", "p99 ms"], rows)


FOLLOWING = Measure(_cases, _section)
