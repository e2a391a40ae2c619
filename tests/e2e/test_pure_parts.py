"""The viewer's pure modules, run where they live: in a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from facestream.tests.e2e.looking import in_module
from facestream.tests.e2e.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser, stage: Staged) -> AsyncIterator[Page]:
    page = await browser.new_page()
    await page.goto(f"{stage.url}favicon.svg")
    yield page
    await page.close()


async def test_a_picture_message_is_taken_apart(page: Page) -> None:
    result = await in_module(
        page,
        "protocol.js",
        """({ unpackPicture }) => {
             const json = new TextEncoder().encode('{"type":"faces","source":"é"}');
             const bytes = new Uint8Array([0, 0, 0, json.length, ...json, 255, 216, 255]);
             const { message, jpeg } = unpackPicture(bytes.buffer);
             return { message, jpeg: [...jpeg] };
           }""",
    )
    assert result == {"message": {"type": "faces", "source": "é", "faces": []}, "jpeg": [255, 216, 255]}


async def test_a_message_shorter_than_it_says_is_refused(page: Page) -> None:
    body = """({ unpackPicture }) => {
        try { unpackPicture(new Uint8Array([0, 0, 1, 0, 123]).buffer); } catch (error) { return error.name; }
    }"""
    assert await in_module(page, "protocol.js", body) == "RangeError"


@pytest.mark.parametrize(
    ("css", "density", "width"), [(300, 1, 320), (1060, 1, 1280), (390, 2, 960), (390, 3, 1280), (4000, 1, 1920)]
)
async def test_few_distinct_widths_are_asked_for(page: Page, css: int, density: float, width: int) -> None:
    body = "({ pictureWidth }, [css, density]) => pictureWidth(css, density)"
    assert await in_module(page, "protocol.js", body, [css, density]) == width


async def test_retries_back_off_to_ten_seconds(page: Page) -> None:
    body = "({ retryDelay }) => [0, 1, 2, 3, 4, 5, 60].map(attempt => retryDelay(attempt, 1))"
    assert await in_module(page, "protocol.js", body) == [0.5, 1, 2, 4, 8, 10, 10]


async def test_a_source_name_is_safe_in_an_address(page: Page) -> None:
    body = (
        "({ socketUrl }) => socketUrl('https://host:1', '/ws/faces', { source: ['a&b', 'c d'], width: null, fps: 0.2 })"
    )
    assert await in_module(page, "protocol.js", body) == "wss://host:1/ws/faces?source=a%26b&source=c+d&fps=0.2"


async def test_a_track_keeps_its_colour_and_neighbours_differ(page: Page) -> None:
    body = "({ trackColour }) => [7, 7, 8, null, -1, undefined].map(trackColour)"
    seven, again, eight, *unknown = await in_module(page, "geometry.js", body)
    assert seven == again
    assert seven != eight
    assert set(unknown) == {"oklch(0.88 0 0)"}


async def test_mirroring_flips_places_but_keeps_left_left_of_right(page: Page) -> None:
    body = """({ Placement }) => {
        const area = { x: 10, y: 20, width: 200, height: 100 };
        return [false, true].map(mirrored => new Placement([400, 200], area, mirrored).box([40, 20, 80, 60]));
    }"""
    assert await in_module(page, "geometry.js", body) == [[30, 30, 50, 50], [170, 30, 190, 50]]


async def test_a_picture_is_fitted_in_the_middle(page: Page) -> None:
    assert await in_module(page, "geometry.js", "({ fit }) => fit(640, 360, 400, 400)") == {
        "x": 0, "y": 87.5, "width": 400, "height": 225,
    }  # fmt: skip


POINTED_AT = """({ Placement, faceAt }, [x, y, mirrored]) => {
    const placement = new Placement([400, 200], { x: 10, y: 20, width: 200, height: 100 }, mirrored);
    const faces = [
      { track: 1, box: [40, 20, 120, 140] }, { track: 2, box: [100, 20, 180, 140] },
      { track: 3, box: [380, 180, 384, 184] }, { box: [200, 20, 280, 140] },
    ];
    return faceAt(faces, placement, x, y)?.track ?? null;
}"""


@pytest.mark.parametrize(
    ("x", "y", "track"),
    [
        (50, 60, 1),
        (64, 60, 1),  # in both: nearer to the first
        (68, 60, 2),
        (68, 95, None),
        (201, 111, 3),  # itself 2 pixels wide
        (185, 100, 3),
        (130, 60, None),  # not confirmed
    ],
)
async def test_who_is_pointed_at_is_the_nearest_face_under_the_finger(page: Page, x: int, y: int, track: int) -> None:
    assert await in_module(page, "geometry.js", POINTED_AT, [x, y, False]) == track
    assert await in_module(page, "geometry.js", POINTED_AT, [220 - x, y, True]) == track


@pytest.mark.parametrize(
    ("rect", "first", "place"),
    [
        ([100, 100, 200, 200], "aside", [212, 100]),
        ([800, 100, 900, 200], "aside", [588, 100]),
        ([100, 100, 900, 200], "aside", [400, 212]),
        ([100, 600, 900, 700], "aside", [400, 488]),
        ([800, 100, 900, 200], "below", [750, 212]),
        ([0, 0, 20, 20], "aside", [32, 12]),
        ([0, 0, 1000, 800], "aside", [400, 688]),  # no room beside it
    ],
)
async def test_a_box_stands_beside_and_inside_the_window(
    page: Page, rect: list[int], first: str, place: list[int]
) -> None:
    body = """({ besides }, [[left, top, right, bottom], first]) =>
        besides({ left, top, right, bottom }, [200, 100], [1000, 800], first)"""
    assert await in_module(page, "geometry.js", body, [rect, first]) == place


@pytest.mark.parametrize(
    ("pose", "axis", "direction"),
    [
        ({"pitch": 0, "yaw": 0, "roll": 0}, "across", [1, 0]),
        ({"pitch": 0, "yaw": 0, "roll": 0}, "up", [0, -1]),
        ({"pitch": 0, "yaw": 0, "roll": 0}, "out", [0, 0]),
        ({"pitch": 0, "yaw": 0, "roll": 90}, "up", [1, 0]),
        ({"pitch": 0, "yaw": -90, "roll": 0}, "out", [1, 0]),
    ],
)
async def test_head_axes_point_where_the_head_does(
    page: Page, pose: dict[str, float], axis: str, direction: list[float]
) -> None:
    found = await in_module(page, "geometry.js", "({ headAxes }, pose) => headAxes(pose)", pose)
    assert found[axis] == pytest.approx(direction, abs=1e-9)


LABEL = """({ labelPlace }, [box, taken]) =>
    labelPlace(box, [40, 10], 4, { x: 0, y: 0, width: 200, height: 100 }, taken)"""


@pytest.mark.parametrize(
    ("box", "taken", "place"),
    [
        ([50, 40, 80, 70], [], [50, 26]),
        ([50, 10, 80, 40], [], [50, 44]),  # no room above it
        ([190, 40, 198, 70], [], [158, 26]),
        ([50, 40, 80, 70], [[60, 20, 100, 30]], [50, 74]),
        ([50, 40, 80, 70], [[85, 20, 110, 30]], [40, 26]),
        ([0, -5, 200, 110], [], [2, 2]),  # larger than the picture
    ],
)
async def test_a_label_leaves_neither_the_picture_nor_covers_another(
    page: Page, box: list[int], taken: list[list[int]], place: list[int]
) -> None:
    assert await in_module(page, "geometry.js", LABEL, [box, taken]) == place


async def run_flight(page: Page, steps: str) -> Any:
    return await in_module(page, "flight.js", f"({{ Flight }}) => {{ const flight = new Flight(2, 4); {steps} }}")


async def test_two_frames_fit_in_flight_and_an_answer_makes_room(page: Page) -> None:
    steps = """
        flight.sent("a", 0); flight.sent("b", 0.1);
        const full = flight.hasRoom, answer = flight.answered(0, 0.5);
        return { full, answer, room: flight.hasRoom, next: flight.sent("c", 0.6) };"""
    assert await run_flight(page, steps) == {
        "full": False,
        "answer": {"payload": "a", "roundTrip": 0.5, "passed": []},
        "room": True,
        "next": 2,
    }


async def test_an_answer_to_a_later_frame_says_which_were_passed_over(page: Page) -> None:
    steps = (
        'flight.sent("a", 0); flight.sent("b", 0); return [flight.answered(1, 1), flight.size, flight.answered(0, 2)];'
    )
    assert await run_flight(page, steps) == [{"payload": "b", "roundTrip": 1, "passed": ["a"]}, 0, None]


async def test_frames_without_an_answer_are_given_up(page: Page) -> None:
    steps = """
        flight.sent("a", 0); flight.sent("b", 3);
        return [flight.expire(4.5), flight.size, flight.reset(), flight.sent("c", 5)];"""
    assert await run_flight(page, steps) == [["a"], 1, ["b"], 0]


async def test_a_slow_link_makes_pictures_smaller_and_a_slow_model_does_not(page: Page) -> None:
    body = """({ LinkFit }) => {
        const widths = (roundTrip, served) => {
          const link = new LinkFit();
          for (let turn = 0; turn < 12; turn++) link.observe(roundTrip, served);
          return link.step.width;
        };
        return [widths(0.6, 0.1), widths(0.6, 0.55)];
    }"""
    assert await in_module(page, "flight.js", body) == [320, 640]


async def test_while_work_runs_only_the_newest_waits(page: Page) -> None:
    body = """async ({ Newest }) => {
        const done = [], discarded = [];
        let finish;
        const work = item => { done.push(item); return new Promise(resolve => { finish = resolve; }); };
        const newest = new Newest(work, item => discarded.push(item));
        const first = newest.offer(1);
        newest.offer(2); newest.offer(3); newest.offer(4);
        finish();
        await Promise.resolve(); await Promise.resolve();
        finish();
        await first;
        return { done, discarded };
    }"""
    assert await in_module(page, "newest.js", body) == {"done": [1, 4], "discarded": [2, 3]}


async def test_latency_shows_a_queue_building_up_even_when_clocks_differ(page: Page) -> None:
    body = """({ LatencyMeter }) => {
        const run = delay => {
          const meter = new LatencyMeter();
          for (let seq = 0; seq < 100; seq++) {
            const at = 1000 + seq / 25, received = at + 3600 + 0.01 + delay(seq);
            meter.observe({ captured_at: at, latency_ms: 5 }, received, received + 0.005);
          }
          return Math.round(meter.milliseconds);
        };
        return [run(() => 0), run(seq => seq * 0.01)];
    }"""
    steady, growing = await in_module(page, "meters.js", body)
    assert steady == 10
    assert growing > 800


async def test_a_viewer_that_falls_behind_asks_for_less_and_later_for_more(page: Page) -> None:
    body = """({ Pace }) => {
        const pace = new Pace(), asked = [];
        const paint = (from, to, lag, rate) => {
          for (let now = from; now < to; now += 1 / rate) if (pace.observe(lag, rate, now)) asked.push(pace.fps);
        };
        paint(0, 10, 0.1, 25);
        paint(10, 10.5, 2, 25);
        paint(10.5, 20, 0.1, 25);
        paint(20, 23, 2, 10);
        paint(23, 60, 0.1, 7);
        return asked;
    }"""
    assert await in_module(page, "pace.js", body) == [7, 14, 28, None]


async def test_a_rate_is_counted_over_the_last_seconds(page: Page) -> None:
    body = """({ RateMeter }) => {
        const meter = new RateMeter();
        for (let event = 0; event <= 90; event++) meter.count(event / 30);
        return [meter.rate(3), meter.rate(60)];
    }"""
    rate, later = await in_module(page, "meters.js", body)
    assert rate == pytest.approx(30, rel=0.02)
    assert later == 0


@pytest.mark.parametrize(
    ("hash_", "route"),
    [
        ("", [None, None]),
        ("#main", [None, None]),
        ("#/", ["cameras", None]),
        ("#/camera/front%20door%2F1", ["camera", "front door/1"]),
        ("#/camera/%E0%A4%A", ["camera", "%E0%A4%A"]),
        ("#/camera", ["cameras", None]),
        ("#/events?source=door", ["events", None]),
        ("#/elsewhere", ["cameras", None]),
    ],
)
async def test_an_address_means_a_page(page: Page, hash_: str, route: list[str | None]) -> None:
    body = "({ parseRoute }, hash) => { const { page, name } = parseRoute(hash); return [page, name]; }"
    assert await in_module(page, "router.js", body, hash_) == route


async def test_a_page_has_the_address_that_means_it(page: Page) -> None:
    body = """({ parseRoute, routeTo }) => [routeTo("cameras"), routeTo("events", null, { source: "a b", kind: "" }),
        parseRoute(routeTo("camera", "a/b?#%")).name]"""
    assert await in_module(page, "router.js", body) == ["#/", "#/events?source=a+b", "a/b?#%"]


async def test_an_event_is_one_row_whatever_becomes_of_it_and_old_ones_make_room(page: Page) -> None:
    body = """({ EventList, readFilter }) => {
        const list = new EventList(2), all = readFilter(new URLSearchParams()), named = { ...all, kind: "named" };
        const event = (id, kind) => ({ id, kind, source: "door", name: null, at: 100 + id });
        const ids = () => list.events.map(({ id, kind }) => `${id} ${kind}`);
        for (const id of [1, 2, 3]) list.take(event(id, "arrived"), all, 200);
        const full = ids();
        list.take(event(2, "left"), all, 200);
        const changed = ids();
        const taken = [list.take(event(4, "arrived"), named, 200), list.take(event(3, "left"), named, 200)];
        return [full, changed, ...taken, ids()];
    }"""
    assert await in_module(page, "events.js", body) == [
        ["3 arrived", "2 arrived"],
        ["3 arrived", "2 left"],
        False,
        True,
        ["2 left"],
    ]


async def test_a_filter_asks_for_what_it_says(page: Page) -> None:
    body = """({ readFilter, eventsQuery }) => {
        const filter = readFilter(new URLSearchParams("source=door&span=hour&since=2020-01-01"));
        return String(eventsQuery(filter, { now: 10000, limit: 50, before: 7 }));
    }"""
    assert await in_module(page, "events.js", body) == "source=door&since=6400&before=7&limit=50"


async def test_a_region_is_drawn_moved_and_resized_inside_the_picture(page: Page) -> None:
    body = """({ between, moved, graspAt, LEAST }) => {
        const region = [0.2, 0.2, 0.6, 0.6], [left, , , ] = graspAt(region, [20, 40], [100, 100], 5);
        return [between([0.9, 1.4], [0.1, 0.2]), moved(region, [true, true, true, true], 0.7, -0.5),
                left, moved(region, [true, false, false, false], 0.9, 0)[0] === 0.6 - LEAST,
                graspAt(region, [90, 90], [100, 100], 5)];
    }"""
    drawn, shifted, left, stopped, missed = await in_module(page, "region.js", body)
    assert drawn == [0.1, 0.2, 0.9, 1]
    assert shifted == pytest.approx([0.6, 0, 1, 0.4])
    assert (left, stopped, missed) == (True, True, None)


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ("there is a source called 'door' already; choose another name", -32002, "name"),
        ("max_rate -1 isn't possible: give frames a second, above 0", -32002, "max_rate"),
        ("Expected `int >= 1` - at `$.detect_every`", -32602, "detect_every"),
        ("only rtsp:// sources can be added over the network", -32002, "url"),
        ("the door is locked", -32003, "url"),
        ("there are 64 sources already; remove one first", -32002, None),
    ],
)
async def test_the_servers_complaint_belongs_to_a_field(page: Page, message: str, code: int, field: str | None) -> None:
    body = "({ fieldOf }, [message, code]) => fieldOf({ message, code })"
    assert await in_module(page, "source_values.js", body, [message, code]) == field


async def test_only_what_was_changed_of_a_camera_is_sent(page: Page) -> None:
    body = """({ parametersOf }) => {
        const url = "rtsp://***@door/1", same = { rtsp_transport: "tcp", events: true };
        const values = { ...same, url, known: url, name: "", max_rate: "", detect_every: "5", clips: false };
        const options = { ...same, max_rate: 5, region: null, detect_every: 5, clips: true };
        return parametersOf(values, [0, 0, 0.5, 1], { name: "door", options });
    }"""
    assert await in_module(page, "source_values.js", body) == {
        "name": "door",
        "max_rate": None,
        "region": [0, 0, 0.5, 1],
        "clips": False,
    }


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min"), (250, "4 min 10 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h")],
)
async def test_lengths_of_time_are_told_in_two_units_at_most(page: Page, seconds: float, words: str) -> None:
    assert await in_module(page, "format.js", "({ duration }, seconds) => duration(seconds)", seconds) == words
