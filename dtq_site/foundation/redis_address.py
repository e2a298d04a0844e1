"""What a Redis URL says: where the server is and how one signs in there.

    redis://[user:password@]host[:6379][/0]                              one server
    unix:///path/to/socket[?db=0]                                        one server on this machine
    redis+sentinel://[user:password@]host[:26379],host…/master[/0]       the master that these Sentinels know by that name
    redis+cluster://[user:password@]host[:6379],host…                    a cluster, of which these are some nodes

`rediss` in place of `redis` is the same over TLS, where the server's name is always verified. The query names the files of TLS
and, where Sentinels ask for them, `sentinel_username` and `sentinel_password`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SIGN_IN = ("username", "password")
_SENTINEL_SIGN_IN = ("sentinel_username", "sentinel_password")
_SENTINEL_PORT, _REDIS_PORT = 26379, 6379


class Kind(Enum):
    """What a URL leads to."""

    SERVER = auto()
    SENTINEL = auto()
    CLUSTER = auto()


_KINDS = {
    "redis": Kind.SERVER,
    "rediss": Kind.SERVER,
    "unix": Kind.SERVER,
    "redis+sentinel": Kind.SENTINEL,
    "rediss+sentinel": Kind.SENTINEL,
    "redis+cluster": Kind.CLUSTER,
    "rediss+cluster": Kind.CLUSTER,
}


@dataclass(frozen=True)
class RedisAddress:
    """A URL that was read. That of a single server redis-py understands by itself.

    Else `hosts` are Sentinels or some nodes, and the options are what redis-py is told of a connection to the servers that
    are meant, and to the Sentinels.
    """

    url: str
    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    master: str = ""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict)


@functools.lru_cache
def read_redis_url(url: str) -> RedisAddress:
    """What the URL says. Raises ValueError, which repeats nothing that may be secret."""
    parts = urlsplit(url)
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise ValueError(f"begin it with one of {', '.join(f'{scheme}://' for scheme in _KINDS)}")
    asked = dict(parse_qsl(parts.query))
    _check_query(kind, parts.scheme, asked)
    if kind is Kind.SERVER:
        if parts.scheme != "unix":
            _host(parts.netloc.rpartition("@")[2], _REDIS_PORT)
            _database(parts.path.strip("/"))
        return RedisAddress(url, kind)
    return _read_many(url, kind, parts, asked)


def _read_many(url: str, kind: Kind, parts: SplitResult, asked: Mapping[str, str]) -> RedisAddress:
    sign_in, _, hosts = parts.netloc.rpartition("@")
    user, _, password = sign_in.partition(":")
    found: dict[str, Any] = {"username": unquote(user), "password": unquote(password)} | {
        name: value for name, value in asked.items() if name not in _SENTINEL_SIGN_IN
    }
    options = {name: value for name, value in found.items() if value}
    tls = {name: options[name] for name in TLS_FILES if name in options}
    if parts.scheme.startswith("rediss"):
        options["ssl"] = tls["ssl"] = True
    port = _SENTINEL_PORT if kind is Kind.SENTINEL else _REDIS_PORT
    where = tuple(_host(host, port) for host in hosts.split(","))
    if kind is Kind.CLUSTER:
        if parts.path.strip("/"):
            raise ValueError("a cluster has no databases: end the URL after the nodes")
        return RedisAddress(url, kind, where, options)
    master, _, database = parts.path.strip("/").partition("/")
    if not master:
        raise ValueError("after the Sentinels write the name of the master, such as /mymaster")
    options["db"] = _database(database)
    sentinel = tls | {name.removeprefix("sentinel_"): asked[name] for name in _SENTINEL_SIGN_IN if name in asked}
    return RedisAddress(url, kind, where, options, unquote(master), sentinel)


def _check_query(kind: Kind, scheme: str, asked: Mapping[str, str]) -> None:
    allowed = {*_SIGN_IN}
    if kind is Kind.SERVER:
        allowed.add("db")
    if kind is Kind.SENTINEL:
        allowed.update(_SENTINEL_SIGN_IN)
    if scheme.startswith("rediss"):
        allowed.update(TLS_FILES)
    if unknown := sorted(asked.keys() - allowed):
        raise ValueError(f"its query may name {', '.join(sorted(allowed))}, and not {', '.join(unknown)}")


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        number = parts.port
    except ValueError:
        raise ValueError("each port is a number from 1 to 65535") from None
    if not parts.hostname:
        raise ValueError("name a host, or several with commas between them")
    return parts.hostname, port if number is None else number


def _database(text: str) -> int:
    if not (text or "0").isdecimal():
        raise ValueError("the database is a number, such as /0")
    return int(text or 0)


def with_tls_files(url: str, files: Mapping[str, str]) -> str:
    """The URL with the files of TLS added, by the names of `TLS_FILES`; what it names already stays."""
    parts = urlsplit(url)
    named = {name: path for name, path in files.items() if path} | dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode(named)))


def speaks_tls(url: str) -> bool:
    """Whether what is said to that server is encrypted."""
    return urlsplit(url).scheme.startswith("rediss")


def check_redis_url(url: str) -> None:
    """Raise ValueError for what leads to no single server: the address of everything but the dispatch index."""
    if read_redis_url(url).kind is Kind.CLUSTER:
        raise ValueError("a cluster can hold the dispatch index only: name it in DTQ_DISPATCH_REDIS_URL")


def check_dispatch_url(url: str) -> None:
    """Raise ValueError for what is no address of a Redis."""
    read_redis_url(url)
