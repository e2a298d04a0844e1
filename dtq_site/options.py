"""The settings of the installation as a whole."""

import re
from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option

MOST_API_PROCESSES = 200
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def check_origins(origins: tuple[str, ...]) -> None:
    """Raise ValueError for what no browser would send as the origin of a page."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is no origin; write it like https://app.example.com, in lower case, with no path"
            )


@dataclass(frozen=True)
class SiteOptions:
    """Where the servers are, and how the process presents itself."""

    environment: str = option(
        "development",
        env="DTQ_ENV",
        choices=("development", "production"),
        help="the kind of installation; production refuses unsafe settings.",
    )
    port: int = option(
        3000, env=("PORT", "APP_PORT"), minimum=1, maximum=65535, help="the port of the API and the pages."
    )
    api_processes: int = option(
        1,
        env="DTQ_API_PROCESSES",
        minimum=1,
        maximum=MOST_API_PROCESSES,
        help="how many processes of `manage.py serve` answer on the port.",
    )
    log_level: str = option(
        "info",
        env="LOG_LEVEL",
        choices=("debug", "info", "warning", "error"),
        help="the least important log line that is written.",
    )
    allowed_hosts: tuple[str, ...] = option(
        (),
        env="DTQ_ALLOWED_HOSTS",
        help="the host names under which the API is reached, comma-separated; any name of this machine in development.",
    )
    allowed_origins: tuple[str, ...] = option(
        (),
        env="DTQ_ALLOWED_ORIGINS",
        check=check_origins,
        help="the origins of other sites whose pages may use the API and its WebSocket, such as https://app.example.com, "
        "comma-separated; empty is none but our own.",
    )
    metrics_token: str = option(
        "",
        env="DTQ_METRICS_TOKEN",
        secret=True,
        help="the bearer token without which /metrics is not read; empty lets everybody read it who reaches the port.",
    )
    data_folder: str = option(
        "var", env="DTQ_DATA_FOLDER", help="the folder for the embedded Redis, the SQLite file and development mail."
    )
    database_url: str = option(
        "",
        env="DATABASE_URL",
        secret=True,
        help="mysql://user:password@host:3306/name; empty is an SQLite file in the data folder.",
    )
    database_host: str = option("", env="DATABASE_HOST", help="the database server, in place of DATABASE_URL.")
    database_port: int = option(3306, env="DATABASE_PORT", minimum=1, maximum=65535, help="the database server's port.")
    database_user: str = option("", env="DATABASE_USER", help="the database user.")
    database_password: str = option("", env="DATABASE_PASSWORD", secret=True, help="the database user's password.")
    database_name: str = option("dtq", env="DATABASE_NAME", help="the database's name.")
    database_timeout: timedelta = option(
        timedelta(seconds=30),
        env="DTQ_DATABASE_TIMEOUT",
        minimum=timedelta(seconds=5),
        maximum=timedelta(hours=1),
        help="how long MariaDB or MySQL may take to answer a statement, migrations apart, before it counts as away.",
    )
    redis_url: str = option(
        "",
        env="REDIS_URL",
        secret=True,
        help="redis://[:password@]host:6379/0; empty is the embedded Redis, in development only.",
    )
    redis_host: str = option("", env="REDIS_HOST", help="the Redis server, in place of REDIS_URL.")
    redis_port: int = option(6379, env="REDIS_PORT", minimum=1, maximum=65535, help="the Redis server's port.")
    redis_password: str = option("", env="REDIS_PASSWORD", secret=True, help="the Redis server's password.")
    mail_url: str = option(
        "",
        env="EMAIL_URL",
        secret=True,
        help="the mail server, such as smtp+tls://user:password@host:587; empty writes mail into the data folder.",
    )
    mail_from: str = option("dtq@localhost", env="DTQ_MAIL_FROM", help="the sender of mail.")
