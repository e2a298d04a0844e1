"""What clients send to schedules."""

from __future__ import annotations

import graphene

from dtq_site.foundation.scalars import JSON, DateTime
from scheduling.domain.misfires import MisfirePolicy as Misfires
from scheduling.domain.overlaps import OverlapPolicy as Overlaps
from tasks.graphql.scalars import Priority

_MISFIRES = {
    None: "What to do about slots that passed while no scheduler ran. As an argument it may be written in any case.",
    Misfires.SKIP: "They make no task.",
    Misfires.FIRE_ONCE: "They make one task together.",
    Misfires.FIRE_ALL: "Each makes its task, up to a bound that the operator sets; then the newest.",
}
_OVERLAPS = {
    None: "What to do when it is due while its previous task still runs. As an argument it may be written in any case.",
    Overlaps.ALLOW: "The new task runs beside it.",
    Overlaps.SKIP: "No task is made.",
    Overlaps.QUEUE_ONE: "One task waits until the previous one has ended; no more are made meanwhile.",
    Overlaps.CANCEL_PREVIOUS: "The previous task is cancelled and the new one runs.",
}

MisfirePolicy = graphene.Enum.from_enum(Misfires, description=_MISFIRES.__getitem__)
OverlapPolicy = graphene.Enum.from_enum(Overlaps, description=_OVERLAPS.__getitem__)


class ScheduleInput(graphene.InputObjectType):
    """A schedule, or what is to change about one; then fields that are left out stay as they are."""

    cron_expression = graphene.String(
        description="When it is due: five fields (minute, hour, day of month, month, day of week), six with the second first, "
        "or `@daily` and the like."
    )
    interval_seconds = graphene.Int(description="When it is due, instead: every so many seconds.")
    timezone = graphene.String(description="The IANA time zone of the expression; UTC, if left out.")
    starts_at = DateTime(description="It is not due before; an interval counts from here.")
    ends_at = DateTime(description="It is not due after.")
    jitter_seconds = graphene.Int(
        description="Each task may be released so much after its slot, but before the next one; 0, if left out."
    )
    misfire_policy = MisfirePolicy(
        description="About slots that passed while no scheduler ran; FIRE_ONCE, if left out."
    )
    overlap_policy = OverlapPolicy(description="About a previous task that still runs; ALLOW, if left out.")
    name = graphene.String(description="The handler of its tasks; else `payload.type` says it, else the title.")
    title = graphene.String(description="The title of its tasks; the name, if left out.")
    description = graphene.String(description="The description of its tasks.")
    payload = JSON(description="The payload of its tasks, an object.")
    priority = Priority(description="The priority of its tasks.")
    queue = graphene.String(description="The queue of its tasks.")
    max_retries = graphene.Int(description="How many attempts may follow a failed first one, from 0 to 1000.")
    timeout_seconds = graphene.Float(description="The time limit of one attempt of its tasks.")
