"""A worker's side of the operations for workers, over HTTP or in the test's own process: one small class, no retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import httpx

LEASED = "taskId fencingToken claimId leaseMs name payload attempt beginFirst"
Lease = Mapping[str, Any]
Send = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Sends a document with variables and returns the body of the answer."""


class Refused(Exception):
    """The first error of an answer."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.extensions = error["extensions"]
        self.code, self.field = self.extensions["code"], self.extensions.get("field")
        super().__init__(f"{self.code}: {error['message']}")


def over_http(client: httpx.Client, token: str) -> Send:
    """Send by HTTP, as the bearer of the token."""

    def send(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = {"query": document, "variables": variables}
        return client.post("/graphql", json=body, headers={"Authorization": f"Bearer {token}"}).json()

    return send


class WorkerClient:
    """A registered worker. Every method is one request, and raises Refused."""

    def __init__(self, send: Send, *handlers: str, **said: Any) -> None:
        self._send = send
        input = {"handlers": list(handlers), **said}
        answer = self.ask("mutation ($input: WorkerInput!) { registerWorker(input: $input) { id } }", input=input)
        self.id: str = answer["registerWorker"]["id"]

    def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of the answer to any document."""
        body = self._send(document, variables)
        if "errors" in body:
            raise Refused(body["errors"][0])
        return body["data"]

    def claim(self, limit: int = 1, *, claim_id: str | None = None, **options: Any) -> list[dict[str, Any]]:
        """What `claimTasks` answers; `options` by their names in the schema."""
        types = {"leaseSeconds": "Int", "waitSeconds": "Int", "repeated": "Boolean"}
        declared = "".join(f", ${name}: {types[name]}" for name in options)
        passed = "".join(f", {name}: ${name}" for name in options)
        document = f"""mutation ($worker: ID!, $claim: ID!, $limit: Int!{declared}) {{
            claimTasks(workerId: $worker, claimId: $claim, limit: $limit{passed}) {{ {LEASED} }} }}"""
        claim_id = claim_id or str(uuid4())
        return self.ask(document, worker=self.id, claim=claim_id, limit=limit, **options)["claimTasks"]

    def take_lock(self, lease: Lease, name: str) -> tuple[str, float]:
        """Verdict and fencing number."""
        document = """mutation ($worker: ID!, $lease: LeaseInput!, $name: String!) {
            takeLock(workerId: $worker, lease: $lease, name: $name) { verdict fencingNumber } }"""
        answer = self.ask(document, worker=self.id, lease=key(lease), name=name)["takeLock"]
        return answer["verdict"], answer["fencingNumber"]

    def free_lock(self, lease: Lease, name: str) -> bool:
        """What `freeLock` answers."""
        document = """mutation ($worker: ID!, $lease: LeaseInput!, $name: String!) {
            freeLock(workerId: $worker, lease: $lease, name: $name) }"""
        return bool(self.ask(document, worker=self.id, lease=key(lease), name=name)["freeLock"])

    def renew(self, leases: Sequence[Lease], lease_seconds: int | None = None) -> list[tuple[str, int]]:
        """Verdict and length of each."""
        document = """mutation ($worker: ID!, $leases: [LeaseInput!]!, $seconds: Int) {
            renewLeases(workerId: $worker, leases: $leases, leaseSeconds: $seconds) { taskId verdict leaseMs } }"""
        answers = self.ask(document, worker=self.id, leases=keys(leases), seconds=lease_seconds)["renewLeases"]
        assert [each["taskId"] for each in answers] == [each["taskId"] for each in leases]
        return [(each["verdict"], each["leaseMs"]) for each in answers]

    def report(self, *outcomes: Mapping[str, Any]) -> list[str]:
        """The verdict of each."""
        document = """mutation ($worker: ID!, $outcomes: [OutcomeInput!]!) {
            reportOutcomes(workerId: $worker, outcomes: $outcomes) { taskId verdict } }"""
        answers = self.ask(document, worker=self.id, outcomes=outcomes)["reportOutcomes"]
        assert [each["taskId"] for each in answers] == [each["taskId"] for each in outcomes]
        return [each["verdict"] for each in answers]

    def on_leases(self, operation: str, leases: Sequence[Lease]) -> Any:
        """What `releaseTasks`, `forfeitTasks` or `beginTasks` answers."""
        document = f"""mutation ($worker: ID!, $leases: [LeaseInput!]!) {{
            {operation}(workerId: $worker, leases: $leases) }}"""
        return self.ask(document, worker=self.id, leases=keys(leases))[operation]

    def heartbeat(self, active: Sequence[str] = (), status: str = "RUNNING") -> list[str]:
        """The tasks that are to be stopped."""
        document = """mutation ($worker: ID!, $active: [ID!], $status: WorkerStatus) {
            heartbeat(workerId: $worker, activeTasks: $active, status: $status) { stopTasks } }"""
        return self.ask(document, worker=self.id, active=active, status=status)["heartbeat"]["stopTasks"]

    def record(self, *records: Mapping[str, Any]) -> int:
        """How many lines were taken."""
        document = """mutation ($worker: ID!, $records: [ProgressInput!]!) {
            recordProgress(workerId: $worker, records: $records) }"""
        return self.ask(document, worker=self.id, records=records)["recordProgress"]

    def enqueue(self, parent: Lease, *inputs: Mapping[str, Any]) -> list[str]:
        """The ids of what was created."""
        document = """mutation ($worker: ID!, $parent: LeaseInput!, $inputs: [ChildTaskInput!]!) {
            enqueueTasks(workerId: $worker, parent: $parent, inputs: $inputs) { id } }"""
        answers = self.ask(document, worker=self.id, parent=key(parent), inputs=inputs)["enqueueTasks"]
        return [each["id"] for each in answers]


def key(lease: Lease) -> dict[str, Any]:
    """What proves to hold a task, of a LeasedTask."""
    return {name: lease[name] for name in ("taskId", "fencingToken", "claimId")}


def keys(leases: Sequence[Lease]) -> list[dict[str, Any]]:
    """The same of each."""
    return [key(lease) for lease in leases]


def completed(lease: Lease, result: Any = None) -> dict[str, Any]:
    """The outcome of a success."""
    return {**key(lease), "kind": "COMPLETED", "result": result}


def failed(lease: Lease, error: str = "it broke", **fields: Any) -> dict[str, Any]:
    """The outcome of a failure that may be retried."""
    return {**key(lease), "kind": "FAILED", "error": error, **fields}
