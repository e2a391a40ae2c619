from __future__ import annotations

import pytest

from facestream.serving.places import elsewhere, here


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8765/"),
        ("0.0.0.0", "http://127.0.0.1:8765/"),
        ("", "http://127.0.0.1:8765/"),
        ("::", "http://[::1]:8765/"),
        ("fd00::7", "http://[fd00::7]:8765/"),
        ("cam.home.arpa", "http://cam.home.arpa:8765/"),
    ],
)
def test_a_browser_on_this_machine_finds_it(host, url):
    assert here("http", host, 8765) == url


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_other_machines_find_a_server_of_every_address_by_this_ones_name(host):
    assert elsewhere("https", host, 8765, "box") == "https://box:8765/"


@pytest.mark.parametrize(
    ("host", "machine"),
    [("127.0.0.1", "box"), ("192.168.1.4", "box"), ("0.0.0.0", "localhost.localdomain"), ("::", "")],
)
def test_where_there_is_no_better_address_none_is_told(host, machine):
    assert elsewhere("https", host, 8765, machine) == ""
