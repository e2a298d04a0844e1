"""Everybody who asks DTQ for something, in any order, with faults between any two steps; in the end all is left to heal."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.model.faults import ProcessDied
from tests.model.requests import Requests
from tests.model.world import World


class Machine(RuleBasedStateMachine):
    """One rule, so that every run has all that can happen; who asks for what is drawn from what is possible."""

    def __init__(self, world: World) -> None:
        super().__init__()
        world.begin()
        self.world = world
        self.requests = Requests(world)
        self.raised_outside = sys.exception()

    def teardown(self) -> None:
        """Where nothing went wrong so far, everything that was accepted has to end."""
        if sys.exception() is not self.raised_outside:
            return
        try:
            self.world.heal()
        except ProcessDied as stopped:
            assert self.world.ledger.violation is not None
            raise self.world.ledger.violation from stopped

    @initialize(data=st.data())
    def work_is_there(self, data: st.DataObject) -> None:
        self.requests.reconcile(data)
        self.requests.create(data)

    @rule(data=st.data())
    def somebody_acts(self, data: st.DataObject) -> None:
        self.requests.one_of_all(data)


def explore(world: World, *, examples: int, steps: int, **how: Any) -> None:
    """Run so many examples of up to so many steps. Raises AssertionError for the shortest story in which something breaks."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **how,
    )
    run_state_machine_as_test(lambda: Machine(world), settings=chosen)
