"""`manage.py tasks`: list tasks, show one, retry and cancel them; for people at the server's terminal."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.graphql.arguments import DEFAULT_LIMIT, read_page
from accounts.identity import Identity
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput, Conflict
from dtq_site.terminal import dossier
from dtq_site.terminal.conditions import add_conditions, read_conditions
from dtq_site.terminal.edge import REFUSED, harmless, operator, refusals, task_named, while_somebody_reads
from tasks import bulk, changes, selectors
from tasks.bulk import BulkVerb
from tasks.filters import TaskFilter
from tasks.listing import TaskOrder
from tasks.models import Task

MANY = 10
"""More tasks than that are changed only after a question."""

LOG_LINES = 20
SOME_REFUSED = 1

_ONE = {BulkVerb.CANCEL: changes.cancel_task, BulkVerb.RETRY: changes.retry_task}
_DONE = {BulkVerb.CANCEL: "cancelled", BulkVerb.RETRY: "retried"}
_HELP = {
    BulkVerb.CANCEL: "call off tasks that have not ended",
    BulkVerb.RETRY: "run FAILED, DEAD_LETTER and CANCELLED tasks again, now",
}


class Command(BaseCommand):
    """One subcommand for each thing that one does with tasks; the log of what operators did names the system's user."""

    help = (
        "List, show, retry and cancel tasks. Ends with 0; with 1 if some tasks could not be changed; with 2 if refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list | show | retry | cancel")
        listing = verbs.add_parser("list", help="the newest tasks, or those that meet conditions")
        add_conditions(listing)
        orders = [order.name.lower() for order in TaskOrder]
        listing.add_argument("--order", choices=orders, default="newest", help="newest, if left out")
        listing.add_argument("--limit", type=int, default=DEFAULT_LIMIT, help=f"how many; {DEFAULT_LIMIT} by default")
        listing.add_argument("--offset", type=int, default=0, help="how many to pass over first")
        listing.add_argument("--json", action="store_true", help="an object a line")
        listing.set_defaults(act=self._list)
        showing = verbs.add_parser("show", help="all about one task: why it does not run, what happened, its log")
        showing.add_argument("id", help="the task's id")
        showing.add_argument("--log", type=int, default=LOG_LINES, help=f"lines of its log; {LOG_LINES} by default")
        showing.add_argument("--json", action="store_true", help="one object, with the whole log")
        showing.set_defaults(act=self._show)
        for verb, help_ in _HELP.items():
            self._declare_change(verbs.add_parser(verb.value, help=help_), verb)

    def _declare_change(self, parser: ArgumentParser, verb: BulkVerb) -> None:
        parser.add_argument("ids", nargs="*", metavar="id", help="these tasks; without an id, name conditions")
        add_conditions(parser)
        parser.add_argument("--all", action="store_true", help="all tasks: instead of conditions")
        parser.add_argument(
            "--apply", action="store_true", help="do it to what meets the conditions; without it they are only counted"
        )
        parser.add_argument("--yes", action="store_true", help=f"do not ask, even about more than {MANY} tasks")
        parser.set_defaults(act=self._change, change=verb)

    def handle(self, *args: Any, act: Callable[[Identity, Mapping[str, Any]], None], **options: Any) -> None:
        """Do what the subcommand says. Raises CommandError, of one line, if that is refused."""
        with refusals(), while_somebody_reads():
            act(operator(), options)

    def _list(self, who: Identity, options: Mapping[str, Any]) -> None:
        limit, offset = read_page(options["limit"], options["offset"])
        order = TaskOrder[options["order"].upper()]
        wanted = read_conditions(options)
        page = selectors.tasks(who, wanted, order, limit, offset=offset, without=dossier.BRIEFLY_UNREAD)
        if options["json"]:
            for task in page.tasks:
                self._say(json.dumps(dossier.brief(task), ensure_ascii=False))
            return
        for line in dossier.table(page.tasks, database_clock.now()):
            self._say(line)
        if not page.tasks:
            self.stderr.write("No task is like that.")
        elif page.end is not None:
            self.stderr.write(f"There may be more: --offset {offset + len(page.tasks)}")

    def _show(self, who: Identity, options: Mapping[str, Any]) -> None:
        task, now = task_named(options["id"], who), database_clock.now()
        if options["json"]:
            self._say(json.dumps(dossier.whole(task, now), ensure_ascii=False))
            return
        for line in dossier.as_text(task, now, max(options["log"], 0)):
            self._say(line)

    def _say(self, line: str) -> None:
        self.stdout.write(harmless(line))

    def _change(self, who: Identity, options: Mapping[str, Any]) -> None:
        verb, wanted = options["change"], read_conditions(options)
        if options["ids"] and not (wanted.is_empty and not options["all"]):
            raise BadInput("Name tasks by their ids or by conditions, not by both.")
        if options["ids"]:
            self._change_each(verb, [task_named(text, who) for text in dict.fromkeys(options["ids"])], who, options)
        elif wanted.is_empty and not options["all"]:
            raise BadInput("Say which tasks: by their ids, by conditions such as --queue mail, or --all.")
        else:
            self._change_matching(verb, wanted, who, options)

    def _change_each(self, verb: BulkVerb, tasks: Sequence[Task], who: Identity, options: Mapping[str, Any]) -> None:
        self._ask(verb, len(tasks), options)
        refused = 0
        for task in tasks:
            try:
                changed = _ONE[verb](task, who, database_clock.now())
            except Conflict as error:
                refused += 1
                self.stderr.write(f"{task.pk}  {error.message}")
            else:
                self.stdout.write(f"{task.pk}  {changed.status}")
        if refused:
            raise SystemExit(SOME_REFUSED)

    def _change_matching(self, verb: BulkVerb, wanted: TaskFilter, who: Identity, options: Mapping[str, Any]) -> None:
        count = bulk.count(verb, wanted, database_clock.now())
        if not options["apply"] or not count:
            more = "; --apply does it" if count else ""
            self.stdout.write(f"{_tasks(count)} would be {_DONE[verb]}{more}. Nothing has changed.")
            return
        self._ask(verb, count, options)
        answer = changes.request_bulk(verb, wanted, who, database_clock.now())
        rest = "" if answer.done == answer.count else f" of {answer.count:,}; the scheduler does the others, in a while"
        self.stdout.write(f"{_tasks(answer.done)} {_DONE[verb]}{rest}.")

    def _ask(self, verb: BulkVerb, count: int, options: Mapping[str, Any]) -> None:
        """Let the operator think twice about many tasks. Raises CommandError unless the answer is yes."""
        if count <= MANY or options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(
                f"That concerns {_tasks(count)}; nobody can be asked here, so say --yes.", returncode=REFUSED
            )
        self.stdout.write(f"{verb.value.capitalize()} {_tasks(count)}? [y/N] ", ending="")
        self.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing has changed.", returncode=REFUSED)


def _tasks(count: int) -> str:
    return f"{count:,} task{'' if count == 1 else 's'}"
