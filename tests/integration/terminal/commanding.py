"""Commands run in the test's process and transaction: what they write, and with what they end."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO

from django.core.management import CommandError, call_command


@dataclass(frozen=True)
class Ran:
    """One run of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it wrote to standard output."""
        return self.out.splitlines()


def run(*command: str) -> Ran:
    """Run it as `manage.py` would, which writes a refusal to standard error and ends with its code."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command(*command, stdout=out, stderr=err)
    except CommandError as refusal:
        code = refusal.returncode
        err.write(f"{refusal}\n")
    except SystemExit as end:
        code = end.code
    return Ran(code, out.getvalue(), err.getvalue())
