"""Lua scripts as source files whose head is their signature.

A script begins with comment lines of this form, read by this loader:

    -- take: hand over the first `limit` ready tasks of the lanes that the caller names.
    -- KEYS inflight whole
    -- ARGV limit:number names:json
    -- RETURNS a list of members, or LOST
    -- KEEPS a member is in a lane or in flight, never in both

The loader puts them before the script as Lua locals, so the script says ``KEYS.inflight`` and ``limit``, and Python says
``keys={"inflight": …}, limit=…``. A wrong or missing name raises TypeError before Redis is called.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

_READ = {"number": "tonumber(ARGV[{0}])", "text": "ARGV[{0}]", "json": "cjson.decode(ARGV[{0}])"}


class LuaScript:
    """One script, callable by the names in its head."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._keys = _head(source, "KEYS").split()
        arguments = [item.partition(":") for item in _head(source, "ARGV").split()]
        self._arguments = {argument: kind or "text" for argument, _, kind in arguments}
        self.text = f"{self._prelude()}\n{source}"
        self._sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: Redis, *, keys: Mapping[str, str], **arguments: Any) -> Any:
        """Run the script and return its answer. Loads it into Redis when Redis does not have it."""
        self._check("key", keys, self._keys)
        self._check("argument", arguments, self._arguments)
        values = [keys[name] for name in self._keys]
        for name, kind in self._arguments.items():
            values.append(json.dumps(arguments[name]) if kind == "json" else arguments[name])
        try:
            return client.evalsha(self._sha, len(self._keys), *values)
        except NoScriptError:
            return client.eval(self.text, len(self._keys), *values)

    def _check(self, what: str, given: Mapping[str, Any], declared: Any) -> None:
        if set(given) != set(declared):
            raise TypeError(f"script {self.name}: {what}s are {sorted(declared)}, not {sorted(given)}")

    def _prelude(self) -> str:
        keys = ", ".join(f"{name} = KEYS[{number}]" for number, name in enumerate(self._keys, 1))
        lines = [f"local KEYS = {{{keys}}}"]
        for number, (name, kind) in enumerate(self._arguments.items(), 1):
            lines.append(f"local {name} = {_READ[kind].format(number)}")
        return "\n".join(lines)


def _head(source: str, word: str) -> str:
    match = re.search(rf"^-- {word}\b(.*)$", source, re.MULTILINE)
    if match is None:
        raise ValueError(f"the script's head has no line '-- {word}'")
    return match[1]


def load_script(path: Path) -> LuaScript:
    """Read the script in the file `path`; its name is the file's."""
    return LuaScript(path.stem, path.read_text())
