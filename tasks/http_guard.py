"""HTTP connections that a payload cannot turn against the network they are made from.

Every connection asks for the name once, checks all addresses of the answer and goes to one of those checked, so a name
server cannot show the check one address and the connection another. TLS and the Host header keep the name. One deadline
holds for everything, however slowly the other side sends. Knows nothing of tasks.
"""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore
import httpx

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], list[str]]


class AddressRefused(Exception):
    """The name stands for an address that must not be called."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it is an IPv4 one dressed as IPv6."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        inner = _embedded(parsed)
        if inner is None:
            return parsed in _GLOBAL_UNICAST and parsed.sixtofour is None and parsed.is_global
        parsed = inner
    return parsed.is_global and not parsed.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, in the order in which they should be tried. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class GuardedTransport(httpx.BaseTransport):
    """Carries the requests of an `httpx.Client` over checked connections; uses no proxy.

    `remaining_seconds` tells how long connecting, sending and receiving may take from now on. Raises AddressRefused,
    `httpx.LocalProtocolError` for a request that cannot be sent, and `httpx.TransportError` for an exchange that failed.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        remaining_seconds: Callable[[], float],
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        backend = _GuardedBackend(allow_private, remaining_seconds, resolve)
        self._pool = httpcore.ConnectionPool(ssl_context=tls or _trusted_authorities(), network_backend=backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer, its body still to be read."""
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
        )
        with _errors_of_httpx(request):
            answer = self._pool.handle_request(asked)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer, request), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


@functools.cache
def _trusted_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx(self._request):
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _errors_of_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except httpcore.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error), request=request) from error
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException("no answer in time", request=request) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.TransportError(str(error) or type(error).__name__, request=request) from error


class _GuardedBackend(httpcore.NetworkBackend):
    def __init__(self, allow_private: bool, remaining_seconds: Callable[[], float], resolve: Resolve) -> None:
        self._allow_private = allow_private
        self._remaining_seconds = remaining_seconds
        self._resolve = resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._checked_addresses(host, port):
            try:
                wait = _left(self._remaining_seconds)
                stream = self._sockets.connect_tcp(address, port, wait, local_address, socket_options)
                return _TimedStream(stream, self._remaining_seconds)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolve(host, port)
        except UnicodeError:
            raise AddressRefused(f"{host} is no host name") from None
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address: {error.strerror}") from error
        refused = [] if self._allow_private else [address for address in addresses if not is_public(address)]
        if refused:
            raise AddressRefused(f"{host} is {', '.join(refused)}, which is not on the public internet")
        return addresses


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every single wait ends at the common deadline."""

    def __init__(self, stream: httpcore.NetworkStream, remaining_seconds: Callable[[], float]) -> None:
        self._stream = stream
        self._remaining_seconds = remaining_seconds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._remaining_seconds))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._remaining_seconds))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._remaining_seconds))
        return _TimedStream(stream, self._remaining_seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(remaining_seconds: Callable[[], float]) -> float:
    """How long one wait may take. A socket would take 0 for "do not wait" and go on if there is anything to read."""
    seconds = remaining_seconds()
    if seconds <= 0:
        raise httpcore.ReadTimeout
    return seconds
