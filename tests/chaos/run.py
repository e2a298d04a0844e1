"""`python -m tests.chaos.run --seed 7`: one run of an installation under fire, and the judgement over it.

A load is put on, a plan breaks things, everything is mended, and what is open has to end. Then a backlog is worked off in calm,
by which the order is judged. `make chaos` calls this.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import evidence, faults, journal
from tests.chaos.checker import Finding, judge
from tests.chaos.cluster import Cluster, Shape
from tests.chaos.evidence import Evidence, Promises, SeenLease
from tests.chaos.load import CALM_TASK_SECONDS, ENDS
from tests.chaos.observation import Observer
from tests.chaos.plan import make_plan

TICK_SECONDS = 0.1
CALM_SECONDS = 6.0
LONGEST_CLOCK_STEP_SECONDS = 0.05
SHOWN = 10


@dataclass(frozen=True)
class Run:
    """What a run is made of."""

    seed: int
    tasks: int
    seconds: float
    shape: Shape

    @property
    def patience_seconds(self) -> float:
        """How long the tasks that are open when all is mended may take to end."""
        return 120.0 + self.tasks / 20


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    plan: Sequence[Any]
    evidence: Evidence
    findings: Sequence[Finding]

    @property
    def violations(self) -> list[str]:
        """Everything that broke a promise."""
        return [f"{finding.rule}: {violation}" for finding in self.findings for violation in finding.violations]

    def table(self) -> str:
        """The tally, for people."""
        statuses = Counter(row.status for row in self.evidence.rows.values())
        faults = Counter(fault.kind for fault in self.plan)
        lines = [f"{count:7}  {kind}" for kind, count in sorted(faults.items())]
        lines += ["", *(f"{count:7}  {status}" for status, count in sorted(statuses.items()))]
        lines += [f"{len(self.evidence.executions):7}  executions", ""]
        lines += [f"{'rule':12} {'judged':>8} {'broken':>8}"]
        lines += [f"{each.rule:12} {each.judged:8} {len(each.violations):8}" for each in self.findings]
        return "\n".join(lines)


Act = Callable[[Cluster, Any], None]
"""Breaks what a fault of the plan breaks, or mends it."""


def carry_out(run: Run, folder: Path, say: Callable[[str], None]) -> Report:
    """Play one run in `folder`; nothing of it is alive when this returns."""
    plan = make_plan(run.seed, run.seconds, run.shape.lease_seconds)
    return play(run, plan, faults.begin, faults.end, Cluster(folder, run.shape), folder, say)


def play(
    run: Run,
    plan: Sequence[Any],
    begin: Act,
    end: Act,
    cluster: Cluster,
    folder: Path,
    say: Callable[[str], None],
) -> Report:
    """Have the load carried while the plan breaks things, and judge what is left behind."""
    offset = time.time() - time.monotonic()
    try:
        cluster.start()
        stage = _Stage(cluster, Observer(cluster.connect), say)
        stage.fight(run, plan, begin, end)
        stage.settle(run.patience_seconds)
        calm = stage.calm(run)
        rows, endings = stage.observer.rows(), stage.observer.endings()
        exits = cluster.exits()
        _keep(folder / "rows.jsonl", rows.values())
        _keep(folder / "endings.jsonl", endings)
        _keep(folder / "leases.jsonl", stage.leases)
    finally:
        cluster.close()
    if abs(time.time() - time.monotonic() - offset) > LONGEST_CLOCK_STEP_SECONDS:
        raise RuntimeError("The host's clock was set during the run: its times cannot be compared.")
    handlers, client = journal.read(cluster.journal), journal.read(cluster.client_journal)
    found = Evidence(
        Promises(run.shape.backoff_seconds, run.shape.max_lost_leases, run.shape.concurrency, ENDS),
        rows,
        evidence.asked(client),
        [*evidence.acknowledged(client), *evidence.enqueued(handlers)],
        evidence.cancelled(client),
        evidence.executions(handlers),
        endings,
        stage.leases,
        exits,
        [calm],
    )
    return Report(plan, found, judge(found))


def _keep(path: Path, facts: Iterable[Any]) -> None:
    """Leave what was read of the database beside the journals, for whoever looks for a cause."""
    path.write_text("".join(f"{json.dumps(vars(fact))}\n" for fact in facts))


class _Stage:
    """The acts of a run. Between any two events the cluster is tended and the leases are looked at."""

    def __init__(self, cluster: Cluster, observer: Observer, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._say = say
        self.observer = observer
        self.leases: list[SeenLease] = []

    def fight(self, run: Run, plan: Sequence[Any], begin: Act, end: Act) -> None:
        """Put the load on and play the plan."""
        begun = time.monotonic()
        self._start_client("mixed", run.seed, run.tasks, run.seconds, begun)
        events = [(fault.at, begin, fault) for fault in plan]
        events += [(fault.ends_at, end, fault) for fault in plan]
        for at, act, fault in sorted(events, key=lambda event: event[0]):
            self._until_moment(begun + at)
            if act is begin:
                lasting = f" for {fault.seconds:.1f} s" if fault.seconds else ""
                self._say(f"{time.monotonic() - begun:6.1f} s  {fault.kind}{lasting}")
            act(self._cluster, fault)

    def settle(self, patience_seconds: float) -> None:
        """Wait until all is mended and every task has ended, at most so long."""
        self._cluster.heal()
        self._say("         all is mended")
        begun = time.monotonic()
        if not self._until(self._clients_are_done, patience_seconds):
            raise RuntimeError("A client did not come to the end of its load.")
        self._until(self._nothing_is_open, patience_seconds)
        self._say(f"         {self.observer.open_tasks()} tasks are open {time.monotonic() - begun:.1f} s later")

    def calm(self, run: Run) -> tuple[float, float]:
        """Have a backlog worked off while nothing breaks; returns when that was."""
        begun = time.time()
        tasks = round(CALM_SECONDS / CALM_TASK_SECONDS * run.shape.slots)
        self._start_client("calm", run.seed, tasks, CALM_SECONDS / 2, time.monotonic())
        self.settle(run.patience_seconds)
        return begun, time.time()

    def _start_client(self, load: str, seed: int, tasks: int, seconds: float, begun: float) -> None:
        numbers = {"--seed": seed, "--tasks": tasks, "--seconds": seconds, "--begun": begun}
        self._cluster.start_client(load, *(str(part) for pair in numbers.items() for part in pair))

    def _clients_are_done(self) -> bool:
        return all(client.done for client in self._cluster.clients)

    def _nothing_is_open(self) -> bool:
        return self.observer.open_tasks() == 0

    def _until_moment(self, moment: float) -> None:
        self._until(lambda: time.monotonic() >= moment)

    def _until(self, reached: Callable[[], bool], timeout_seconds: float = float("inf")) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while not reached():
            if time.monotonic() > deadline:
                return False
            self._cluster.tend()
            self.leases += self.observer.leases()
            time.sleep(TICK_SECONDS)
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one run and print its tally; 1 if a promise was broken, and then the folder is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long load and faults last")
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args(arguments)
    run = Run(options.seed, options.tasks, options.seconds, Shape(workers=options.workers))
    folder = Path(tempfile.mkdtemp(prefix="dtq-chaos-"))
    print(f"seed {run.seed}, {run.tasks} tasks in {run.seconds:g} s; journals and logs are in {folder}", flush=True)
    report = carry_out(run, folder / "run", lambda line: print(line, flush=True))
    print(f"\n{report.table()}")
    for violation in report.violations[:SHOWN]:
        print(f"BROKEN  {violation}")
    if report.violations:
        print(f"{len(report.violations)} violations; journals and logs are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
