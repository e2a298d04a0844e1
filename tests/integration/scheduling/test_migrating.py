"""Schedules that were made before slots and the moments at which they fire were told apart."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps

from scheduling import schedules
from scheduling.models import Schedule
from tests.integration.scheduling.making import PENDING, QUEUED, again, at, make, slots


def test_an_older_schedule_fires_at_its_slot_and_goes_on():
    older, paused = make(), make()
    schedules.pause(paused.pk)
    Schedule.objects.update(next_slot=None)

    import_module("scheduling.migrations.0002_timing_and_policies").due_slots_are_slots(apps, None)

    assert (again(older).next_slot, again(paused).next_slot) == (at(13), None)
    assert schedules.fire(older.pk, at(13))
    assert slots(older) == [("13:00", QUEUED), ("14:00", PENDING)]
