"""Every change of a task's state: one guarded verb each. Nothing else writes task rows.

A verb restates in its UPDATE every fact that justified the move, so what changed meanwhile is left alone, and it returns
the tasks that it won. Verbs over many rows lock them by key in one order first, decide, then update under the same guard.
What follows a move (the dispatch index, the sums of metrics) is arranged here too, in `effects.py`.

`now` is the database's time (`foundation.database.database_clock`). Callers use the verbs as `lifecycle.claim(…)`; the
modules inside are parted by who asks for a move. Start with `holding.py`.
"""

from tasks.lifecycle.claims import Claim, ClaimedTask
from tasks.lifecycle.creation import create
from tasks.lifecycle.dependencies import forget_ends, recount
from tasks.lifecycle.holding import (
    claim,
    claimed_before,
    claimed_under,
    mark_begun,
    note_progress,
    release,
    renew,
)
from tasks.lifecycle.limiting import MOST_WOKEN, Plan, fill_places, holds_places, spend_tokens, wake_strays
from tasks.lifecycle.locking import free_lock, hand_over, take_lock
from tasks.lifecycle.losses import forfeit, has_ended_leases, reap, reap_cancelled
from tasks.lifecycle.outcomes import settle
from tasks.lifecycle.requests import cancel, cancel_all, delete, reassign, retry, retry_all, update
from tasks.lifecycle.upkeep import next_due, promote, release_occurrence, remove_ended, rerank, withdraw_occurrence

__all__ = [
    "MOST_WOKEN",
    "Claim",
    "ClaimedTask",
    "Plan",
    "cancel",
    "cancel_all",
    "claim",
    "claimed_before",
    "claimed_under",
    "create",
    "delete",
    "fill_places",
    "forfeit",
    "forget_ends",
    "free_lock",
    "hand_over",
    "has_ended_leases",
    "holds_places",
    "mark_begun",
    "next_due",
    "note_progress",
    "promote",
    "reap",
    "reap_cancelled",
    "reassign",
    "recount",
    "release",
    "release_occurrence",
    "remove_ended",
    "renew",
    "rerank",
    "retry",
    "retry_all",
    "settle",
    "spend_tokens",
    "take_lock",
    "update",
    "wake_strays",
    "withdraw_occurrence",
]
