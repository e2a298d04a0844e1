"""The `task` decorator: what it accepts, what it refuses, and what remains of the function."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest

from tasks import task
from tasks.handling.declaration import Declaration
from tasks.handling.errors import BadDeclaration, PayloadMismatch
from tasks.handling.registry import lookup, registered, withdraw

NO_PRIORITY = "is no priority: use a whole number from -100 to 100 or one of CRITICAL, HIGH, NORMAL, LOW."


def test_a_handler_is_still_the_function():
    @task("add", queue="sums", priority="high", max_retries=7, timeout=30)
    def add(left: int, right: int = 2) -> int:
        """Adds."""
        return left + right

    assert add(1) == 3
    assert add(left=5, right=5) == 10
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Adds.", __name__)
    assert add.name == "add"
    assert add.declaration == Declaration(queue="sums", priority=10, max_retries=7, timeout_seconds=30)
    assert (add.is_async, add.takes_context) == (False, False)


def test_an_async_function_stays_async():
    @task("wait", takes_context=True)
    async def wait(context, seconds: float) -> float:
        return seconds

    assert (wait.is_async, wait.takes_context) == (True, True)
    assert asyncio.run(wait(None, seconds=0.5)) == 0.5


def test_handlers_are_found_by_name():
    @task("first")
    def first(): ...

    known = registered()

    @task("second")
    def second(): ...

    assert lookup("first") is first
    assert lookup("third") is None
    assert dict(known) == {"first": first, "second": second}
    with pytest.raises(TypeError):
        known["third"] = first


def test_a_name_belongs_to_one_function():
    @task("send")
    def send(): ...

    with pytest.raises(BadDeclaration) as refused:

        @task("send")
        def post(): ...

    here = f"{__name__}.test_a_name_belongs_to_one_function.<locals>"
    assert refused.value.message == (
        f"Two functions are declared as 'send': <handler send: {here}.send> and <handler send: {here}.post>. Rename one."
    )
    assert dict(registered()) == {"send": send}


def test_a_second_import_of_a_module_replaces_its_handlers():
    source = "from tasks import task\n@task('again')\ndef again():\n    return {answer}\n"
    module = types.ModuleType("imported_twice")

    exec(source.format(answer=1), module.__dict__)
    exec(source.format(answer=2), module.__dict__)

    assert lookup("again")() == 2


@pytest.mark.parametrize("name", ["a", "0", "send-email", "Video:1080p", "a.b_c", "a" * 100])
def test_names_that_are_allowed(name):
    @task(name)
    def handler(): ...

    assert lookup(name) is handler


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a\n", "a" * 101])
def test_names_that_are_refused(name):
    with pytest.raises(BadDeclaration) as refused:
        task(name)

    assert refused.value.message == (
        f"{name!r} is no handler name: use letters, digits and . _ : - (at most 100), beginning with a letter or digit."
    )
    assert refused.value.field == "name"


def test_a_decorator_without_a_name_says_what_to_write():
    def send(): ...

    with pytest.raises(BadDeclaration) as refused:
        task(send)

    assert refused.value.message == f'A handler needs a name: write @task("send-email"), not @task({send!r}).'


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"queue": "my queue"},
            "'my queue' is no valid name: use letters, digits and . _ - (at most 64), beginning with a letter or digit.",
        ),
        ({"queue": 5}, "queue must be text, not 5."),
        ({"priority": 101}, f"101 {NO_PRIORITY}"),
        ({"priority": "URGENT"}, f"'URGENT' {NO_PRIORITY}"),
        ({"max_retries": -1}, "maxRetries must be from 0 to 1000, not -1."),
        ({"max_retries": 1001}, "maxRetries must be from 0 to 1000, not 1001."),
        ({"max_retries": 1.5}, "maxRetries must be a whole number, not 1.5."),
        ({"max_retries": True}, "maxRetries must be a whole number, not True."),
        ({"timeout": 0}, "timeoutSeconds must be above 0 and at most 2592000."),
        ({"timeout": float("nan")}, "timeoutSeconds must be above 0 and at most 2592000."),
        ({"timeout": "30"}, "timeoutSeconds must be a number, not '30'."),
        ({"lock": 7}, "lock must be text, not 7."),
        ({"lock": "x" * 256}, "A lock's name must have 1 to 255 characters, not 256."),
    ],
)
def test_values_that_are_refused_are_named_at_once(values, message):
    with pytest.raises(BadDeclaration) as refused:
        task("name", **values)

    assert refused.value.message == f"@task('name'): {message}"
    assert dict(registered()) == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(a, /): ...", "@task('name'): a cannot be filled from a payload, whose keys are keyword arguments."),
        (
            "def f(*rest): ...",
            "@task('name'): *rest cannot be filled from a payload, whose keys are keyword arguments.",
        ),
        ("def f():\n  yield", "@task('name'): f yields; a handler returns its result."),
        ("async def f():\n  yield", "@task('name'): f yields; a handler returns its result."),
        ("class f: ...", "@task('name') belongs on a function, not on <class 'made.f'>."),
    ],
)
def test_functions_that_no_payload_can_call_are_refused(source, message):
    namespace = {"__name__": "made"}
    exec(source, namespace)

    with pytest.raises(BadDeclaration) as refused:
        task("name")(namespace["f"])

    assert refused.value.message == message
    assert dict(registered()) == {}


@pytest.mark.parametrize("source", ["def f(): ...", "def f(*, key): ...", "def f(**keys): ..."])
def test_a_context_needs_a_first_argument(source):
    namespace: dict = {}
    exec(source, namespace)

    with pytest.raises(BadDeclaration) as refused:
        task("name", takes_context=True)(namespace["f"])

    assert refused.value.message == "@task('name', takes_context=True) needs a first argument for the context."


def test_a_handler_knows_the_lock_of_a_payload():
    @task("report", lock="report:{account}")
    def report(account: str, day: int = 1) -> None: ...

    assert report.lock_of({"account": "ann"}) == "report:ann"
    with pytest.raises(PayloadMismatch) as refused:
        report.lock_of({"account": None})
    assert refused.value.field == "payload.account"


def test_a_handler_without_a_lock_has_none():
    @task("report")
    def report() -> None: ...

    assert report.lock_of({}) is None


def test_a_lock_that_names_no_argument_is_refused():
    with pytest.raises(BadDeclaration) as refused:

        @task("report", lock="report:{account}:{day}")
        def report(account: str) -> None: ...

    assert (refused.value.field, registered()) == ("lock", {})
    assert refused.value.message == (
        "@task('report'): its lock 'report:{account}:{day}' names 'day', which the function does not take."
    )


def test_limits_that_count_apart_for_no_argument_are_refused():
    with pytest.raises(BadDeclaration) as refused:

        @task("sync", max_running=2, per="{account}")
        def sync(shop: str) -> None: ...

    assert (refused.value.field, registered()) == ("per", {})
    assert refused.value.message == (
        "@task('sync'): its key '{account}' names 'account', which the function does not take."
    )


def test_a_payload_that_cannot_tell_for_what_limits_count_is_refused():
    @task("sync", max_running=2, per="{account}")
    def sync(account: str | None = None) -> None: ...

    sync.check({"account": "ann"})
    with pytest.raises(PayloadMismatch) as refused:
        sync.check({"account": None})
    assert refused.value.field == "payload.account"


def test_a_lock_may_name_what_open_arguments_take():
    @task("report", lock="report:{account}")
    def report(**account: str) -> None: ...

    assert report.lock_of({"account": "ann"}) == "report:ann"


def test_what_is_withdrawn_is_forgotten_and_the_name_is_free_again():
    @task("send-email")
    def theirs() -> None: ...

    @task("daily-report")
    def kept() -> None: ...

    withdraw(["send-email", "no-such"], __name__)
    assert list(registered()) == ["daily-report"]

    @task("send-email")
    def ours() -> None: ...

    withdraw(["send-email"], "tasks.handlers")
    assert lookup("send-email") is ours


def test_the_public_api_is_these_names_and_needs_no_django():
    import subprocess

    import tasks

    program = (
        "import sys, tasks, tasks.handling.discovery\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('django', 'redis', 'graphene', 'channels')])"
    )
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert seen.stdout == "[]\n"
    assert tasks.__all__ == [
        "Discard", "LockUnavailable", "PayloadMismatch", "Retry", "TaskCancelled", "TaskContext", "TimeLimitExceeded",
        "chain", "group", "task",
    ]  # fmt: skip
