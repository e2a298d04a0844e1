"""The endpoint before an outside judge: every audit of the npm package graphql-http."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AUDITS = 61


def test_every_audit_passes(server_url: str, run_node: Callable[..., Any]):
    verdicts = run_node("audit.cjs", f"{server_url}/graphql")

    assert [verdict for verdict in verdicts if verdict["status"] != "ok"] == []
    assert len({verdict["id"] for verdict in verdicts}) == AUDITS
