"""What production refuses and what it warns of: pure, from the values of the settings alone.

A refusal stops every process at its start. A warning is told by `manage.py check --deploy`: what it speaks of may be right
behind a wall that no process can see. Both name the setting that mends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from accounts.options import AccountsOptions
from dtq_site.options import SiteOptions
from tasks.options import TasksOptions

FEWEST_DIFFERENT_CHARACTERS = 8
"""In a secret; 32 random hexadecimal digits have fewer once in ten million times."""

_RANDOM = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))' makes one."


@dataclass(frozen=True)
class Warned:
    """One thing that may be unsafe: its number, which stays, what it is, and how to mend it."""

    number: int
    what: str
    remedy: str


def refusals(site: SiteOptions, accounts: AccountsOptions, *, redis_is_embedded: bool) -> list[str]:
    """Why an installation with these settings must not start; nothing if it may."""
    secret = accounts.jwt_secret
    plain = [origin for origin in site.allowed_origins if not origin.startswith("https:")]
    rules = (
        (not secret, f"JWT_SECRET is missing. Production needs at least 32 random characters; {_RANDOM}"),
        (
            0 < len(set(secret)) < FEWEST_DIFFERENT_CHARACTERS,
            f"JWT_SECRET has too few different characters to be random. Anybody could guess it; {_RANDOM}",
        ),
        (
            not (site.database_url or site.database_host),
            "DATABASE_URL is missing. The SQLite file in the data folder is for development; name a MariaDB or MySQL, or, "
            "for an installation on one machine, a file by sqlite:///…",
        ),
        (redis_is_embedded, "REDIS_URL is missing. The embedded Redis is for development; production needs a server."),
        (
            not site.allowed_hosts,
            "DTQ_ALLOWED_HOSTS is missing. Name the hosts under which the API is reached, such as dtq.example.com.",
        ),
        (
            "*" in site.allowed_hosts,
            "DTQ_ALLOWED_HOSTS='*' lets anybody choose the host in our links. Name the hosts, such as dtq.example.com; a dot "
            "in front, as in .example.com, stands for all names below.",
        ),
        (
            bool(plain),
            f"DTQ_ALLOWED_ORIGINS has {', '.join(plain)}: whoever is on the way could change such a page and use the tokens "
            "of its visitors. Serve it by https, and write https:// here.",
        ),
        (
            site.https_redirect and not accounts.trusted_proxies,
            "DTQ_HTTPS_REDIRECT=true without DTQ_TRUSTED_PROXIES would redirect for ever: only a proxy that is trusted can "
            "say that a request came by https. Set DTQ_TRUSTED_PROXIES to how many there are.",
        ),
    )
    return [problem for broken, problem in rules if broken]


def warnings(
    site: SiteOptions,
    accounts: AccountsOptions,
    tasks: TasksOptions,
    *,
    database: dict[str, Any],
    redis_urls: Sequence[str],
) -> list[Warned]:
    """What may be unsafe about an installation in production with these settings."""
    redis, proxies = [urlsplit(url) for url in redis_urls], accounts.trusted_proxies
    rules = (
        (
            not site.metrics_token,
            Warned(1, "Everybody who reaches the port can read /metrics.", "Set DTQ_METRICS_TOKEN."),
        ),
        (
            any(_is_away(url.hostname) and not url.password for url in redis),
            Warned(
                2,
                "Redis is reached over a network without a password.",
                "Give Redis one (requirepass), and REDIS_PASSWORD or REDIS_URL too.",
            ),
        ),
        (
            _is_away(database.get("HOST")) and not database.get("PASSWORD"),
            Warned(
                3,
                "The database is reached over a network without a password.",
                "Give its user one, and DATABASE_PASSWORD or DATABASE_URL too.",
            ),
        ),
        (
            database["ENGINE"].endswith("sqlite3"),
            Warned(
                4,
                "The tasks are in an SQLite file: one machine, and one writer at a time.",
                "Name a MariaDB or MySQL in DATABASE_URL before there is a second machine.",
            ),
        ),
        (
            not proxies,
            Warned(
                5,
                "No proxy is trusted, so nobody signs in by https, and cookies of the pages need it.",
                "Put a proxy that speaks TLS in front, and set DTQ_TRUSTED_PROXIES to how many there are.",
            ),
        ),
        (
            proxies > 0 and not site.https_redirect,
            Warned(
                6,
                "Pages are served over plain http to whoever asks.",
                "Set DTQ_HTTPS_REDIRECT=true, even where the proxy redirects too.",
            ),
        ),
        (
            not site.hsts,
            Warned(7, "Browsers are not told to insist on https.", "Set DTQ_HSTS to how long they shall, such as 30d."),
        ),
        (
            tasks.allow_private_addresses,
            Warned(
                8,
                "The handler http-request calls private addresses for whoever may create tasks.",
                "Set DTQ_HTTP_ALLOW_PRIVATE=false.",
            ),
        ),
        (
            not site.mail_url,
            Warned(9, "Mail is written into the data folder and reaches nobody.", "Set EMAIL_URL to a mail server."),
        ),
    )
    return [warned for broken, warned in rules if broken]


def _is_away(host: str | None) -> bool:
    """Whether that is another machine; a path is a socket of this one."""
    if not host or host.startswith("/") or host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True
