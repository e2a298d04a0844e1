"""`manage.py tasks`: lists, one task's story, and changes by id and by condition."""

from __future__ import annotations

import getpass
import json
import sys
from io import StringIO
from uuid import uuid4

import pytest

from accounts.models import AuditEntry
from tasks import bulk
from tasks.domain.outcome import OutcomeKind
from tasks.models import BulkRequest, Task
from tests.integration.graphql.making import finish, make_task, make_worker, start
from tests.integration.terminal.commanding import run
from tests.support.factories import ID_OF_NOTHING

pytestmark = pytest.mark.django_db


def states() -> list[str]:
    return list(Task.objects.order_by("id").values_list("status", flat=True))


def audited() -> list[tuple[str, str, str]]:
    return list(
        AuditEntry.objects.filter(action__startswith="task").order_by("pk").values_list("actor", "action", "target")
    )


ME = f"cli:{getpass.getuser()}"

# --- list ----------------------------------------------------------------------------------------------------------


def test_a_list_has_a_line_for_each_task_the_newest_first():
    first = make_task(queue="mail", priority=7)
    second = finish(make_task("blue"), OutcomeKind.DISCARDED, error="no such address 17\nat all")

    ran = run("tasks", "list")

    head, *lines = [line.split() for line in ran.lines]
    assert head == ["ID", "STATUS", "HANDLER", "QUEUE", "PRIORITY", "ATTEMPTS", "CREATED", "ERROR"]
    assert [line[:6] for line in lines] == [
        [str(second.pk), "FAILED", "send-email", "default", "5", "1"],
        [str(first.pk), "QUEUED", "send-email", "mail", "7", "0"],
    ]
    assert lines[0][-5:] == ["ago", "no", "such", "address", "17"]
    assert ran.err == ""


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ("--queue mail", [0]),
        ("--name send-sms", [1]),
        ("--priority high", [1]),
        ("--team blue", [2]),
        ("--status failed --status dead-letter", [2]),
        ("--error address", [2]),
        ("--search sms", [1]),
        ("--created-after 2020-01-01 --order oldest", [0, 1, 2]),
        ("--created-before 2020-01-01", []),
        ("--limit 1 --offset 1", [1]),
        ("--order priority --limit 1 --status queued --priority 10", [1]),
        (f"--worker {ID_OF_NOTHING}", []),
        (f"--schedule {ID_OF_NOTHING}", []),
    ],
)
def test_a_list_has_the_conditions_of_the_api(conditions: str, found: list[int]):
    made = [make_task(queue="mail"), make_task(name="send-sms", priority="HIGH"), make_task("blue")]
    finish(made[2], OutcomeKind.DISCARDED, error="no such address")

    ran = run("tasks", "list", "--json", *conditions.split())

    assert [json.loads(line)["id"] for line in ran.lines] == [str(made[index].pk) for index in found]


def test_more_tasks_than_the_limit_are_hinted_at_and_none_too():
    assert run("tasks", "list").err == "No task is like that.\n"
    for _ in range(3):
        make_task()

    ran = run("tasks", "list", "--limit", "2")

    assert (len(ran.lines), ran.err) == (3, "There may be more: --offset 2\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("list --status lost", "Error: argument --status: 'lost' is no state: write one of pending, queued"),
        ("list --priority urgent", "Error: argument --priority: 'urgent' is no priority"),
        ("list --limit 5000", "limit must be from 0 to 1,000, not 5,000."),
        ("list --worker me", "'me' is no id of a worker."),
        ("list --team red", "There is no team named 'red'."),
        ("show nothing", "There is no task 'nothing'"),
        ("cancel", "Say which tasks"),
        ("cancel --apply", "Say which tasks"),
        (f"retry {ID_OF_NOTHING}", "There is no task '"),
        ("cancel some --all", "Name tasks by their ids or by conditions"),
    ],
)
def test_wrong_input_is_said_in_one_line(arguments: str, said: str):
    ran = run("tasks", *arguments.split())

    assert ran.err.startswith(said)
    assert (ran.out, ran.err.count("\n")) == ("", 1)
    assert ran.code == (1 if said.startswith("Error:") else 2)  # argparse ends a real process with 2 by itself


# --- show ----------------------------------------------------------------------------------------------------------


def test_a_task_is_told_from_its_creation_to_its_end():
    task = make_task(title="Greet Ann", payload={"email": "ü@example.com"}, max_retries=0)
    finish(task, OutcomeKind.FAILED, error="the server hung up\non us")

    ran = run("tasks", "show", str(task.pk))

    assert ran.lines[0] == "Greet Ann  (send-email)"
    assert ran.lines[1] == "It is a dead letter: attempt 1 of 1 failed too: the server hung up"
    assert "  status      DEAD_LETTER" in ran.lines
    story = ran.lines[ran.lines.index("What happened (UTC)") + 1 : ran.lines.index("Payload") - 1]
    told = [line[23:].partition("  +")[0] if line.startswith("  2") else line for line in story]
    assert told[0] == "Created"
    assert told[1].startswith("Attempt 1 started")
    assert told[2:] == ["Attempt 1 failed", "    the server hung up", "    on us", "Became a dead letter"]
    assert '  "email": "ü@example.com"' in "\n".join(ran.lines)


