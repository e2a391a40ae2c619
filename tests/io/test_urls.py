import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.errors import ConfigError
from facestream.io.urls import HIDDEN, SourceKind, default_name, parse_source, redact, redact_url, source_kind


@pytest.mark.parametrize(
    ("text", "name", "url", "kind"),
    [
        ("rtsp://10.0.0.7/live", "10.0.0.7-live", "rtsp://10.0.0.7/live", SourceKind.RTSP),
        ("door=rtsp://u:p@cam:554/a?b=c", "door", "rtsp://u:p@cam:554/a?b=c", SourceKind.RTSP),
        ("rtsp://u:p@cam:554/a?b=c", "cam-a", "rtsp://u:p@cam:554/a?b=c", SourceKind.RTSP),
        ("rtsps://cam/", "cam", "rtsps://cam/", SourceKind.RTSP),
        ("http://cam/video.mjpg", "cam-video.mjpg", "http://cam/video.mjpg", SourceKind.HTTP),
        ("HTTPS://cam/live.m3u8?token=x", "cam-live.m3u8", "HTTPS://cam/live.m3u8?token=x", SourceKind.HTTP),
        ("rtsp://cam/live?key=a@", "source", "rtsp://cam/live?key=a@", SourceKind.RTSP),
        ("webcam:0", "webcam-0", "webcam:0", SourceKind.WEBCAM),
        ("desk = /dev/video2", "desk", "/dev/video2", SourceKind.WEBCAM),
        ("/dev/video2", "video2", "/dev/video2", SourceKind.WEBCAM),
        ("device:lavfi:movie=a.mp4:loop=0", "lavfi", "device:lavfi:movie=a.mp4:loop=0", SourceKind.DEVICE),
        ("push:phone", "phone", "push:phone", SourceKind.PUSH),
        ("clip.mp4", "clip", "clip.mp4", SourceKind.FILE),
        ("front door=clip.mp4", "front door", "clip.mp4", SourceKind.FILE),
        ("some/where/a=b.mp4", "a-b", "some/where/a=b.mp4", SourceKind.FILE),
        ("C:\\films\\a=b.mp4", "C-films-a-b", "C:\\films\\a=b.mp4", SourceKind.FILE),
        ("ü ☃.mp4", "source", "ü ☃.mp4", SourceKind.FILE),
    ],
)
def test_a_source_is_a_url_with_or_without_a_name(text: str, name: str, url: str, kind: SourceKind) -> None:
    spec = parse_source(text)
    assert (spec.name, spec.url, spec.kind) == (name, url, kind)


def test_a_file_that_exists_is_never_taken_for_a_named_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.mp4").touch()
    assert parse_source("a=b.mp4").url == "a=b.mp4"


def test_a_folder_is_told_from_a_file(tmp_path: Path) -> None:
    assert source_kind(str(tmp_path)) is SourceKind.FOLDER
    assert default_name(f"{tmp_path}/") == tmp_path.name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no URL"),
        ("door=", "names no URL"),
        ("d@@r=rtsp://cam/", "letters, digits"),
        (f"{'x' * 65}=rtsp://cam/", "at most 64"),
        ("..=clip.mp4", "letters, digits"),
        ("ftp://host/clip.mp4", "can't read ftp:// sources"),
        ("webcam:front", "facestream sources"),
        ("device:lavfi", "device:FORMAT:NAME"),
        ("push:", "letters, digits"),
        ("push:a/b", "letters, digits"),
        ("rtsp://u:pass word@cam/", "write %20"),
    ],
)
def test_a_wrong_source_is_refused_in_one_line_that_says_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        parse_source(text)
    assert "\n" not in str(raised.value)
    assert "pass word" not in str(raised.value)


def test_a_default_name_has_no_secret_in_it() -> None:
    assert default_name("rtsp://bob:secret@cam/s3cretTokenInPath9") == "cam"
    assert default_name("rtsp://bob:se/cr@et@cam:554/x?token=secret") == "cam-x"
    assert default_name("http://[2001:db8::1]:80/live") == "2001-db8-1-live"
    assert default_name("rtsp://cam/user=admin&password=x") == "cam"
    assert default_name("rtsp://u:p@[bad/x") == "source"


