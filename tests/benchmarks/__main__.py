"""`make bench`: run the benchmarks and write docs/BENCHMARKS.md from what they find.

A run of all measures and all systems writes the page; a part of them only prints its tables. The samples of every run are
kept as JSON in var/benchmarks/results, from which `--page` writes the page again.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import machine, peers
from tests.benchmarks.measures import TINY, Scale
from tests.benchmarks.place import FOLDER, OccupiedError, servers_folder
from tests.benchmarks.registry import MEASURES, SYSTEMS
from tests.benchmarks.report import PAGE, page, section
from tests.benchmarks.runner import take_samples
from tests.benchmarks.stage import ServerStage, open_stage
from tests.support.backing import missing_packages


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; returns the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.page:
        PAGE.write_text(page(*(json.loads(file.read_text()) for file in asked.page)))
        return 0
    if missing := missing_packages("mariadb"):
        print(f"The benchmarks need the Debian packages {', '.join(missing)}.", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # both end what was started, even where a shell ignores them
    try:
        return _run(asked.measures or list(MEASURES), asked.systems or list(SYSTEMS), TINY if asked.tiny else Scale())
    except OccupiedError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nEnded before all was measured.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "measures", nargs="*", type=_measure_name, metavar="MEASURE", help=f"of {', '.join(MEASURES)} (default: all)"
    )
    parser.add_argument(
        "--systems", nargs="+", choices=list(SYSTEMS), metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)} (default: all)"
    )
    parser.add_argument("--tiny", action="store_true", help="see that all works; the figures mean nothing")
    parser.add_argument(
        "--page",
        type=Path,
        nargs="+",
        metavar="JSON",
        help="write the page again from the results of a whole run, and of later ones of parts of it",
    )
    return parser


def _measure_name(text: str) -> str:
    if text not in MEASURES:
        raise argparse.ArgumentTypeError(f"there is no measure {text!r}; there are {', '.join(MEASURES)}")
    return text


def _run(measures: Sequence[str], systems: Sequence[str], scale: Scale) -> int:
    """Measure, print and keep; write the page if it was all that there is."""
    if any(not SYSTEMS[name].is_ours for name in systems):
        peers.ensure()
    begun, started = datetime.now(UTC), time.monotonic()
    with servers_folder() as folder, open_stage(folder) as stage:
        run: dict[str, Any] = {
            "begun": f"{begun:%Y-%m-%d %H:%M} UTC",
            "scale": asdict(scale),
            "machine": machine.machine(),
            "versions": machine.versions(stage.server_versions()),
            "samples": {},
        }
        for name in measures:
            try:
                run["samples"][name] = _measure(name, stage, systems, scale)
            except Exception:  # the others are still worth their time
                traceback.print_exc()
                continue
            run["seconds"] = time.monotonic() - started
            _keep(run, begun)
            print(f"\n{section(name, run['samples'][name])}\n", flush=True)
    if set(run["samples"]) != set(measures):
        print("Not everything could be measured; the page is left as it is.", file=sys.stderr)
        return 1
    if scale == Scale() and set(measures) == set(MEASURES) and set(systems) == set(SYSTEMS):
        PAGE.write_text(page(run))
        print(f"Written: {PAGE}")
    return 0


def _measure(name: str, stage: ServerStage, systems: Sequence[str], scale: Scale) -> dict[str, Any]:
    taking_part = [SYSTEMS[key] for key in systems if name == "drain" or not SYSTEMS[key].only_drained]
    print(f"=== {name}", flush=True)
    return take_samples(MEASURES[name], stage, taking_part, scale, lambda line: print(line, flush=True))


def _keep(run: dict[str, Any], begun: datetime) -> None:
    file = FOLDER / "results" / f"{begun:%Y%m%dT%H%M%SZ}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(run, indent=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
