"""All systems and all measures by name, in the order in which they are run and shown."""

from __future__ import annotations

from tests.benchmarks.measures import Measure
from tests.benchmarks.measures.api import API
from tests.benchmarks.measures.creation import BULK, SINGLE
from tests.benchmarks.measures.delays import DELAYS
from tests.benchmarks.measures.drain import DRAIN
from tests.benchmarks.measures.following import FOLLOWING
from tests.benchmarks.measures.memory import GROWTH, MEMORY
from tests.benchmarks.measures.pickup import PICKUP
from tests.benchmarks.measures.remote import REMOTE
from tests.benchmarks.measures.waiting import WAITING
from tests.benchmarks.systems import System
from tests.benchmarks.systems.celery_ import CELERY, CELERY_KEEPING
from tests.benchmarks.systems.dramatiq_ import DRAMATIQ, DRAMATIQ_32
from tests.benchmarks.systems.dtq import DTQ
from tests.benchmarks.systems.huey_ import HUEY

SYSTEMS: dict[str, System] = {
    "dtq": DTQ,
    "celery": CELERY,
    "celery-keeping": CELERY_KEEPING,
    "dramatiq": DRAMATIQ,
    "dramatiq-32": DRAMATIQ_32,
    "huey": HUEY,
}
MEASURES: dict[str, Measure] = {
    "single": SINGLE,
    "bulk": BULK,
    "drain": DRAIN,
    "pickup": PICKUP,
    "memory": MEMORY,
    "growth": GROWTH,
    "waiting": WAITING,
    "delays": DELAYS,
    "following": FOLLOWING,
    "api": API,
    "remote": REMOTE,
}
