"""Who leads the schedulers: a row with an end, renewed by its holder, taken over when it has ended.

The leader trusts its lease only until *request sent + lease - margin*, on its own clocks: a process that was suspended finds
out by itself. Nothing depends on there being one leader only, though: every duty is right when two overlap.

The row also keeps since when leaders have renewed without a gap. After the database was away, workers could not renew
either, and their leases must not be taken for abandoned at once: see `duties/reaper.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Case, F, Value, When

from dtq_site.foundation.clock import Clock, LeaseTimer
from dtq_site.foundation.connections import close_broken_connections
from dtq_site.foundation.database import repeats_lock_conflicts
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.service import Service
from scheduling.models import LeaderLease
from scheduling.runtime.reachability import Reachability

ROW = "scheduler"
LONGEST_GAP = timedelta(seconds=10)


class Leader(Service):
    """Renews the lease, or waits for it to be free."""

    name = "leader"

    def __init__(self, observer: Observer, clock: Clock, lease: timedelta, holder: UUID | None = None) -> None:
        super().__init__(observer)
        self._clock = clock
        self._lease = lease
        self._holder = holder or uuid4()
        self._timer = LeaseTimer(margin_seconds=lease.total_seconds() / 6)
        self._sent: tuple[float, float, float] | None = None
        self._up_since = self._renewed_at = datetime.min.replace(tzinfo=UTC)
        self.database = Reachability(observer)

    @property
    def leads(self) -> bool:
        """Whether this process may trust to be the leader now."""
        return self._sent is not None and self._timer.remaining_seconds(self._sent, self._lease.total_seconds()) > 0

    def up_for(self, now: datetime) -> timedelta:
        """For how long leaders have renewed without a gap; nothing if there is one now, such as a step of the clock."""
        return now - self._up_since if now - self._renewed_at <= LONGEST_GAP else timedelta()

    def run_once(self) -> float:
        """Renew, or try to take over."""
        return self.database.attempt(self._renew)

    def _renew(self) -> float:
        led = self.leads
        sent = LeaseTimer.sent_at()
        now = self._clock.now()
        up_since = acquire(self._holder, self._lease, now)
        self._sent = sent if up_since is not None else None
        if up_since is not None:
            self._up_since, self._renewed_at = up_since, now
        if self.leads != led:
            self.observer.emit("leader.elected" if self.leads else "leader.lost", holder=str(self._holder))
        return self._lease.total_seconds() / 4

    def after_round(self) -> None:
        """Give up a broken connection."""
        close_broken_connections()

    def resign(self) -> None:
        """Give the lease up, so that another scheduler need not wait for its end."""
        self._sent = None
        now = self._clock.now()
        LeaderLease.objects.filter(name=ROW, holder=self._holder).update(expires_at=now)


@repeats_lock_conflicts
def acquire(holder: UUID, lease: timedelta, now: datetime) -> datetime | None:
    """Renew the holder's lease or take over one that has ended.

    Returns since when leaders have renewed without a gap, or None while another holder leads.
    """
    fresh = {"holder": holder, "term": 1, "expires_at": now + lease, "renewed_at": now, "up_since": now}
    row, made = LeaderLease.objects.get_or_create(name=ROW, defaults=fresh)
    if made:
        return now
    mine = LeaderLease.objects.filter(name=ROW, holder=holder, term=row.term)
    free = LeaderLease.objects.filter(name=ROW, term=row.term, expires_at__lte=now)
    unbroken = Case(When(renewed_at__gte=now - LONGEST_GAP, then=F("up_since")), default=Value(now))
    values = {"expires_at": now + lease, "up_since": unbroken, "renewed_at": now}
    won = mine.update(**values) or free.update(holder=holder, term=row.term + 1, **values)
    return LeaderLease.objects.get(name=ROW).up_since if won else None
