from __future__ import annotations

from http import HTTPStatus

import pytest

from facestream.errors import ConfigError
from facestream.serving.access import Access, host_name, is_loopback

TOKEN = Access("0.0.0.0", "s3cret")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    assert is_loopback(host)
    Access(host).check_bind()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.4", "example.org"])
def test_another_address_needs_one_and_the_error_says_how(host):
    with pytest.raises(ConfigError, match=r"--token or FACESTREAM_TOKEN"):
        Access(host).check_bind()
    Access(host, "s3cret").check_bind()


def test_an_empty_token_is_a_mistake():
    with pytest.raises(ConfigError, match="empty"):
        Access("127.0.0.1", "").check_bind()


def test_the_token_is_not_in_the_repr():
    assert "s3cret" not in repr(TOKEN)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer s3cret"}, {}),
        ({"Authorization": "bearer s3cret "}, {}),
        ({}, {"token": ["s3cret"]}),
        ({"Authorization": "Basic eDp5"}, {"token": ["s3cret"]}),
    ],
)
def test_the_right_token_gets_in(headers, query):
    assert TOKEN.refuse_token(headers, query) is None


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        ({}, {}, "token-missing"),
        ({}, {"token": [""]}, "token-missing"),
        ({"Authorization": "Basic s3cret"}, {}, "token-missing"),
        ({"Authorization": "Bearer s3cre"}, {}, "token-wrong"),
        ({"Authorization": "Bearer S3CRET"}, {}, "token-wrong"),
        ({"Authorization": "Bearer é"}, {}, "token-wrong"),
        ({}, {"token": ["wrong", "s3cret"]}, "token-wrong"),
    ],
)
def test_any_other_does_not(headers, query, code):
    refusal = TOKEN.refuse_token(headers, query)
    assert (refusal.status, refusal.code) == (HTTPStatus.UNAUTHORIZED, code)
    assert "s3cret" not in refusal.message


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
    assert Access("x", "t", frozenset({"https://app.example"})).refuse_origin(headers) is None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9999", "null", "", "http://127.0.0.1:8765.evil.example"]
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


def test_elsewhere_any_name_will_do_as_the_token_is_asked_for():
    assert TOKEN.refuse_host({"Host": "cam.example"}) is None


def test_host_names_lose_port_and_brackets():
    assert [host_name(host) for host in ("a:1", "[::1]:2", "A.b", "[", "")] == ["a", "::1", "a.b", "", ""]
