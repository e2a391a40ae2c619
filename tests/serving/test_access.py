from __future__ import annotations

from http import HTTPStatus

import pytest

from facestream.errors import ConfigError
from facestream.serving.access import Access, given_secret, host_name, is_loopback, networks, refuse_token
from facestream.serving.routes import Role
from facestream.serving.tokens import as_subprotocol, new_token

EVERYWHERE = Access("0.0.0.0")
CALLED = Access("0.0.0.0", allow_hosts=frozenset({"cam.example", "*.home.example"}))
_, VIEWER = new_token("ada", [Role.VIEW], now=0, lifetime=100)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    assert is_loopback(host)
    Access(host).check_bind(locked=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.4", "example.org"])
def test_another_address_needs_one_and_the_error_says_how(host):
    with pytest.raises(ConfigError, match=r"tokens add NAME.*--token or FACESTREAM_TOKEN"):
        Access(host).check_bind(locked=False)
    Access(host).check_bind(locked=True)


@pytest.mark.parametrize(
    ("access", "readable"),
    [
        (Access("127.0.0.1"), False),
        (Access("0.0.0.0"), True),
        (Access("192.168.1.4"), True),
        (Access("0.0.0.0", tls=True), False),
        (Access("0.0.0.0", proxies=networks(["10.0.0.7"])), False),
    ],
)
def test_what_other_machines_get_without_tls_can_be_read_on_the_way(access, readable):
    assert access.is_readable_on_the_way is readable


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer s3cret"}, {}),
        ({"Authorization": "bearer s3cret "}, {}),
        ({}, {"token": ["s3cret"]}),
        ({"Authorization": "Basic eDp5"}, {"token": ["s3cret"]}),
        ({"Sec-WebSocket-Protocol": f"facestream, {as_subprotocol('s3cret')}"}, {}),
    ],
)
def test_a_token_is_shown_in_three_ways(headers, query):
    assert given_secret(headers, query) == "s3cret"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({}, {"token": [""]}),
        ({"Authorization": "Basic s3cret"}, {}),
        ({"Sec-WebSocket-Protocol": "facestream, facestream.token.%%%"}, {}),
        ({"Sec-WebSocket-Protocol": "facestream.token.____"}, {}),
    ],
)
def test_in_any_other_it_is_not(headers, query):
    assert given_secret(headers, query) == ""


@pytest.mark.parametrize(
    ("secret", "token", "role", "now", "refused"),
    [
        ("s", VIEWER, Role.VIEW, 0, None),
        ("", None, Role.VIEW, 0, (401, "token-missing")),
        ("s", None, Role.VIEW, 0, (401, "token-wrong")),
        ("s", VIEWER, Role.VIEW, 100, (401, "token-expired")),
        ("s", VIEWER, Role.CONTROL, 0, (403, "wrong-role")),
    ],
)
def test_a_token_is_good_for_its_roles_until_it_expires(secret, token, role, now, refused):
    refusal = refuse_token(secret, token, role, now)
    assert refused == (refusal and (refusal.status, refusal.code))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("cam.example:443", "https://cam.example:443"),
        ("CAM.example", "https://cam.example"),
        ("[::1]:8765", "http://[::1]:8765"),
        ("x", "https://app.example"),
        ("x", None),
    ],
)
def test_our_own_page_allowed_pages_and_programs_may_connect(host, origin):
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert Access("x", frozenset({"https://app.example"})).refuse_origin(headers) is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:9999", "null", "", "http://127.0.0.1:8765.evil.example", "http://[::1"],
)
def test_other_pages_may_not(origin):
    headers = {"Host": "127.0.0.1:8765", "Origin": origin}
    assert Access("127.0.0.1").refuse_origin(headers).status is HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1", "[::1]:80", "LOCALHOST"])
def test_on_loopback_we_answer_to_our_own_names(host):
    assert Access("127.0.0.1").refuse_host({"Host": host}) is None


@pytest.mark.parametrize("host", ["evil.example:8765", "", "[::1", "127.0.0.1.evil.example"])
def test_and_to_no_other(host):
    assert Access("127.0.0.1").refuse_host({"Host": host}).code == "wrong-host"


def test_elsewhere_any_name_will_do_as_a_token_is_asked_for():
    assert EVERYWHERE.refuse_host({"Host": "cam.example"}) is None


@pytest.mark.parametrize("host", ["cam.example:8765", "CAM.example", "a.b.home.example", "192.168.1.4", "[fe80::1]:1"])
def test_where_our_names_are_known_we_answer_to_them_and_to_addresses(host):
    assert CALLED.refuse_host({"Host": host}) is None


@pytest.mark.parametrize("host", ["evil.example", "home.example", "evilhome.example", "cam.example.evil", ""])
def test_where_our_names_are_known_no_other_will_do(host):
    assert CALLED.refuse_host({"Host": host}).status is HTTPStatus.MISDIRECTED_REQUEST


def test_a_name_may_be_added_on_loopback_too():
    access = Access("127.0.0.1", allow_hosts=frozenset({"cam.example"}))
    assert access.refuse_host({"Host": "cam.example"}) is None
    assert access.refuse_host({"Host": "192.168.1.4"}).code == "wrong-host"


def test_with_tls_a_page_of_http_is_foreign():
    headers = {"Host": "cam.example", "Origin": "http://cam.example"}
    assert Access("x").refuse_origin(headers) is None
    assert Access("x", tls=True).refuse_origin(headers).code == "foreign-origin"
    assert Access("x", tls=True).refuse_origin(headers | {"Origin": "https://cam.example"}) is None


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_without_tokens_nobody_comes_through_a_proxy(name):
    assert Access("127.0.0.1").refuse_unlocked({name: "10.0.0.1"}).code == "needs-tokens"
    assert Access("127.0.0.1").refuse_unlocked({"Host": "127.0.0.1"}) is None


def test_a_proxy_is_believed_if_it_is_trusted():
    headers = {"X-Forwarded-For": "6.6.6.6, 9.9.9.9, 10.0.0.7"}
    assert Access("x").client("10.0.0.1", headers) == "10.0.0.1"
    assert Access("x", proxies=networks(["10.0.0.1"])).client("10.0.0.1", headers) == "10.0.0.7"
    assert Access("x", proxies=networks(["10.0.0.0/8"])).client("10.0.0.1", headers) == "9.9.9.9"
    assert Access("x", proxies=networks(["10.0.0.0/8"])).client("7.7.7.7", headers) == "7.7.7.7"


def test_a_proxy_is_an_address_or_a_network():
    with pytest.raises(ConfigError, match="is neither an address nor"):
        networks(["proxy.example"])


def test_host_names_lose_port_and_brackets():
    assert [host_name(host) for host in ("a:1", "[::1]:2", "A.b", "[", "")] == ["a", "::1", "a.b", "", ""]
