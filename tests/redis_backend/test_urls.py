"""What a URL says, and that nothing secret in it is ever shown, however badly it is written."""

from __future__ import annotations

import itertools
import ssl

import pytest

from broker_sched import ConfigurationError
from broker_sched.redis_backend.clients import connect, resolve
from broker_sched.redis_backend.urls import describe, parse, without_login

PREFIX = "bsched:{default}:"
SECRET = "geheim"
# What people put into passwords without writing it as %2F, %3F, …
UNESCAPED = ["/", "?", "#", "@", ":", "%", "&", "=", "[", "]", ",", " ", "\n", "//", "?@", "/@", "@?", "#@", "1?", "1/"]
PLACES = [
    "redis://{}host:1/2",
    "rediss://{}host",
    "unix://{}/run/redis.sock",
    "redis+sentinel://{}a:1,b:2/main",
    "redis+cluster://{}a:1,b:2",
    "redis://{}[::1]:1",
    "carrier-pigeon://{}loft",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("between", UNESCAPED)
def test_no_part_of_a_password_is_shown_however_it_is_written(place: str, between: str) -> None:
    """Whether the URL is understood or not, neither half of `geheim<between>parole` appears."""
    halves = (SECRET, "parole")
    password = between.join(halves)
    for login in (f"user:{password}@", f":{password}@", f"{password}@", ""):
        query = f"?password={password}", f"?sentinel_password={password}", ""
        for url in (place.format(login) + each for each in query):
            shown = [describe(url)]
            try:
                shown += [repr(parse(url)), without_login(url)]
            except ConfigurationError as error:
                assert error.__cause__ is None
                assert error.__suppress_context__ or error.__context__ is None
                shown.append(str(error))
            assert not [text for text in shown if any(half in text for half in halves)], url


@pytest.mark.parametrize(
    ("url", "host", "port", "db", "username", "password"),
    [
        ("redis://", "localhost", 6379, 0, None, None),
        ("redis://h", "h", 6379, 0, None, None),
        ("redis://h:1/2", "h", 1, 2, None, None),
        ("redis://h/?db=3", "h", 6379, 3, None, None),
        ("redis://[::1]:7/1", "::1", 7, 1, None, None),
        ("redis://[fe80::1]", "fe80::1", 6379, 0, None, None),
        ("redis://:p%2F%3F%23%40@h", "h", 6379, 0, None, "p/?#@"),
        ("redis://u:p:q@h", "h", 6379, 0, "u", "p:q"),
        ("redis://u@h", "h", 6379, 0, "u", ""),  # a user without a password logs in all the same
        ("redis://h?username=u&password=p%2B", "h", 6379, 0, "u", "p+"),
    ],
)
def test_a_url_of_one_server_is_understood(
    url: str, host: str, port: int, db: int, username: str | None, password: str | None
) -> None:
    found = resolve(url, PREFIX)
    assert (found.host, found.port, found.db, found.username, found.password) == (host, port, db, username, password)
    settings = connect(url).connection_pool.connection_kwargs
    assert (settings["host"], settings["port"], settings["db"]) == (host, port, db)
    assert (settings.get("username"), settings.get("password")) == (username, password)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/two",
        "redis://h:0",
        "redis://h:99999",
        "redis://h?speed=1",
        "redis://h?ssl_cert_reqs=none",  # no TLS: the option would do nothing
        "redis://h?db=two",
        "redis://h?socket_timeout=0",
        "rediss://h?ssl_cert_reqs=perhaps",
        "rediss://h?ssl_check_hostname=perhaps",
        "rediss://h?ssl_ca_certs=/nowhere/ca.pem",
        "unix://relative/path",
        "unix://",
        "redis+sentinel://h:1/ma in",
        "redis+sentinel://h:1/main?ssl_cert_reqs=none",
        "redis+cluster://h:1/1",
        "redis+cluster://h:1?db=1",
        "redis://h?sentinel_password=x",
    ],
)
def test_what_would_be_ignored_or_misread_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(url)
    with pytest.raises(ConfigurationError):
        resolve(url, PREFIX)


def test_a_message_names_no_option_that_is_not_ours_since_it_may_be_half_a_password() -> None:
    with pytest.raises(ConfigurationError, match="may have these options: username, password") as caught:
        connect("redis://h?password=ge&heim=1")
    assert "heim" not in str(caught.value)


def test_a_setting_of_the_url_goes_before_ours() -> None:
    settings = connect("redis://h?socket_timeout=3&client_name=me").connection_pool.connection_kwargs
    assert (settings["socket_timeout"], settings["client_name"]) == (3.0, "me")
    assert settings["socket_connect_timeout"] == 5.0


def test_tls_checks_the_name_and_the_certificate_unless_the_url_says_otherwise() -> None:
    tls = resolve("rediss://h", PREFIX).tls
    assert tls is not None
    assert (tls.check_hostname, tls.verify_mode) == (True, ssl.CERT_REQUIRED)
    tls = resolve("rediss://h?ssl_check_hostname=no", PREFIX).tls
    assert tls is not None
    assert (tls.check_hostname, tls.verify_mode) == (False, ssl.CERT_REQUIRED)
    tls = resolve("rediss://h?ssl_cert_reqs=none", PREFIX).tls
    assert tls is not None
    assert (tls.check_hostname, tls.verify_mode) == (False, ssl.CERT_NONE)
    assert resolve("redis://h", PREFIX).tls is None


def test_several_hosts_are_taken_apart_in_any_order() -> None:
    for hosts in itertools.permutations(("a.example:1", "[::1]:2", "10.0.0.1:3")):
        found = parse(f"redis+sentinel://{','.join(hosts)}/main/4")
        expected = {"a.example:1": ("a.example", 1), "[::1]:2": ("::1", 2), "10.0.0.1:3": ("10.0.0.1", 3)}
        assert found.hosts == tuple(expected[each] for each in hosts)
        assert (found.service, found.db) == ("main", 4)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://me:geheim@host:1/2", "redis://host:1/2"),
        ("rediss://host?password=geheim", "rediss://host"),
        ("redis://me:geheim@host/?db=3", "redis://host/?db=3"),
        ("unix://:geheim@/run/redis.sock?db=3", "unix:///run/redis.sock?db=3"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis+sentinel://a:1,b:2/main/4?sentinel_password=geheim", "redis+sentinel://a:1,b:2/main/4"),
        ("redis+cluster://:geheim@a:1,b:2", "redis+cluster://a:1,b:2"),
        ("redis://:geheim@a?replicas_ack=2&client_name=me", "redis://a?replicas_ack=2"),
        ("redis://a?db=3&replicas_ack=1", "redis://a?db=3&replicas_ack=1"),
    ],
)
def test_a_url_without_its_login_leads_to_the_same_place(url: str, told: str) -> None:
    assert without_login(url) == told
    here, there = parse(url), parse(told)
    assert (here.hosts, here.unix_path, here.service, here.db) == (
        there.hosts,
        there.unix_path,
        there.service,
        there.db,
    )
