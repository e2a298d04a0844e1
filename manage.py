#!/usr/bin/env python
"""Runs the project's commands; `python manage.py help` lists them."""

import os
import sys


def main() -> None:
    """Run one command; what people can mend ends it with a line, not a traceback."""
    if sys.argv[1:2] == ["healthcheck"]:  # asked every few seconds: what it does not need is not loaded
        from dtq_site.foundation.liveness import main as check

        return check(sys.argv[2:])

    from dtq_site.remote_worker import command_of

    if (command := command_of(sys.argv[1:])) is not None:
        command(sys.argv[2:])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here. Run 'make install', then use .venv/bin/python manage.py.")

    from dtq_site.foundation.errors import DTQError
    from dtq_site.foundation.options import OptionsError

    try:
        execute_from_command_line(sys.argv)
    except OptionsError as error:
        sys.exit("\n".join(f"dtq: {problem}" for problem in error.problems))
    except DTQError as error:
        sys.exit(f"dtq: {error.message}")


if __name__ == "__main__":
    main()
