"""Where a request comes from, behind any number of proxies."""

import pytest

from accounts.client_address import UNKNOWN, address_block, client_address


def test_without_trusted_proxies_the_header_counts_for_nothing():
    assert client_address("192.0.2.7", "198.51.100.1", 0) == "192.0.2.7"


def test_the_client_is_counted_from_the_right_by_the_number_of_proxies():
    header = "203.0.113.66, 198.51.100.1, 10.0.0.1"

    assert client_address("10.0.0.2", header, 1) == "10.0.0.1"
    assert client_address("10.0.0.2", header, 2) == "198.51.100.1"


def test_what_a_client_invents_stays_left_of_what_counts():
    invented = "1.1.1.1, 2.2.2.2"

    assert client_address("10.0.0.2", f"{invented}, 198.51.100.1", 1) == "198.51.100.1"


def test_fewer_entries_than_proxies_leave_the_leftmost():
    assert client_address("10.0.0.2", "198.51.100.1", 3) == "198.51.100.1"


def test_without_the_header_or_with_nonsense_in_it_the_peer_counts():
    assert client_address("10.0.0.2", None, 1) == "10.0.0.2"
    assert client_address("10.0.0.2", " , ", 1) == "10.0.0.2"
    assert client_address("10.0.0.2", "localhost", 1) == "10.0.0.2"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_an_address_is_read_in_every_usual_spelling(written: str, address: str):
    assert client_address(None, written, 1) == address


@pytest.mark.parametrize("peer", [None, "", "/run/dtq.sock"])
def test_a_peer_without_an_address_is_unknown(peer: str | None):
    assert client_address(peer, None, 0) == UNKNOWN


def test_one_client_is_an_ipv4_address_or_a_64_bit_network_of_ipv6():
    assert address_block("192.0.2.7") == "192.0.2.7"
    assert address_block("2001:db8:1:2:aaaa::1") == address_block("2001:db8:1:2:bbbb::9") == "2001:db8:1:2::/64"
    assert address_block(UNKNOWN) == UNKNOWN
