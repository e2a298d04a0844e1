"""How a claim is divided among queues: a worker that serves several takes from each in proportion to its weight."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor


def shares(total: int, weights: Mapping[str, int], draw: float) -> dict[str, int]:
    """Divide `total` by weight into whole numbers; `draw` is random, evenly from 0 to 1. Who gets nothing is left out.

    The weights lie end to end on a line, and every whole step along it, from a random beginning, falls to somebody. So a
    share differs from the exact proportion by less than one, it is that proportion on average, whatever `total` is, and
    all shares together are `total`.
    """
    of_all = sum(weights.values())
    found, passed, before = {}, 0, 0
    for name, weight in weights.items():
        passed += weight
        until = floor(total * passed / of_all + draw)
        if until > before:
            found[name] = until - before
        before = until
    return found
