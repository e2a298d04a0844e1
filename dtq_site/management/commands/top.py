"""`manage.py top`: queues, workers and rates, live; once and as plain lines with `--once`, and where there is no terminal."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from rich.console import Console
from rich.live import Live

from dtq_site.foundation.clock import elapsed_clock
from dtq_site.foundation.connections import give_up
from dtq_site.foundation.database import database_clock
from dtq_site.terminal import board as boards
from dtq_site.terminal.board import Board, drawn
from dtq_site.terminal.edge import end_in_order_on_sigterm, error_line, refusals
from dtq_site.terminal.keyboard import END_OF_INPUT, PressedWithin, keys

REFRESH_SECONDS = 1.0
READING_SHARE = 0.1
"""What share of the time may be spent on reading: where a million tasks wait counting them takes a while."""

ESCAPE = "\x1b"
QUIT = ("q", "Q", ESCAPE, END_OF_INPUT)
UNCUT = 10_000
"""So many columns that no line is cut."""


class Command(BaseCommand):
    """Reads, and changes nothing. q, Escape and Ctrl-C end it and leave the terminal as it was."""

    help = "Show queues, workers and rates, once a second; q or Ctrl-C ends it. Plain lines where there is no terminal."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--once`."""
        parser.add_argument("--once", action="store_true", help="print plain lines once, and end")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        """Show the board. Raises CommandError, of one line, if the database refuses at the start."""
        with refusals():
            board = boards.read(database_clock.now())
        if once or not (self.stdout.isatty() and sys.stdin.isatty()):
            console = Console(no_color=True, width=UNCUT)
            with console.capture() as lines:
                console.print(drawn(board))
            self.stdout.write("\n".join(line.rstrip() for line in lines.get().splitlines()))
            return
        end_in_order_on_sigterm()
        with suppress(KeyboardInterrupt), keys() as pressed_within:
            _show_until_quit(board, pressed_within)


def _show_until_quit(board: Board, pressed_within: PressedWithin) -> None:
    console, complaint, took = Console(), "", 0.0
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(drawn(board, console.height, complaint), refresh=True)
            if pressed_within(max(REFRESH_SECONDS, took / READING_SHARE)) in QUIT:
                return
            began = elapsed_clock()
            try:
                board, complaint = boards.read(database_clock.now()), ""
            except (DatabaseError, InterfaceError) as error:
                give_up(connection)
                complaint = f"The database refuses, so this is old: {error_line(error)}."
            took = elapsed_clock() - began