def test_a_spec_shows_no_password() -> None:
    assert "hunter2" not in repr(parse_source("rtsp://bob:hunter2@cam/"))


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("rtsp://bob:pw@cam/x", "rtsp://***@cam/x"),
        ("rtsp://bob:pa@ss@cam/x", "rtsp://***@cam/x"),
        ("rtsp://:pw@cam/x", "rtsp://***@cam/x"),
        ("rtsp://bob@cam/x", "rtsp://***@cam/x"),
        ("rtsp://bob:a/b?c#d@[fe80::1]:554/x", "rtsp://***@[fe80::1]:554/x"),
        ("Connection refused: 'rtsp://bob:pw@cam/x'", "Connection refused: 'rtsp://***@cam/x'"),
        ("(rtsp://a:b@c) and http://d:e@f/", "(rtsp://***@c) and http://***@f/"),
        ("http://cam/v?token=abc&w=640", "http://cam/v?token=***&w=640"),
        ("GET /v?w=640&apiKey=abc HTTP/1.1", "GET /v?w=640&apiKey=*** HTTP/1.1"),
        ("http://cam/v?access_token=abc#x", "http://cam/v?access_token=***"),
        ("rtsp://cam/user=admin&password=x&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("http://cam/v?src=rtsp%3A%2F%2Fbob%3Apw%40cam", "http://cam/v?src=rtsp%3A%2F%2F***%40cam"),
        ("//bob:pw@cam/x", "//***@cam/x"),
        ("http://cam/v?token=a@b&w=640", "http://***@&w=640"),
        ("http://cam/v?src=http://x/?token=a@b", "http://***@"),
        ("http://cam/v?url=http%3A%2F%2Fx%3Ftoken%3Dabc", "http://cam/v?url=http%3A%2F%2Fx%3Ftoken%3D***"),
        ("rtsp://cam:554/x?monkey=1&w=640", "rtsp://cam:554/x?monkey=1&w=640"),
        ("/films/a=b.mp4, 10:30, me@example.org", "/films/a=b.mp4, 10:30, me@example.org"),
        ("", ""),
    ],
)
def test_redacting_hides_the_secret_and_keeps_the_rest(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_whole_url_may_even_have_a_space_in_its_password() -> None:
    assert redact_url("rtsp://bob:pass word@cam/x") == "rtsp://***@cam/x"


SECRET = st.text("QZ0123456789" + "@:/?#&=;%!$'()*+,.~_-[]<>\"\\|^`{}", min_size=1, max_size=12).map(
    lambda s: f"QZ{s}ZQ"
)
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "RTSP", "tls", "rtmp", "hls+http"])
HOSTS = st.sampled_from(["cam", "cam.example.org", "10.0.0.7", "[fe80::1]", "[2001:db8::7]"])
PORTS = st.sampled_from(["", ":554", ":8080"])
PATHS = st.sampled_from(["", "/", "/live", "/a/b.m3u8", "/x?w=640", "/x?w=640&h=480#t"])
AROUND = st.sampled_from(
    [
        "{}",
        "'{}'",
        "[tcp @ 0x55d0] Connection to {} failed: Connection refused",
        "{}: Server returned 401 Unauthorized (authorization failed)",
        "[Errno 111] Connection refused: '{}'",
        'Error opening input file "{}".',
        "method DESCRIBE failed for <{}>, giving up",
        "first {}\nsecond line",
    ]
)


def assert_nothing_leaks(text: str, *secrets: str) -> None:
    hidden = redact(text)
    assert "QZ" not in hidden
    assert "ZQ" not in hidden
    assert all(secret not in hidden for secret in secrets)
    assert HIDDEN in hidden
    assert redact(hidden) == hidden


@given(AROUND, SCHEMES, st.one_of(st.just(""), SECRET), SECRET, HOSTS, PORTS, PATHS)
def test_no_form_of_user_and_password_survives(
    around: str, scheme: str, user: str, password: str, host: str, port: str, path: str
) -> None:
    assert_nothing_leaks(around.format(f"{scheme}://{user}:{password}@{host}{port}{path}"), password)


@given(
    AROUND,
    SCHEMES,
    HOSTS,
    st.sampled_from(
        ["token", "key", "auth", "pwd", "db_password", "api_key", "apikey", "accessToken", "X-Amz-Signature"]
    ),
    st.text(string.ascii_letters + string.digits + "@:/?#=;%+,._-", max_size=12).map(lambda s: f"QZ{s}ZQ"),
    st.sampled_from(["", "&w=640"]),
)
def test_no_secret_in_a_query_survives(
    around: str, scheme: str, host: str, parameter: str, value: str, rest: str
) -> None:
    assert_nothing_leaks(around.format(f"{scheme}://{host}/v?w=1&{parameter}={value}{rest}"), value)


@given(st.text(max_size=200))
def test_redacting_any_text_settles_at_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
