"""The commands of a machine that has no database: `dtq-worker` and `dtq-worker-store`. No Django here.

`manage.py runworker --server …` and `manage.py worker_store` are the same.
"""

from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from dtq_site.foundation.errors import BadInput, DTQError
from dtq_site.foundation.logging import apply, log_events
from dtq_site.foundation.observer import Observer
from dtq_site.foundation.options import OptionsError, parse_duration, show
from dtq_site.settings_remote import RemoteSettings, names_server, read_settings
from dtq_site.spans import gather_spans
from tasks.domain.submission import check_queue
from tasks.handling import discovery, registry
from workers.offline.contents import describe
from workers.options import RemoteOptions, check_server
from workers.runtime.events import LEVELS
from workers.runtime.remote import RemoteWorkers

_LEASE_SECONDS = timedelta(seconds=15), timedelta(days=24)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a remote worker until SIGTERM or Ctrl-C; ends the process with its exit code."""
    sys.exit(_explained(lambda settings: _run(settings, arguments)))


def show_store(arguments: Sequence[str] | None = None) -> None:
    """Print what the store of a remote worker holds."""
    sys.exit(_explained(lambda settings: _show(settings.remote, arguments)))


def command_of(arguments: Sequence[str]) -> Callable[[Sequence[str]], None] | None:
    """The command that these arguments of manage.py mean, if it is one that needs no Django."""
    command, *rest = arguments or [""]
    if command == "worker_store":
        return show_store
    told = any(argument == "--server" or argument.startswith("--server=") for argument in rest)
    return main if command == "runworker" and (told or names_server()) else None


def _explained(command: Callable[[RemoteSettings], int]) -> int:
    """What people can mend is a line, not a traceback."""
    try:
        return command(read_settings())
    except OptionsError as error:
        problems = error.problems
    except DTQError as error:
        problems = [error.message]
    for problem in problems:
        print(f"dtq: {problem}", file=sys.stderr)
    return 1


# --- running -------------------------------------------------------------------------------------------------------


def _run(settings: RemoteSettings, arguments: Sequence[str] | None) -> int:
    parser = _parser(settings)
    said = parser.parse_args(arguments)
    if not said.server:
        parser.error("name the server: --server https://dtq.example.com/graphql, or DTQ_SERVER")
    workers = _workers(parser, said, settings)
    sys.path.insert(0, str(Path.cwd()))  # an installed command does not look there for handlers by itself
    discovery.discover([], settings.handlers)
    if not registry.registered():
        parser.error("no handlers were found; name modules with handlers in DTQ_HANDLERS")
    apply(settings.logging)
    gather_spans(settings.site)
    return workers.run(Observer(log_events("dtq.worker", LEVELS)))


def _parser(settings: RemoteSettings) -> ArgumentParser:
    remote, workers = settings.remote, settings.workers
    parser = ArgumentParser(
        prog="dtq-worker",
        description="Run tasks on a machine that has nothing but an HTTPS address and a token. While the server cannot be "
        "reached the worker goes on with what it holds; outcomes are kept on this disk and delivered later, by the next "
        "worker that is started here if need be. Modules with handlers are named in DTQ_HANDLERS.",
    )
    add_remote_arguments(parser, remote)
    parser.add_argument("--queues", default="", help="the queues to serve, comma-separated (default: all)")
    parser.add_argument("--concurrency", type=int, default=workers.concurrency, help="tasks at once in a process")
    parser.add_argument("--processes", type=int, default=1, help="how many processes (default: 1)")
    parser.add_argument(
        "--health-file",
        default=settings.site.health_file,
        help="the file to keep fresh while all loops turn, for dtq-healthcheck (default: none)",
    )
    parser.add_argument("--name", default=socket.gethostname(), help="the worker's name for people")
    return parser


def add_remote_arguments(parser: ArgumentParser, remote: RemoteOptions) -> None:
    """Declare what only a remote worker has."""
    parser.add_argument(
        "--server", default=remote.server, help="the GraphQL endpoint, such as https://dtq.example.com/graphql"
    )
    parser.add_argument("--token-file", default=remote.token_file, help="the file with the worker token")
    parser.add_argument("--store", default=remote.store, help=f"the folder of what it keeps (default: {remote.store})")
    parser.add_argument(
        "--prefetch", type=int, default=remote.prefetch, help="tasks to hold ahead, for times without the server"
    )
    parser.add_argument(
        "--offline-for",
        default=show(remote.offline_for),
        help="how long tasks stay this worker's while it is cut off, such as 4h, as far as the server grants it",
    )


def _workers(parser: ArgumentParser, said: Namespace, settings: RemoteSettings) -> RemoteWorkers:
    for name, value, least, most in (
        ("--concurrency", said.concurrency, 1, 1000),
        ("--processes", said.processes, 1, 200),
        ("--prefetch", said.prefetch, 0, 10_000),
    ):
        if not least <= value <= most:
            parser.error(f"{name} must be from {least} to {most}, not {value}")
    try:
        check_server(said.server)
        queues = tuple(check_queue(name) for name in said.queues.split(",") if name.strip())
        offline_for = parse_duration(said.offline_for)
        if not _LEASE_SECONDS[0] <= offline_for <= _LEASE_SECONDS[1]:
            raise ValueError(f"--offline-for must be from {show(_LEASE_SECONDS[0])} to {show(_LEASE_SECONDS[1])}")
    except (ValueError, BadInput) as error:
        parser.error(str(error))
    return RemoteWorkers(
        server=said.server,
        token=_token(parser, said, settings.remote),
        name=said.name,
        queues=queues,
        concurrency=said.concurrency,
        processes=said.processes,
        prefetch=said.prefetch,
        offline_for=offline_for,
        store=Path(said.store).expanduser(),
        options=settings.workers,
        health_file=said.health_file,
        stuck_after=settings.site.stuck_after,
    )


def _token(parser: ArgumentParser, said: Namespace, remote: RemoteOptions) -> Callable[[], str]:
    """How to get the token. A file is read anew each time: a new token takes effect without a restart."""
    if not said.token_file:
        if not remote.token:
            parser.error("give it a token: --token-file FILE, or DTQ_TOKEN; the command issue_worker_token makes one")
        return lambda: remote.token
    path = Path(said.token_file).expanduser()
    try:
        path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"the token cannot be read from {path}: {error}")
    return lambda: path.read_text().strip()


# --- looking -------------------------------------------------------------------------------------------------------


def _show(remote: RemoteOptions, arguments: Sequence[str] | None) -> int:
    parser = ArgumentParser(prog="dtq-worker-store", description="Print what a remote worker keeps on this disk.")
    parser.add_argument("--store", default=remote.store, help=f"the folder (default: {remote.store})")
    print("\n".join(describe(Path(parser.parse_args(arguments).store).expanduser())))
    return 0
