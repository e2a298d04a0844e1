"""The settings of the installation as a whole."""

import os
import re
from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option
from dtq_site.foundation.redis_address import check_dispatch_url, check_redis_url

MOST_API_PROCESSES = 200
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def check_origins(origins: tuple[str, ...]) -> None:
    """Raise ValueError for what no browser would send as the origin of a page."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is no origin; write it like https://app.example.com, in lower case, with no path"
            )


def check_span_exporters(names: tuple[str, ...]) -> None:
    """Raise ValueError for exporters that there are not here."""
    if unknown := set(names) - {"otlp", "console", "none"}:
        raise ValueError(f"{', '.join(sorted(unknown))}: name otlp, console or none")


def check_file(path: str) -> None:
    """Raise ValueError for what is no file that this process can read."""
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ValueError("there is no such file that this process can read")


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
    task_log_level: str = option(
        "",
        env="DTQ_TASK_LOG_LEVEL",
        choices=("debug", "info", "warning", "error"),
        help="the same for the lines about moves of tasks, of which every task makes some at debug; empty is LOG_LEVEL.",
    )
    otlp_endpoint: str = option(
        "",
        env=("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        help="where spans go, by OTLP over HTTP, such as http://localhost:4318; OpenTelemetry has further variables for that.",
    )
    traces_exporter: tuple[str, ...] = option(
        (),
        env="OTEL_TRACES_EXPORTER",
        check=check_span_exporters,
        help="otlp, console or none; empty is otlp if there is an endpoint, else none. Needs the extra otel.",
    )
    tracing_disabled: bool = option(
        False, env="OTEL_SDK_DISABLED", help="whether no spans are gathered, whatever else is set."
    )
    health_file: str = option(
        "",
        env="DTQ_HEALTH_FILE",
        help="the file that a worker or a scheduler keeps fresh while all of its loops turn, for `dtq-healthcheck`; one each.",
    )
    stuck_after: timedelta = option(
        timedelta(minutes=2),
        env="DTQ_STUCK_AFTER",
        minimum=timedelta(seconds=2),
        maximum=timedelta(hours=2),
        help="after how long in one round a loop of a worker or scheduler counts as stuck; well above DTQ_DATABASE_TIMEOUT.",
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
    https_redirect: bool = option(
        False,
        env="DTQ_HTTPS_REDIRECT",
        help="whether pages that are asked for by plain http lead to https; the API, probes and metrics are answered.",
    )
    hsts: timedelta = option(
        timedelta(days=30),
        env="DTQ_HSTS",
        minimum=timedelta(0),
        maximum=timedelta(days=730),
        help="for how long a browser that came by https to a production comes by nothing else; 0s is not at all.",
    )
    static_folder: str = option(
        "",
        env="DTQ_STATIC_FOLDER",
        help="the folder that `manage.py collectstatic` fills for production; empty is static in the data folder.",
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
    database_tls_ca: str = option(
        "",
        env="DATABASE_TLS_CA",
        check=check_file,
        help="the file with the certificates of who vouches for MariaDB or MySQL; then it is spoken to over TLS only, and must "
        "have the name under which it is reached.",
    )
    database_tls_cert: str = option(
        "",
        env="DATABASE_TLS_CERT",
        check=check_file,
        help="the file with our certificate for the database, if it asks.",
    )
    database_tls_key: str = option(
        "", env="DATABASE_TLS_KEY", check=check_file, help="the file with the key of DATABASE_TLS_CERT."
    )
    redis_url: str = option(
        "",
        env="REDIS_URL",
        secret=True,
        check=check_redis_url,
        help="redis://[user:password@]host:6379/0, or redis+sentinel://[user:password@]host:26379,host:26379/master/0; with "
        "rediss for redis over TLS; empty is the embedded Redis, in development only.",
    )
    dispatch_redis_url: str = option(
        "",
        env="DTQ_DISPATCH_REDIS_URL",
        secret=True,
        check=check_dispatch_url,
        help="the Redis that holds the dispatch index, if it is another than REDIS_URL's: most of all "
        "redis+cluster://[user:password@]host:6379,host:6379, with rediss for redis over TLS.",
    )
    redis_host: str = option("", env="REDIS_HOST", help="the Redis server, in place of REDIS_URL.")
    redis_port: int = option(6379, env="REDIS_PORT", minimum=1, maximum=65535, help="the Redis server's port.")
    redis_username: str = option("", env="REDIS_USERNAME", help="the Redis user, where it is not the default one.")
    redis_password: str = option("", env="REDIS_PASSWORD", secret=True, help="the Redis server's password.")
    redis_tls_ca: str = option(
        "",
        env="REDIS_TLS_CA",
        check=check_file,
        help="the file with the certificates of who vouches for the Redis servers; empty is those of this system.",
    )
    redis_tls_cert: str = option(
        "", env="REDIS_TLS_CERT", check=check_file, help="the file with our certificate for Redis, if it asks for one."
    )
    redis_tls_key: str = option(
        "", env="REDIS_TLS_KEY", check=check_file, help="the file with the key of REDIS_TLS_CERT."
    )
    mail_url: str = option(
        "",
        env="EMAIL_URL",
        secret=True,
        help="the mail server, such as smtp+tls://user:password@host:587; empty writes mail into the data folder.",
    )
    mail_from: str = option("dtq@localhost", env="DTQ_MAIL_FROM", help="the sender of mail.")

    @property
    def span_exporters(self) -> tuple[str, ...]:
        """What spans are exported by; nothing if they are not gathered."""
        chosen = self.traces_exporter or (("otlp",) if self.otlp_endpoint else ())
        return () if self.tracing_disabled else tuple(name for name in chosen if name != "none")
