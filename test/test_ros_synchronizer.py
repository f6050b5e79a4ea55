# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of images of several cameras by their stamps."""

from __future__ import annotations

from relloc_ros.ros.synchronizer import MAX_MISSES, Synchronizer

MS = 1_000_000
Arrivals = list[tuple[str, int]]


def run(arrivals: Arrivals, sources: str = 'ab', slop_ms: int = 20) -> list[list[str]]:
    """Put in (source, stamp in ms); gives the sets that go out, as 'a100'."""
    return feed(Synchronizer(list(sources), slop_ms * MS), arrivals)


def feed(synchronizer: Synchronizer[str], arrivals: Arrivals) -> list[list[str]]:
    sent = []
    for source, stamp_ms in arrivals:
        sent += synchronizer.put(source, stamp_ms * MS, f'{source}{stamp_ms}')
    return sent


def test_a_complete_set_goes_out_at_once_with_the_newest_first() -> None:
    assert run([('a', 100), ('b', 105)]) == [['b105', 'a100']]
    assert run([('b', 105), ('a', 100)]) == [['b105', 'a100']]
    assert run([('a', 100)]) == []


def test_a_source_alone_waits_for_nobody() -> None:
    assert run([('a', 100), ('a', 200)], sources='a') == [['a100'], ['a200']]


def test_the_limit_holds_between_all_of_a_set() -> None:
    assert run([('a', 100), ('b', 120)]) == [['b120', 'a100']]
    assert run([('a', 100), ('b', 121)]) == []
    # b and c are near a, but not near each other: c waits for other company.
    assert run([('a', 100), ('b', 85), ('c', 110), ('a', 200)], sources='abc') == [['a100', 'b85']]


def test_items_find_the_nearest_set() -> None:
    assert run([('a', 100), ('b', 130), ('c', 117)], sources='abc', slop_ms=20) == []
    arrivals = [('a', 100), ('b', 130), ('c', 117), ('b', 230)]
    assert run(arrivals, sources='abc') == [['b130', 'c117']]


def test_a_set_goes_out_incomplete_after_a_period() -> None:
    assert run([('a', 100), ('a', 200)]) == [['a100']]
    assert run([('a', 100), ('a', 200), ('b', 201)]) == [['a100'], ['b201', 'a200']]


def test_a_silent_source_is_not_waited_for() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b'], 20 * MS)
    stamps = [100 * number for number in range(1, MAX_MISSES + 4)]
    assert feed(synchronizer, [('a', stamp) for stamp in stamps]) == [[f'a{s}'] for s in stamps]
    assert synchronizer.misses == {'a': 0, 'b': len(stamps)}
    # It is waited for again once it has sent something.
    after = [('b', 1000), ('a', 1001), ('a', 1100), ('b', 1101)]
    assert feed(synchronizer, after) == [['a1001', 'b1000'], ['b1101', 'a1100']]
    assert synchronizer.num_incomplete == 0
    assert synchronizer.num_lost == 0


def test_a_slower_source_is_waited_for() -> None:
    arrivals: Arrivals = []
    for number in range(1, 7):
        arrivals.append(('a', 100 * number))
        if number % 3 == 0:
            arrivals.append(('b', 100 * number + 5))
    assert run(arrivals) == [
        ['a100'], ['a200'], ['b305', 'a300'], ['a400'], ['a500'], ['b605', 'a600'],
    ]  # fmt: skip


def test_what_comes_after_its_set_is_lost() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b'], 20 * MS)
    assert feed(synchronizer, [('a', 100), ('a', 200), ('b', 105)]) == [['a100']]
    assert synchronizer.num_lost == 1
    assert synchronizer.late == {'b'}
    assert feed(synchronizer, [('b', 203)]) == [['b203', 'a200']]
    assert synchronizer.late == set()


def test_a_complete_set_leaves_older_items_behind() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b', 'c'], 20 * MS)
    sent = feed(synchronizer, [('a', 100), ('b', 200), ('c', 201), ('a', 199)])
    assert sent == [['a100'], ['c201', 'b200', 'a199']]
    synchronizer.clear()
    sent = feed(synchronizer, [('a', 100), ('b', 200), ('c', 201)])
    assert sent == []
    synchronizer.clear()
    assert synchronizer.num_lost == 3


def test_sources_out_of_step_are_told() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b'], 20 * MS)
    arrivals = [
        pair for number in range(1, 6) for pair in (('a', 100 * number), ('b', 100 * number + 40))
    ]
    sent = feed(synchronizer, arrivals)
    assert all(len(each) == 1 for each in sent)
    assert synchronizer.num_incomplete == len(sent) > MAX_MISSES
    assert synchronizer.distance_ns == 40 * MS


def test_clear_takes_older_stamps_again() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b'], 20 * MS)
    assert len(feed(synchronizer, [('a', 900), ('b', 900)])) == 1
    synchronizer.clear()
    assert feed(synchronizer, [('a', 100), ('b', 100)]) == [['a100', 'b100']]
    assert synchronizer.num_lost == 0


def test_a_source_that_comes_back_later_than_the_others_is_waited_for() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b'], 20 * MS)
    feed(synchronizer, [('a', 100 * number) for number in range(1, 6)])
    # The first comes too late for its set, which waited for nobody.
    assert feed(synchronizer, [('a', 600), ('b', 600)]) == [['a600']]
    assert feed(synchronizer, [('a', 700), ('b', 700)]) == [['a700', 'b700']]
    assert synchronizer.misses == {'a': 0, 'b': 0}


def test_a_source_that_is_always_too_late_is_told() -> None:
    synchronizer: Synchronizer[str] = Synchronizer(['a', 'b'], 20 * MS)
    arrivals = [
        pair for number in range(2, 9) for pair in (('a', 100 * number), ('b', 100 * number - 100))
    ]
    sent = feed(synchronizer, arrivals)
    assert all(each[0].startswith('a') for each in sent[1:])
    assert synchronizer.misses['b'] >= MAX_MISSES
    assert 'b' in synchronizer.late
