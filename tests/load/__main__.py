"""`make load`: put an installation of its own under load, and write a report to var/load/<time>/.

A part of the scenarios only prints its figures. The results of every run are kept as JSON beside its report; `--page` writes
docs/LOAD.md from those of a whole run.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.place import ROOT, OccupiedError, servers_folder
from tests.load import report
from tests.load.installation import Installation, installed
from tests.load.scale import TINY, Scale
from tests.load.scenarios import SCENARIOS, Place
from tests.load.swarm import Swarm
from tests.support.backing import missing_packages

REPORTS = ROOT / "var" / "load"


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; returns the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.page:
        report.write(json.loads(asked.page.read_text()), report.PAGE, report.PAGE.with_name("load"))
        return 0
    if missing := missing_packages("mariadb"):
        print(f"The load tests need the Debian packages {', '.join(missing)}.", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # both end what was started, even where a shell ignores them
    begun = datetime.now(UTC)
    folder = REPORTS / f"{begun:%Y%m%dT%H%M%SZ}"
    try:
        with servers_folder() as servers, installed(servers) as installation:
            run = carry_out(installation, asked.scenarios or list(SCENARIOS), TINY if asked.tiny else Scale(), folder)
    except OccupiedError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nEnded before all was done.", file=sys.stderr)
        return 130
    (folder / "results.json").write_text(json.dumps(run))
    if set(run["found"]) == set(SCENARIOS):
        report.write(run, folder / "LOAD.md", folder / "load")
    print(f"Written: {folder}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "scenarios", nargs="*", type=_scenario, metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)} (default: all)"
    )
    parser.add_argument("--tiny", action="store_true", help="see that all works; the figures mean nothing")
    parser.add_argument("--page", type=Path, metavar="JSON", help="write docs/LOAD.md from the results of a whole run")
    return parser


def _scenario(text: str) -> str:
    if text not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"there is no scenario {text!r}; there are {', '.join(SCENARIOS)}")
    return text


def carry_out(installation: Installation, scenarios: Sequence[str], scale: Scale, folder: Path) -> dict[str, Any]:
    """Play the scenarios; returns what was found, with all that a report says of the run."""
    begun, started = datetime.now(UTC), time.monotonic()
    run: dict[str, Any] = {
        "begun": f"{begun:%Y-%m-%d %H:%M} UTC",
        "dtq": machine.dtq_version(),
        "machine": machine.machine(),
        "scale": asdict(scale),
        "found": {},
    }
    with installation.running():
        place = Place(Swarm(installation.port, installation.token_file, folder), installation.port, scale)
        for name in scenarios:
            print(f"=== {name}", flush=True)
            run["found"][name] = SCENARIOS[name](place)
            print(json.dumps(run["found"][name]["figures"], indent=1), flush=True)
    run["seconds"] = time.monotonic() - started
    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