def test_what_a_running_task_waits_for_and_who_runs_it_is_told():
    worker = make_worker("anna")
    task = start(make_task(), worker.pk)

    ran = run("tasks", "show", str(task.pk), "--json")

    told = json.loads(ran.out)
    assert (told["id"], told["status"], told["payload"]) == (str(task.pk), "PROCESSING", {})
    assert told["explanation"].startswith("It is running: worker ")
    assert told["timeline"][-1]["text"] == "Attempt 1 started by anna"
    assert told["logs"] == []


def test_what_others_have_written_cannot_steer_the_terminal():
    task = make_task(title="a\x1b[2Jb\x9bc\u202ed", payload={"k": "\x9b"})
    finish(task, OutcomeKind.DISCARDED, error="red\x1b[K\ttab\nline")

    for command in (("list",), ("show", str(task.pk)), ("list", "--json"), ("show", str(task.pk), "--json")):
        out = run("tasks", *command).out
        assert not set("\x1b\x9b\u202e") & set(out)
        assert "\\u001b[K" in out
    shown = json.loads(run("tasks", "show", str(task.pk), "--json").out)
    assert (shown["title"], shown["payload"]) == (task.title, {"k": "\x9b"})
    assert "    red\\u001b[K\ttab" in run("tasks", "show", str(task.pk)).lines


# --- retry and cancel ----------------------------------------------------------------------------------------------


def test_tasks_are_changed_by_their_ids_and_the_audit_log_names_the_systems_user():
    first, second, other = make_task(), make_task("blue"), make_task()

    ran = run("tasks", "cancel", str(first.pk), str(second.pk), str(first.pk))

    assert ran.lines == [f"{first.pk}  CANCELLED", f"{second.pk}  CANCELLED"]
    assert (ran.code, states()) == (0, ["CANCELLED", "CANCELLED", "QUEUED"])
    assert audited() == [(ME, "task.cancelled", f"task:{each.pk}") for each in (first, second)]

    assert run("tasks", "retry", str(second.pk)).lines == [f"{second.pk}  QUEUED"]
    assert states() == ["CANCELLED", "QUEUED", "QUEUED"]
    assert audited()[-1] == (ME, "task.retried", f"task:{second.pk}")
    assert Task.objects.get(pk=other.pk).version == other.version


def test_what_cannot_be_changed_is_named_and_the_others_are_changed():
    done, waiting = finish(make_task()), make_task()

    ran = run("tasks", "cancel", str(done.pk), str(waiting.pk))

    assert (ran.code, ran.lines) == (1, [f"{waiting.pk}  CANCELLED"])
    assert ran.err.startswith(f"{done.pk}  ")
    assert "has ended already" in ran.err
    assert states() == ["COMPLETED", "CANCELLED"]


def test_an_unknown_id_among_others_changes_nothing():
    task = make_task()

    assert run("tasks", "cancel", str(task.pk), str(uuid4())).code == 2
    assert (states(), audited()) == (["QUEUED"], [])


def test_conditions_only_count_until_told_otherwise():
    make_task(queue="mail"), make_task(queue="mail"), make_task()

    ran = run("tasks", "cancel", "--queue", "mail")
    assert ran.out == "2 tasks would be cancelled; --apply does it. Nothing has changed.\n"
    assert (states(), audited()) == (["QUEUED"] * 3, [])

    ran = run("tasks", "cancel", "--queue", "mail", "--apply")
    assert ran.out == "2 tasks cancelled.\n"
    assert states() == ["CANCELLED", "CANCELLED", "QUEUED"]
    assert audited() == [(ME, "tasks.cancelled", "tasks")]
    assert AuditEntry.objects.get(action="tasks.cancelled").facts["count"] == 2

    ran = run("tasks", "retry", "--all", "--apply")
    assert (ran.out, states()) == ("2 tasks retried.\n", ["QUEUED"] * 3)
    assert run("tasks", "retry", "--all", "--apply").out == "0 tasks would be retried. Nothing has changed.\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_many_tasks_are_asked_about(monkeypatch: pytest.MonkeyPatch):
    for _ in range(11):
        make_task()
    everything = ("tasks", "cancel", "--all", "--apply")

    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    ran = run(*everything)
    assert (ran.code, ran.err) == (2, "That concerns 11 tasks; nobody can be asked here, so say --yes.\n")

    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    ran = run(*everything)
    assert (ran.code, ran.out, ran.err) == (2, "Cancel 11 tasks? [y/N] ", "Nothing has changed.\n")
    assert (states(), audited()) == (["QUEUED"] * 11, [])

    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert run(*everything).out == "Cancel 11 tasks? [y/N] 11 tasks cancelled.\n"
    assert states() == ["CANCELLED"] * 11


def test_the_scheduler_does_the_rest_of_very_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "CHUNK", 2)
    for _ in range(3):
        make_task()

    ran = run("tasks", "cancel", "--all", "--apply", "--yes")

    assert ran.out == "0 tasks cancelled of 3; the scheduler does the others, in a while.\n"
    assert BulkRequest.objects.count() == 1
