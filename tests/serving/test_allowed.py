from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.errors import ConfigError
from facestream.serving.allowed import AllowedSources, is_special

ANY = AllowedSources()
HOME = AllowedSources(hosts=("cam.example", "*.cams.lan", "10.0.0.0/8"))

ELSEWHERE = ["192.168.1.4", "10.2.3.4", "8.8.8.8", "[2001:db8::1]", "[fd12::1]"]
THIS_MACHINE = [
    "127.0.0.1",
    "127.8.9.10",
    "[::1]",
    "0.0.0.0",
    "[::]",
    "0",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
]
DISGUISED = ["[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:169.254.169.254]"]
THE_LINKS = ["169.254.169.254", "169.254.1.1", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16"]
NOBODYS = ["224.0.0.1", "255.255.255.255", "[ff02::1]", "240.0.0.1"]


def allowed(rules: AllowedSources, url: str, *addresses: str) -> bool:
    """Whether ``url`` may be added, where its host's name stands for ``addresses``."""
    try:
        host = rules.host_to_resolve(url)
        if host is not None:
            rules.check_addresses(host, addresses)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("host", ELSEWHERE)
def test_cameras_of_other_machines_may_be_added(host):
    assert allowed(ANY, f"rtsp://ada:secret@{host}:554/stream")


@pytest.mark.parametrize("host", [*THIS_MACHINE, *DISGUISED, *THE_LINKS, *NOBODYS])
def test_this_machine_and_its_link_may_not_however_they_are_written(host):
    for url in (f"rtsp://{host}/x", f"http://{host}:8080/", f"https://user:pass@{host}/"):
        assert not allowed(ANY, url)


@pytest.mark.parametrize("address", [*THIS_MACHINE[:2], "::1", "169.254.169.254", "fe80::1%2"])
def test_nor_may_a_name_that_stands_for_them(address):
    assert allowed(ANY, "rtsp://cam.lan/x", "192.168.1.4")
    assert not allowed(ANY, "rtsp://cam.lan/x", "192.168.1.4", address)


def test_a_name_that_stands_for_nothing_is_refused():
    assert not allowed(ANY, "rtsp://nowhere.lan/x")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "/etc/passwd",
            "file:///etc/passwd",
            "webcam:0",
            "/dev/video0",
            "device:lavfi:x",
            "photos",
            "",
            " rtsp://c/x",
        ),
        *("concat:a|b", "data:text/plain,x", "ftp://cam/x", "udp://@:1234", "x=rtsp://cam/y", "rtsp:cam", "pipe:0"),
    ],
)
def test_other_schemes_may_not_be_added_unless_the_machines_own_may(url):
    assert not allowed(ANY, url)
    assert allowed(AllowedSources(local=True), url) == ("://" not in url.strip() or "=" in url or url.startswith(" "))


def test_schemes_are_chosen():
    cameras = AllowedSources(schemes=("rtsp", "rtsps"))
    assert allowed(cameras, "rtsp://8.8.8.8/")
    assert allowed(cameras, "RTSPT://8.8.8.8/")
    assert not allowed(cameras, "http://8.8.8.8/")
    assert not allowed(cameras, "push:phone")
    assert allowed(ANY, "push:phone")
    assert not allowed(ANY, "push:../../phone")


def test_the_refusal_says_what_may_be_added():
    with pytest.raises(ConfigError, match="only rtsp:// and push: sources"):
        AllowedSources(schemes=("rtsp", "push")).host_to_resolve("http://cam/")


@pytest.mark.parametrize("scheme", ["file", "udp", "", "ftp"])
def test_no_other_scheme_can_be_chosen(scheme):
    with pytest.raises(ConfigError, match="can't be allowed"):
        AllowedSources(schemes=(scheme,))


@pytest.mark.parametrize("host", ["", "a/b", "a b", "http://cam", "user@cam"])
def test_what_is_no_host_cannot_be_allowed(host):
    with pytest.raises(ConfigError, match="is no host"):
        AllowedSources(hosts=(host,))


def test_where_hosts_are_named_no_others_may_be_added():
    assert allowed(HOME, "rtsp://cam.example/x")
    assert allowed(HOME, "rtsp://CAM.Example./x")
    assert allowed(HOME, "rtsp://door.cams.lan/x", "192.168.1.4")
    assert allowed(HOME, "rtsp://10.2.3.4/x")
    assert allowed(HOME, "rtsp://printer/x", "10.2.3.4")
    assert not allowed(HOME, "rtsp://8.8.8.8/x")
    assert not allowed(HOME, "rtsp://printer/x", "10.2.3.4", "8.8.8.8")
    assert not allowed(AllowedSources(hosts=("cam.example",)), "rtsp://cam.example.evil/x", "8.8.8.8")


def test_a_pattern_does_not_let_this_machine_in_and_its_own_name_or_address_does():
    assert not allowed(HOME, "rtsp://door.cams.lan/x", "127.0.0.1")
    assert allowed(AllowedSources(hosts=("localhost",)), "rtsp://localhost:8554/x")
    assert allowed(AllowedSources(hosts=("127.0.0.1",)), "rtsp://127.0.0.1:8554/x")
    assert allowed(AllowedSources(hosts=("127.0.0.1",)), "rtsp://localhost:8554/x", "127.0.0.1")
    assert allowed(AllowedSources(hosts=("169.254.0.0/16",)), "rtsp://169.254.7.7/x")


@pytest.mark.parametrize(
    "url",
    [
        *("rtsp://", "rtsp:///x", "rtsp://@/x", "rtsp://a\\@8.8.8.8/", "http://8.8.8.8\\@127.0.0.1/", "rtsp://[::1/x"),
        *("rtsp://ca%6d/x", "rtsp://[fe80::1%25eth0]/x", "rtsp://8.8.8.8\n/x", "rtsp://-cam/x", "http://ёж/"),
    ],
)
def test_hosts_that_programs_read_in_different_ways_are_refused(url):
    assert not allowed(ANY, url, "8.8.8.8")


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_each_of_its_forms(address):
    number = int(address)
    forms = [str(address), str(number), hex(number), f"[::ffff:{address}]", f"[64:ff9b::{address}]"]
    assert len({allowed(ANY, f"rtsp://{form}/") for form in forms}) == 1
    assert allowed(ANY, f"rtsp://{address}/") != is_special(ipaddress.ip_address(str(address)))


@given(st.text(max_size=40))
def test_whatever_is_asked_for_this_machine_is_not_let_in(text):
    for url in (text, f"rtsp://{text}", f"http://{text}@127.0.0.1/", f"http://127.0.0.1{text}"):
        try:
            host = ANY.host_to_resolve(url)
        except ConfigError:
            continue
        assert url.lower().startswith(("rtsp://", "http://", "https://", "push:"))
        assert host != "127.0.0.1"
