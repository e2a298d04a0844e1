"""DTQ as in production: one worker with two processes, and one scheduler."""

from __future__ import annotations

import secrets

from tests.benchmarks.systems import System

DTQ = System(
    title="DTQ",
    is_ours=True,
    application="dtq_app",
    preparation=(("manage.py", "migrate", "--verbosity", "0"),),
    scheduler=("manage.py", "runscheduler"),
    worker=("manage.py", "runworker", "--processes", "2"),
    variables={
        "DTQ_ENV": "production",  # Django keeps a record of every statement in development
        "DTQ_ALLOWED_HOSTS": "localhost",
        "JWT_SECRET": secrets.token_hex(32),
        "DTQ_HANDLERS": "tests.benchmarks.applications.dtq_handlers",
        "LOG_LEVEL": "warning",
        "DTQ_API_RATE": "1000000",  # one account sends all that the measure of the API sends
    },
    configuration="`runworker --processes 2` with its default of five threads a process, beside one `runscheduler`. Tasks, "
    "states and results are rows; Redis has only hints. In bulk `enqueue_many`, a thousand tasks a call.",
)
