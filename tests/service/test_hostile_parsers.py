"""Whatever comes in, each parser takes it or says what it says to everybody: its own documented error."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from facestream.errors import ConfigError, ProtocolError
from facestream.io.imagesize import image_size
from facestream.io.urls import check_name, parse_source, redact_url
from facestream.serving.allowed import AllowedSources
from facestream.serving.control import check_depth
from facestream.serving.events import events_wanted
from facestream.serving.forms import Wanted
from facestream.serving.http import Target
from facestream.serving.push import decode_jpeg
from tests.service import hostile

FULL = os.environ.get("FACESTREAM_FULL") == "1"
INPUTS = 1_000 if FULL else 40

queries = hostile.queries.map(lambda text: parse_qs(text, keep_blank_values=True, errors="surrogateescape"))
urls = st.one_of(
    hostile.texts,
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(("rtsp://", "http://", "push:", "RTSP://", "file://", "rtsps://", "//", "")),
        st.sampled_from(("", "user:pa%ss@", "@", "a@b@", ":@")),
        st.sampled_from(
            ("127.0.0.1", "[::1]", "[::1", "localhost", "0x7f.1", "2130706433", "x" * 300, "é.example", "a..b", "")
        ),
        st.one_of(st.sampled_from((":", ":99999", ":-1", ":8 0", "/..", "?a#b", "\\")), hostile.texts),
    ),
)

SOME = AllowedSources(hosts=("10.0.0.0/8", "*.example"))
ANY = AllowedSources()

pictures = st.one_of(hostile.pictures(), hostile.junk)
Refusals = tuple[type[Exception], ...]

PARSERS: dict[str, tuple[Callable[[Any], object], SearchStrategy[Any], Refusals]] = {
    "a request's target": (Target.parse, hostile.targets, (ValueError,)),
    "what a subscriber wants": (Wanted.parse, queries, (ProtocolError,)),
    "which events are wanted": (events_wanted, queries, (ProtocolError,)),
    "a control message's depth": (lambda text: check_depth(text, 16), hostile.messages, (ProtocolError,)),
    "a source": (parse_source, urls, (ConfigError,)),
    "a source of some hosts": (SOME.host_to_resolve, urls, (ConfigError,)),
    "a source of any host": (ANY.host_to_resolve, urls, (ConfigError,)),
    "a URL without its password": (redact_url, urls, ()),
    "a picture's size": (image_size, pictures, ()),
    "a pushed picture": (lambda data: decode_jpeg(data, 100_000), pictures, (ProtocolError,)),
}
"""What is parsed → by what, some inputs, and the errors that it may raise."""


@pytest.mark.parametrize("what", PARSERS)
def test_a_parser_knows_what_it_refuses(what: str) -> None:
    parse, inputs, refusals = PARSERS[what]

    @settings(
        max_examples=INPUTS, deadline=None, database=None, derandomize=not FULL, suppress_health_check=list(HealthCheck)
    )
    @given(inputs)
    def take(given: Any) -> None:
        with contextlib.suppress(*refusals):
            parse(given)

    take()


@settings(max_examples=5 * INPUTS, deadline=None, database=None, derandomize=not FULL)
@given(st.one_of(hostile.texts, st.sampled_from(hostile.SEGMENTS)))
def test_a_name_that_is_let_in_is_a_folder_in_its_folder(name: str) -> None:
    try:
        check_name(name)
    except ConfigError:
        return
    folder = Path("/saved")
    assert Path(os.path.normpath(folder / name)).parent == folder
