"""Items in groups by weight: all of them, in order, as many together as may be."""

import pytest

from dtq_site.foundation.batches import by_weight


@pytest.mark.parametrize(
    ("weights", "groups"),
    [
        ([], []),
        ([0, 0, 0], [[0, 0, 0]]),
        ([4, 6], [[4, 6]]),
        ([4, 7, 1], [[4], [7, 1]]),
        ([11, 1, 30, 30, 2, 8], [[11], [1], [30], [30], [2, 8]]),
    ],
)
def test_a_group_weighs_at_most_so_much_and_a_heavier_item_stands_alone(weights, groups):
    assert list(by_weight([(weight, weight) for weight in weights], 10)) == groups
