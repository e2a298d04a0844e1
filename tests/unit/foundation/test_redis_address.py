"""What a Redis URL says, and which are refused."""

from __future__ import annotations

import pytest

from dtq_site.foundation.redis_address import (
    Kind,
    check_dispatch_url,
    check_redis_url,
    read_redis_url,
    speaks_tls,
    with_tls_files,
)


@pytest.mark.parametrize("url", ["redis://h", "redis://u:p@h:1/2", "rediss://h?ssl_ca_certs=/ca", "unix:///s?db=0"])
def test_one_server_is_left_to_redis_py(url: str):
    address = read_redis_url(url)

    assert (address.kind, address.url) == (Kind.SERVER, url)


def test_sentinels_are_named_with_the_master_and_both_ways_to_sign_in():
    address = read_redis_url(
        "redis+sentinel://ann:p%40ss@a,b:7,[::1]:8/mymaster/3?sentinel_username=eve&sentinel_password=x%2Fy"
    )

    assert address.kind is Kind.SENTINEL
    assert address.hosts == (("a", 26379), ("b", 7), ("::1", 8))
    assert address.master == "mymaster"
    assert address.options == {"username": "ann", "password": "p@ss", "db": 3}
    assert address.sentinel_options == {"username": "eve", "password": "x/y"}


def test_sentinels_are_spoken_to_over_tls_where_the_master_is():
    address = read_redis_url("rediss+sentinel://a/m?ssl_ca_certs=/ca")

    assert address.options == {"ssl_ca_certs": "/ca", "ssl": True, "db": 0}
    assert address.sentinel_options == {"ssl_ca_certs": "/ca", "ssl": True}


def test_a_cluster_is_named_by_some_of_its_nodes():
    address = read_redis_url("rediss+cluster://:p@a,b:7?ssl_certfile=/c&ssl_keyfile=/k")

    assert (address.kind, address.hosts) == (Kind.CLUSTER, (("a", 6379), ("b", 7)))
    assert address.options == {"password": "p", "ssl_certfile": "/c", "ssl_keyfile": "/k", "ssl": True}


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://:topsecret@h", "begin it with one of"),
        (":topsecret@h", "begin it with one of"),
        ("redis://:topsecret@", "name a host"),
        ("redis://:topsecret@h:0x1", "each port is a number"),
        ("redis://:topsecret@h:99999", "each port is a number"),
        ("redis://:topsecret@h/mymaster", "the database is a number"),
        ("redis://:topsecret@h?socket_timeout=9", "and not socket_timeout"),
        ("redis://:topsecret@h?ssl_ca_certs=/ca", "and not ssl_ca_certs"),
        ("rediss://:topsecret@h?ssl_cert_reqs=none", "and not ssl_cert_reqs"),
        ("rediss://:topsecret@h?ssl_check_hostname=0", "and not ssl_check_hostname"),
        ("redis+sentinel://:topsecret@h", "the name of the master"),
        ("redis+sentinel://:topsecret@h,/m", "name a host"),
        ("redis+sentinel://:topsecret@h/m/x", "the database is a number"),
        ("redis+cluster://:topsecret@h/0", "no databases"),
        ("redis+cluster://:topsecret@h:1,h:x", "each port is a number"),
    ],
)
def test_what_leads_nowhere_is_refused_without_a_word_of_its_secrets(url: str, remedy: str):
    with pytest.raises(ValueError, match=remedy) as refusal:
        check_dispatch_url(url)

    assert "topsecret" not in str(refusal.value)


def test_a_cluster_is_refused_where_one_server_is_needed():
    check_redis_url("redis+sentinel://a/m")
    check_dispatch_url("redis+cluster://a")

    with pytest.raises(ValueError, match="DTQ_DISPATCH_REDIS_URL"):
        check_redis_url("redis+cluster://a")


def test_files_of_tls_are_added_but_to_what_names_its_own():
    files = {"ssl_ca_certs": "/our/ca", "ssl_certfile": "", "ssl_keyfile": "/our/key"}

    assert with_tls_files("rediss://h/0", files) == "rediss://h/0?ssl_ca_certs=%2Four%2Fca&ssl_keyfile=%2Four%2Fkey"
    assert (
        with_tls_files("rediss://h?ssl_ca_certs=/ca", files) == "rediss://h?ssl_ca_certs=%2Fca&ssl_keyfile=%2Four%2Fkey"
    )


def test_a_url_says_whether_it_is_encrypted():
    encrypted = [
        url for url in ("redis://h", "rediss://h", "redis+cluster://h", "rediss+cluster://h") if speaks_tls(url)
    ]

    assert encrypted == ["rediss://h", "rediss+cluster://h"]
