"""Groups of items that one statement or message can carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def by_weight(weighed: Iterable[tuple[Item, int]], most: int) -> Iterator[list[Item]]:
    """The items in their order, in groups that weigh at most `most`; an item that is heavier by itself stands alone."""
    group: list[Item] = []
    weight = 0
    for item, own in weighed:
        if group and weight + own > most:
            yield group
            group, weight = [], 0
        group.append(item)
        weight += own
    if group:
        yield group
