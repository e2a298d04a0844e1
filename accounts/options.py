"""The settings of accounts."""

from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option


@dataclass(frozen=True)
class AccountsOptions:
    """Tokens, registration and the limits of signing in."""

    jwt_secret: str = option(
        "",
        env="JWT_SECRET",
        minimum=32,
        secret=True,
        help="the key that signs tokens, at least 32 characters; made up and kept in the data folder in development.",
    )
    jwt_expiration: timedelta = option(
        timedelta(hours=24),
        env="JWT_EXPIRATION",
        minimum=timedelta(seconds=30),
        maximum=timedelta(days=30),
        help="how long an access token is good, such as 15m, 24h or 1d.",
    )
    refresh_expiration: timedelta = option(
        timedelta(days=14),
        env="DTQ_REFRESH_EXPIRATION",
        minimum=timedelta(minutes=1),
        maximum=timedelta(days=365),
        help="how long a refresh token is good.",
    )
    worker_token_expiration: timedelta = option(
        timedelta(days=90),
        env="DTQ_WORKER_TOKEN_EXPIRATION",
        minimum=timedelta(minutes=1),
        maximum=timedelta(days=3650),
        help="how long a worker token is good, if nothing else is said when it is issued.",
    )
    registration: str = option(
        "auto",
        env="DTQ_REGISTRATION",
        choices=("auto", "open", "closed"),
        help="whether anybody may register; auto is open in development and closed in production.",
    )
    login_failures_per_account: int = option(
        10,
        env="DTQ_LOGIN_FAILURES_PER_ACCOUNT",
        minimum=1,
        maximum=10_000,
        help="failed logins a minute with one user name or e-mail address.",
    )
    login_failures_per_address: int = option(
        30,
        env="DTQ_LOGIN_FAILURES_PER_ADDRESS",
        minimum=1,
        maximum=10_000,
        help="failed logins a minute from one network address.",
    )
    registrations_per_address: int = option(
        10,
        env="DTQ_REGISTRATIONS_PER_ADDRESS",
        minimum=1,
        maximum=10_000,
        help="registrations a minute and address, refused ones included.",
    )
    trusted_proxies: int = option(
        0,
        env="DTQ_TRUSTED_PROXIES",
        minimum=0,
        maximum=10,
        help="how many reverse proxies before the API add to X-Forwarded-For; 0 ignores that header.",
    )
