"""The guard: which addresses pass, that the checked one is the one called, and that TLS keeps the name."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tasks.http_guard import AddressRefused, GuardedTransport, is_public
from tests.integration.handlers.conftest import serve


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:224.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2001:db8::1", False),
        ("fc00::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


def make_client(addresses: list[list[str]], *, allow_private: bool = True, tls: ssl.SSLContext | None = None):
    """A client whose names stand for `addresses`, one list for each time that somebody asks."""
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return addresses[len(asked) - 1]

    transport = GuardedTransport(allow_private=allow_private, remaining_seconds=lambda: 5.0, resolve=resolve, tls=tls)
    return httpx.Client(transport=transport, trust_env=False), asked


def test_the_name_is_resolved_once_and_the_checked_address_is_called(web):
    client, asked = make_client([["127.0.0.1"]])

    with client:
        answer = client.get(f"http://shop.example:{web.port}/a")

    assert answer.status_code == 200
    assert asked == [("shop.example", web.port)]
    assert web.seen[0].headers["host"] == f"shop.example:{web.port}"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_one_private_address_refuses_the_name(web, addresses):
    client, asked = make_client([addresses], allow_private=False)

    with client, pytest.raises(AddressRefused) as refused:
        client.get(f"http://shop.example:{web.port}/")

    assert str(refused.value) == f"shop.example is {addresses[-1]}, which is not on the public internet"
    assert len(asked) == 1
    assert web.seen == []


def test_the_second_address_is_tried_when_the_first_does_not_answer(web):
    client, _ = make_client([["127.0.0.2", "127.0.0.1"]])

    with client:
        assert client.get(f"http://shop.example:{web.port}/").status_code == 200


def test_a_name_without_an_address_is_an_error_of_the_transport():
    client, _ = make_client([[]])

    with client, pytest.raises(httpx.TransportError, match="shop.example has no address"):
        client.get("http://shop.example/")


def test_tls_asks_for_the_name_and_checks_the_certificate_against_it(tmp_path):
    server_side, client_side, names = _tls_pair(tmp_path, "shop.example")
    for web in serve(server_side):
        client, _ = make_client([["127.0.0.1"], ["127.0.0.1"]], tls=client_side)

        with client:
            answer = client.get(f"https://shop.example:{web.port}/")
            with pytest.raises(httpx.TransportError, match="certificate is not valid for 'other.example'"):
                client.get(f"https://other.example:{web.port}/")

        assert answer.status_code == 200
        assert names == ["shop.example", "other.example"]
        assert [seen.headers["host"] for seen in web.seen] == [f"shop.example:{web.port}"]


def _tls_pair(folder, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext, list[str]]:
    """A server context with a certificate for `name`, a client context that trusts it, and the names asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    names: list[str] = []
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(pem)
    server_side.sni_callback = lambda socket, asked, context: names.append(asked)
    client_side = ssl.create_default_context(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())
    return server_side, client_side, names


def test_every_refused_network_is_really_covered():
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7"):
        first, last = ipaddress.ip_network(network)[0], ipaddress.ip_network(network)[-1]
        assert (is_public(str(first)), is_public(str(last))) == (False, False)
