"""The way of a server through its histories, and what an archive has of it."""

from ansible_collections.ferryman.ops.plugins.module_utils.backup import timelines, wal
from hypothesis import given
from hypothesis import strategies as st

SIZE = wal.SEGMENT
HISTORY = """1\t0/5000130\tbefore 2026-11-26 09:00:00+00

# a remark
2\t0/8000000\tno recovery target specified
"""


@st.composite
def ways(draw: st.DrawFn) -> tuple[timelines.Way, int]:
    """A way, each timeline of which was left not before it began, and up to where the source is."""
    lines = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))
    places = sorted(draw(st.lists(st.integers(0, 12 * SIZE), min_size=len(lines), max_size=len(lines))))
    return timelines.Way(lines[-1], dict(zip(lines, places[:-1], strict=False))), places[-1]


files = st.dictionaries(st.builds(wal.name, st.integers(1, 9), st.integers(0, 14)), st.booleans(), max_size=8)


def refused(line: int, start: int, way: timelines.Way, flushed: int) -> bool:
    """Say what a server answers to START_REPLICATION (StartReplication of PostgreSQL's walsender.c)."""
    if line == way.line:
        return start > flushed
    return line not in way.left or way.left[line] < start


def stream(begin: str, way: timelines.Way, flushed: int) -> list[str]:
    """Return what a receiver brings that begins with a file: it goes on where a timeline is left, to the end."""
    came, at = [], wal.number(begin)
    for line, end in way.ends(flushed).items():
        if line >= wal.timeline(begin):
            came += [wal.name(line, number) for number in range(at, end // SIZE + 1)]
            at = max(at, end // SIZE)
    return came


def test_a_history_file_says_where_each_timeline_was_left() -> None:
    assert timelines.read(3, HISTORY) == (3, {1: 0x5000130, 2: 0x8000000})
    assert timelines.read(1, "") == (1, {})


@given(ways(), files)
def test_what_is_moved_aside_is_just_that_from_which_no_receiver_could_go_on(
    told: tuple[timelines.Way, int], waiting: dict[str, bool]
) -> None:
    gone = timelines.strayed(waiting, *told)
    assert gone == sorted(gone)
    for name, whole in waiting.items():
        start = (wal.number(name) + whole) * SIZE
        assert (name in gone) == refused(wal.timeline(name), start, *told)


@given(ways(), files, st.integers(0, 16))
def test_who_is_stranded_would_ask_for_a_file_before_the_first_that_is_held_and_not_of_the_sources_own_timeline(
    told: tuple[timelines.Way, int], waiting: dict[str, bool], held: int
) -> None:
    way, last = told[0], max(waiting, default="")
    asked = wal.number(last) + waiting[last] if last else 0
    own = bool(last) and wal.timeline(last) == way.line
    assert timelines.stranded(waiting, way, held) == (bool(last) and not own and asked < held)


@given(ways(), st.integers(0, 12))
def test_a_stream_that_only_stopped_loses_nothing(told: tuple[timelines.Way, int], first: int) -> None:
    """All that a receiver brought before, the last in part, stays where the source went on."""
    way, flushed = told
    line, end = next(iter(way.ends(flushed).items()))
    came = [wal.name(line, number) for number in range(first, end // SIZE + 1)]
    waiting = {name: name != came[-1] for name in came}
    assert timelines.strayed(waiting, way, flushed) == []
    assert timelines.ahead([name for name, whole in waiting.items() if whole], way, flushed) == []


@given(ways(), st.data())
def test_a_stream_that_goes_on_leaves_nothing_of_the_way_out(
    told: tuple[timelines.Way, int], data: st.DataObject
) -> None:
    """Whatever an archive has: all of the oldest timeline up to somewhere, also beyond where it was left."""
    way, flushed = told
    oldest, end = next(iter(way.ends(flushed).items()))
    first = data.draw(st.integers(0, end // SIZE))
    last = data.draw(st.integers(first, 14 if way.left else max(first, flushed // SIZE - 1)))
    came = {wal.name(oldest, number): True for number in range(first, last + 1)}
    begin = timelines.resume(came, way, flushed)
    assert not refused(wal.timeline(begin), wal.number(begin) * SIZE, way, flushed)
    there = [*came, *stream(begin, way, flushed)]
    assert timelines.missing(there, wal.name(oldest, first), way) == []
    assert wal.name(way.line, flushed // SIZE) in there


@given(ways(), files)
def test_what_goes_on_is_asked_for_where_the_source_has_it(
    told: tuple[timelines.Way, int], came: dict[str, bool]
) -> None:
    begin = timelines.resume(came, *told)
    assert not begin or not refused(wal.timeline(begin), wal.number(begin) * SIZE, *told)


@given(ways(), st.data())
def test_a_backup_leads_to_the_end_of_a_way_just_if_its_point_and_every_file_since_is_on_it(
    told: tuple[timelines.Way, int], data: st.DataObject
) -> None:
    way, flushed = told
    line = data.draw(st.integers(1, 9))
    point = data.draw(st.integers(0, 12 * SIZE))
    first = wal.name(line, point // SIZE)
    there = stream(first, way, flushed)
    said = timelines.refusal(first, wal.written(point), way, there)
    if line != way.line and way.left.get(line, -1) < point:
        assert (
            said
            == f"it is of timeline {line}, and timeline {way.line}, which was streamed last, does not go through it"
        )
        return
    if there and point <= flushed:
        assert said == ""
    needed = [name for name in there if name not in timelines.missing(there, first, way)]
    on_the_way = [name for name in needed if wal.number(name) < way.left.get(wal.timeline(name), flushed) // SIZE]
    for name in on_the_way:
        said = timelines.refusal(first, wal.written(point), way, [one for one in there if one != name])
        assert f"files of WAL are missing between it and what was streamed last, the first is {name}" in said


@given(ways(), st.data())
def test_a_number_that_another_history_bears_in_the_archive_is_seen_wherever_it_is_on_the_way(
    told: tuple[timelines.Way, int], data: st.DataObject
) -> None:
    way, _ = told
    known = {line: timelines.Way(line, {one: way.left[one] for one in way.left if one < line}) for line in way.ends(0)}
    assert timelines.other(way, known) == timelines.other(way, dict.fromkeys(known)) == []
    line = data.draw(st.sampled_from(sorted(known)))
    another = timelines.Way(line, {**known[line].left, 0: data.draw(st.integers(0, 99))})
    assert timelines.other(way, {**known, line: another}) == [line]


def test_a_source_that_was_set_back_is_seen_by_what_the_archive_has_beyond_its_end() -> None:
    way = timelines.Way(4, {3: 5 * SIZE})
    names = [wal.name(4, 6), wal.name(4, 7), wal.name(3, 9), wal.name(5, 9)]
    assert timelines.ahead(names, way, 8 * SIZE) == []
    assert timelines.ahead(names, way, 8 * SIZE - 1) == [wal.name(4, 7)]
