"""Judges what a run has left behind: one function for each promise. Pure, and made to err on the side of no false alarm.

A rule yields one verdict for each fact that it has judged: None, or what is wrong. What cannot be known for certain, such as
how long a killed handler ran after its last line, is taken to be as it should.
"""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from tasks.domain.states import TERMINAL
from tests.chaos.evidence import WORKER_LOST, Evidence, Execution, Row, Verdicts
from tests.chaos.order import order

OUTPUT_CHARACTERS = 2000

CLOCK_SECONDS = 0.002
"""By how much two readings of one clock may differ for their rounding."""


@dataclass(frozen=True)
class Finding:
    """What became of one rule: how many facts it judged and which of them broke it."""

    rule: str
    judged: int
    violations: tuple[str, ...]


def judge(evidence: Evidence) -> list[Finding]:
    """Apply every rule."""
    findings = []
    for name, rule in RULES.items():
        verdicts = list(rule(evidence))
        findings.append(Finding(name, len(verdicts), tuple(verdict for verdict in verdicts if verdict)))
    return findings


def crashed(evidence: Evidence) -> Verdicts:
    """No process ends unless it is killed, but for a client that has reached the end of its load."""
    for each in evidence.exits:
        right = each.code == -signal.SIGKILL or (each.ends and each.code == 0)
        yield None if right else f"{each.name} ended with {each.code}: {each.output[-OUTPUT_CHARACTERS:]}"


# --- nothing is lost ------------------------------------------------------------------------------------------------


def lost(evidence: Evidence) -> Verdicts:
    """Every creation that was acknowledged has its row, and what was asked for was acknowledged in the end."""
    answered = {accepted.number for accepted in evidence.accepted}
    for number in evidence.asked:
        yield None if number in answered else f"number {number} was asked for and never acknowledged"
    for accepted in evidence.accepted:
        found = accepted.task in evidence.rows
        yield None if found else f"{accepted.task} was accepted (number {accepted.number}) and has no row"


def unfinished(evidence: Evidence) -> Verdicts:
    """Every task has ended, whoever knows of it."""
    for row in evidence.rows.values():
        ended = row.status in TERMINAL
        yield None if ended else f"{row} is {row.status} after {row.attempts} attempts"


def state(evidence: Evidence) -> Verdicts:
    """Every task that has ended did so as it had to: cancelled if that was acknowledged, else as its handler decides.

    A task that has lost too many leases is a dead letter whatever its handler would have made of it.
    """
    for row in evidence.rows.values():
        if row.status not in TERMINAL:
            continue
        end = WORKER_LOST if _is_worker_lost(row) else row.status
        losses = sum(ending.ending == "lost" for ending in evidence.endings_of[row.task])
        if row.task in evidence.cancelled:
            right = end == "CANCELLED"
        elif end == WORKER_LOST:
            right = losses > evidence.promises.max_lost_leases or (losses > 0 and row.attempts > row.max_retries)
        else:
            right = end == evidence.promises.ends[row.name]
        yield None if right else f"{row} ended as {end} after {losses} lost leases: {row.error!r}"


def _is_worker_lost(row: Row) -> bool:
    return row.status == "DEAD_LETTER" and row.error.startswith(WORKER_LOST)


def idempotency(evidence: Evidence) -> Verdicts:
    """One key is one row, and every answer to it names that row."""
    rows, answers = defaultdict(set), defaultdict(set)
    for row in evidence.rows.values():
        rows[row.number].add(row.task)
    for accepted in evidence.accepted:
        answers[accepted.number].add(accepted.task)
    for asked in evidence.asked.values():
        if asked.key is None or not answers[asked.number]:
            continue
        one = len(rows[asked.number]) == 1 and answers[asked.number] <= rows[asked.number]
        told = f"rows {sorted(rows[asked.number])}, answers {sorted(answers[asked.number])}"
        yield None if one else f"key {asked.key} of number {asked.number}: {told}"
    for key, count in Counter(row.key for row in evidence.rows.values() if row.key is not None).items():
        yield None if count == 1 else f"key {key} is that of {count} rows"


# --- one result -----------------------------------------------------------------------------------------------------


def double(evidence: Evidence) -> Verdicts:
    """One claim is one execution and has one outcome; only a lost one may still complete."""
    runs = Counter((execution.task, execution.token) for execution in evidence.executions)
    for (task, token), count in runs.items():
        yield None if count == 1 else f"{task} was executed {count} times under token {token}"
    ends = defaultdict(list)
    for ending in evidence.endings:
        if ending.ending != "refused":
            ends[ending.task, ending.token].append(ending.ending)
    for row in evidence.rows.values():
        if row.status == "COMPLETED":
            ends[row.task, row.settled_token].append("completed")
    for (task, token), names in ends.items():
        allowed = len(names) == 1 or sorted(names) == ["completed", "lost"]
        yield None if allowed else f"{task} has several outcomes under token {token}: {sorted(names)}"


def result(evidence: Evidence) -> Verdicts:
    """What a row has recorded is what the execution with the settled token ended in."""
    for row in evidence.rows.values():
        if row.status not in ("COMPLETED", "FAILED", "DEAD_LETTER") or _is_worker_lost(row):
            continue
        ends = [(each.how, each.result) for each in evidence.executions_of[row.task] if each.token == row.settled_token]
        if row.status == "COMPLETED":
            right = ("returned", row.result) in ends
        else:
            right = any(how not in (None, "returned") for how, _ in ends)
        told = f"{row} is {row.status} with {row.result!r} of token {row.settled_token}"
        yield None if right else f"{told}, whose executions ended in {ends}"


