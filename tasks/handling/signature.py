"""Whether a payload fits a function, said in words for the person who wrote the payload."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from typing import Any

from tasks.handling.errors import BadDeclaration, PayloadMismatch


class PayloadSignature:
    """The arguments of a handler that come from the payload. Raises BadDeclaration if no payload could call it."""

    def __init__(self, name: str, function: Callable[..., Any], *, takes_context: bool) -> None:
        if not inspect.isfunction(function):
            raise BadDeclaration(f"@task({name!r}) belongs on a function, not on {function!r}.")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise BadDeclaration(f"@task({name!r}): {function.__qualname__} yields; a handler returns its result.")
        parameters = list(inspect.signature(function).parameters.values())
        context = _taken_context(name, parameters) if takes_context else None
        self._name = name
        # With **kwargs a payload could otherwise name the context's own argument.
        self._refused = {context.name} if context and context.kind is Parameter.POSITIONAL_OR_KEYWORD else set()
        self._open = False
        self._named: dict[str, bool] = {}
        for parameter in parameters:
            if parameter.kind is Parameter.VAR_KEYWORD:
                self._open = True
            elif parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL):
                raise BadDeclaration(
                    f"@task({name!r}): {parameter} cannot be filled from a payload, whose keys are keyword arguments."
                )
            else:
                self._named[parameter.name] = parameter.default is Parameter.empty

    def takes(self, key: str) -> bool:
        """Whether a payload may have that key."""
        return key not in self._refused and (self._open or key in self._named)

    def bind(self, payload: Any) -> dict[str, Any]:
        """The keyword arguments that `payload` gives. Raises PayloadMismatch."""
        if not isinstance(payload, Mapping):
            raise PayloadMismatch(
                f"{self._name} cannot run: its payload must be an object, whose keys are the arguments.",
                field="payload",
            )
        arguments = dict(payload)
        if "type" not in self._named and str(arguments.get("type")).strip() == self._name:
            del arguments["type"]
        missing = [key for key, required in self._named.items() if required and key not in arguments]
        unexpected = [key for key in arguments if not self.takes(key)]
        if missing or unexpected:
            raise self._mismatch(missing, unexpected)
        return arguments

    def _mismatch(self, missing: list[str], unexpected: list[str]) -> PayloadMismatch:
        faults = [f"it lacks {_listed(missing)}"] if missing else []
        faults += [f"it has {_listed(unexpected)}, not expected"] if unexpected else []
        return PayloadMismatch(
            f"{self._name} cannot run with this payload: {'; '.join(faults)}. {self._name} takes {self._taken()}.",
            field=f"payload.{(missing + unexpected)[0]}",
        )

    def _taken(self) -> str:
        named = _listed(self._named)
        if not self._open:
            return named or "no arguments"
        anything = f"{named} and any others" if named else "any arguments"
        return f"{anything}, but not {_listed(self._refused)}" if self._refused else anything


def _taken_context(name: str, parameters: list[Parameter]) -> Parameter:
    """Take the argument for the context off the head of `parameters`."""
    if not parameters or parameters[0].kind not in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
        raise BadDeclaration(f"@task({name!r}, takes_context=True) needs a first argument for the context.")
    return parameters.pop(0)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{name!r}" for name in names)
