"""How anybody is asked for anything: under the eyes of the ledger, and with a fault at any of the steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from hypothesis import strategies as st

from tests.model.acting import Acting
from tests.model.faults import Kind, Plan, ProcessDied, plans
from tests.model.world import World

NO_ANSWER = object()


class Asking(ABC):
    """Serves a request, and at its faults those of others."""

    def __init__(self, world: World) -> None:
        self.world, self.ledger, self.faults, self.now = world, world.ledger, world.faults, world.clock.now
        self.plan: Plan | None = None
        """What was to strike the last request."""
        self.is_meanwhile = False

    @abstractmethod
    def one_of_all(self, data: st.DataObject) -> None:
        """Anything that can happen now."""

    def ask(self, data: st.DataObject, acting: Acting, request: Callable[[], Any]) -> Any:
        """Serve a request, with what strikes it; returns its answer, or NO_ANSWER if the asker got none."""
        self.plan = plan = None if self.is_meanwhile else data.draw(plans, label="strikes")
        try:
            with self.ledger.served(acting), self.faults.planned(plan, lambda: self.others_act(data)) as serving:
                answer = request()
        except ProcessDied:
            answer = NO_ANSWER
        except OperationalError:
            if not serving.struck:
                raise
            answer = NO_ANSWER
        self.plan = plan
        if self.ledger.violation is not None:
            raise self.ledger.violation
        return NO_ANSWER if plan is not None and plan.kind is Kind.REPLY_LOST else answer

    def others_act(self, data: st.DataObject) -> None:
        """One or two requests of others, between two steps of the present one."""
        self.ledger.look()  # what has been committed so far is not theirs
        self.is_meanwhile = True
        try:
            for _ in range(data.draw(st.integers(1, 2))):
                self.one_of_all(data)
        except Exception as error:
            raise self.ledger.broken(error) from error
        finally:
            self.is_meanwhile = False