def vanished(evidence: Evidence) -> Verdicts:
    """An execution does not come to nothing: it is settled, or its loss or its refusal is on record."""
    known = {(ending.task, ending.token) for ending in evidence.endings}
    for execution in evidence.executions:
        row = evidence.rows.get(execution.task)
        if row is None or row.status == "CANCELLED":
            continue
        traced = (execution.task, execution.token) in known or row.settled_token == execution.token
        yield None if traced else f"{row}: nothing is left of token {execution.token}, ended {execution.how}"


# --- one at a time, never early -------------------------------------------------------------------------------------


def overlap(evidence: Evidence) -> Verdicts:
    """Two executions of a task overlap only after the earlier one's lease has ended.

    The earlier one was seen to go on after the later had started. Its lease then lasted at least as long as the row once
    said, and as it knew itself; and before the later one was claimed the loss must have been recorded.
    """
    for task, executions in evidence.executions_of.items():
        for index, later in enumerate(executions):
            for earlier in executions[:index]:
                if earlier.token < later.token:
                    yield _overlap(evidence, task, earlier, later)


def _overlap(evidence: Evidence, task: str, earlier: Execution, later: Execution) -> str | None:
    start = later.started_at
    if max(sight.at for sight in earlier.sights) <= start:
        return None
    trusted_at = max((sight.at for sight in earlier.sights if sight.leased), default=0.0)
    until = max(trusted_at, evidence.leased_until.get((task, earlier.token), 0.0))
    told = f"{task}: token {later.token} began at {start:.3f} while token {earlier.token} was running"
    if until > start:
        return f"{told} and leased until {until:.3f} at least"
    losses = [each.at for each in evidence.endings_of[task] if each.token == earlier.token and each.ending == "lost"]
    if not any(at <= start + CLOCK_SECONDS for at in losses):
        return f"{told}, whose lease had not been lost"
    return None


def early(evidence: Evidence) -> Verdicts:
    """No execution starts before the task is due, or before the wait after a failure or a lost lease has passed."""
    for task, executions in evidence.executions_of.items():
        waits = _waits(evidence, task)
        row = evidence.rows.get(task)
        asked = evidence.asked.get(row.number) if row is not None and row.number is not None else None
        for execution in executions:
            moments = [until for token, until in waits if token < execution.token]
            moments += [asked.not_before] if asked else []
            if moments:
                ahead = max(moments) - execution.started_at
                told = f"{task}: token {execution.token} began {ahead:.3f} s early"
                yield told if ahead > CLOCK_SECONDS else None


def _waits(evidence: Evidence, task: str) -> list[tuple[int, float]]:
    """Until when each ended attempt has the task wait, by token.

    From its first loss on a task's start is on record before it happens, so each later loss of one that started counts.
    """
    begun = {execution.token for execution in evidence.executions_of[task]}
    failures = losses = 0
    waits = []
    for ending in evidence.endings_of[task]:
        times = 0
        if ending.ending == "failed":
            times = failures = failures + 1
        elif ending.ending == "lost":
            losses += losses == 0 or ending.token in begun
            times = losses - 1
        if times:
            waits.append((ending.token, ending.at + evidence.promises.backoff_seconds * 2 ** (times - 1)))
    return waits


# --- attempts -------------------------------------------------------------------------------------------------------


def attempts(evidence: Evidence) -> Verdicts:
    """No more attempts than the task has, and failures are what was recorded as such."""
    for row in evidence.rows.values():
        failed = sum(ending.ending == "failed" for ending in evidence.endings_of[row.task])
        if row.attempts > row.max_retries + 1:
            yield f"{row} had {row.attempts} attempts with maxRetries {row.max_retries}"
        elif row.failures != failed:
            yield f"{row} counts {row.failures} failures, of which {failed} are on record"
        else:
            yield None


def charged(evidence: Evidence) -> Verdicts:
    """A task pays for executions that started, not for having been claimed beside one that killed the worker.

    Two starts may be paid for that no handler could write down any more. One that is put on record before it happens, as it is
    after a first loss. And one that had a slot already when its process died: of those there are as many as the process has
    slots in which no other execution is known to have died.
    """
    slots = _slots_of_the_dead(evidence)
    for row in evidence.rows.values():
        started = {execution.token for execution in evidence.executions_of[row.task]}
        losses = [ending for ending in evidence.endings_of[row.task] if ending.ending == "lost"]
        noted = {ending.token for ending in (losses if row.max_retries == 0 else losses[1:])}
        payable = len(started | noted)
        for ending in losses:
            if row.attempts > payable and ending.token not in started | noted and slots[ending.worker]:
                slots[ending.worker] -= 1
                payable += 1
        yield f"{row} is charged {row.attempts} attempts and had {payable}" if row.attempts > payable else None


def _slots_of_the_dead(evidence: Evidence) -> Counter[str | None]:
    """Of each process that lost leases, the slots in which no execution is known to have died with it."""
    cut_off = {(each.task, each.token) for each in evidence.executions if each.how is None}
    lost = [ending for ending in evidence.endings if ending.ending == "lost" and ending.worker is not None]
    died = Counter(ending.worker for ending in lost if (ending.task, ending.token) in cut_off)
    slots = evidence.promises.slots
    return Counter({ending.worker: max(slots - died[ending.worker], 0) for ending in lost})


RULES: dict[str, Callable[[Evidence], Verdicts]] = {
    rule.__name__: rule
    for rule in (
        crashed,
        lost,
        unfinished,
        state,
        idempotency,
        double,
        result,
        vanished,
        overlap,
        early,
        attempts,
        charged,
        order,
    )
}
