"""Takes the samples: every case once, then every case again, and so on, so that noise meets all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.benchmarks.measures import Measure, Sample, Scale
from tests.benchmarks.stage import Stage
from tests.benchmarks.systems import System


def take_samples(
    measure: Measure, stage: Stage, systems: Sequence[System], scale: Scale, tell: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """The samples of all rounds by case; `tell` hears of each when it has been taken."""
    cases = measure.cases(stage, systems, scale)
    samples: dict[str, list[Sample]] = {label: [] for label in cases}
    for number in range(1, scale.rounds + 1):
        for label, take in cases.items():
            begun = time.monotonic()
            samples[label].append(take())
            tell(f"round {number}, {label}: {time.monotonic() - begun:.0f} s")
    return samples
