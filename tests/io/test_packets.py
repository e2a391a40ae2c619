from facestream.io.packets import LONGEST_GROUP, Kept, PacketRing, PacketTimes, Take, ticks

GROUP = 10


def packet(number: int, size: int = 100) -> Kept[int]:
    """One of 10 a second, every tenth a key frame."""
    return Kept(number, number / 10, 0.0, number % GROUP == 0, size)


def ring_of(count: int, seconds: float = 2.0, max_bytes: int = 1_000_000, size: int = 100) -> PacketRing[int]:
    ring: PacketRing[int] = PacketRing(seconds, max_bytes)
    for number in range(count):
        ring.add(packet(number, size))
    return ring


def numbers(packets: list[Kept[int]]) -> list[int]:
    return [kept.packet for kept in packets]


def test_a_ring_keeps_the_last_seconds_and_what_they_need() -> None:
    ring = ring_of(75)  # the last is at 7.4, 2 s before that is 5.4, and the key frame before that is at 5.0
    assert numbers(ring.latest(2.0)) == list(range(50, 75))
    assert len(ring) == 25
    assert ring.size == 2500


def test_the_latest_begin_at_the_key_frame_before_the_time_asked_for() -> None:
    ring = ring_of(75)
    assert numbers(ring.latest(0.9)) == list(range(60, 75))
    assert numbers(ring.latest(0.0)) == list(range(70, 75))
    assert numbers(ring.latest(100.0)) == list(range(50, 75))


def test_what_comes_before_the_first_key_frame_is_not_kept() -> None:
    ring: PacketRing[int] = PacketRing(2.0, 1000)
    ring.add(packet(9))
    assert ring.latest(2.0) == []
    ring.add(packet(10))
    assert numbers(ring.latest(2.0)) == [10]


def test_a_ring_never_takes_more_than_its_bytes() -> None:
    ring: PacketRing[int] = PacketRing(60.0, 2500)
    for number in range(1000):
        ring.add(packet(number))
        assert ring.size <= 2500
    assert numbers(ring.latest(60.0)) == list(range(980, 1000))


def test_a_group_too_large_for_the_ring_goes_whole() -> None:
    assert numbers(ring_of(17, max_bytes=550).latest(2.0)) == []
    assert numbers(ring_of(23, max_bytes=550).latest(2.0)) == [20, 21, 22]


def test_of_a_stream_without_another_key_frame_no_more_is_kept_than_of_any() -> None:
    ring: PacketRing[int] = PacketRing(2.0, 1_000_000)
    ring.add(packet(0))
    longest = 0
    for number in range(1, 5000):
        ring.add(Kept(number, number / 10, 0.0, False, 100))
        longest = max(longest, len(ring))
    assert longest <= 10 * (LONGEST_GROUP + 2.0) + 1
    assert ring.latest(2.0) == []


def test_a_clip_does_not_wait_for_a_key_frame_for_ever() -> None:
    take: Take[int] = Take([], 0.5, 1_000_000)
    number = 0
    while not take.complete:
        take.add(Kept(number, number / 10, 0.0, False, 100))
        number += 1
    assert number / 10 < LONGEST_GROUP + 1
    assert take.packets == []


def test_a_clip_ends_with_the_first_packet_after_its_time() -> None:
    take = Take(ring_of(75).latest(0.4), 0.5, 1_000_000)
    for number in range(75, 100):
        take.add(packet(number))
    assert numbers(take.packets) == list(range(70, 80))
    assert take.complete


def test_a_clip_of_the_past_alone_is_complete_at_once() -> None:
    assert Take(ring_of(75).latest(1.0), 0.0, 1_000_000).complete


def test_a_clip_of_what_is_to_come_begins_with_a_key_frame() -> None:
    take: Take[int] = Take([], 0.5, 1_000_000)
    for number in range(7, 100):
        take.add(packet(number))
    assert numbers(take.packets) == list(range(10, 16))


def test_a_clip_ends_where_it_takes_too_many_bytes() -> None:
    take = Take(ring_of(5).latest(1.0), 60.0, 1000)
    for number in range(5, 100):
        take.add(packet(number))
    assert numbers(take.packets) == list(range(10))


def placed(stamps: list[tuple[float | None, float | None]], step: float = 0.1) -> list[tuple[float, float]]:
    times = PacketTimes(step)
    return [(round(at, 3), round(delay, 3)) for at, delay in (times.place(dts, pts) for dts, pts in stamps)]


def test_time_begins_at_0_and_keeps_the_order_of_showing() -> None:
    assert placed([(100.0, 100.2), (100.1, 100.5), (100.2, 100.3)]) == [(0.0, 0.2), (0.1, 0.4), (0.2, 0.1)]


def test_time_goes_on_over_a_jump_of_the_clock() -> None:
    stamps = [(5.0, 5.0), (5.1, 5.1), (2.0, 2.0), (2.1, 2.1), (90_000.0, 90_000.0), (90_000.1, 90_000.1)]
    assert [at for at, _ in placed([*stamps])] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_without_time_stamps_the_rate_counts() -> None:
    assert placed([(None, None)] * 3) == [(0.0, 0.0), (0.1, 0.0), (0.2, 0.0)]


def test_where_only_the_time_of_showing_is_known_order_and_showing_hold() -> None:
    stamps = [(None, 0.0), (None, 0.3), (0.0, 0.1), (0.1, 0.2), (0.2, 0.6)]
    found = placed(stamps)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    shown = [at + delay for at, delay in found]
    assert [round(time - shown[0], 3) for time in shown] == [0.0, 0.3, 0.1, 0.2, 0.6]


def test_ticks_begin_with_showing_at_0_and_rise() -> None:
    kept = [Kept("I", 3.0, 0.1, True, 1), Kept("P", 3.1, 0.3, False, 1), Kept("B", 3.2, 0.0, False, 1)]
    assert ticks(kept, 0.1) == [("I", -1, 0), ("P", 0, 3), ("B", 1, 1)]


def test_ticks_of_packets_at_the_same_time_rise_all_the_same() -> None:
    kept = [Kept(n, 3.0, 0.0, n == 0, 1) for n in range(3)]
    assert ticks(kept, 0.1) == [(0, 0, 0), (1, 1, 1), (2, 2, 2)]


def test_what_is_shown_before_the_key_frame_is_left_out() -> None:
    kept = [Kept("I", 3.0, 0.2, True, 1), Kept("B", 3.1, 0.0, False, 1), Kept("P", 3.2, 0.1, False, 1)]
    assert [name for name, _, _ in ticks(kept, 0.1)] == ["I", "P"]


def test_no_packets_have_no_ticks() -> None:
    assert ticks([], 0.1) == []
