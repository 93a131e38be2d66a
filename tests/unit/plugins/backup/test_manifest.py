"""Whether what came back is what was there: no difference is missed, none is made up."""

import copy
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import manifest
from hypothesis import given
from hypothesis import strategies as st

names = st.sampled_from(["public.notes", "public.users", "audit.log", 'public."odd name"'])
digests = st.text("0123456789abcdef", min_size=8, max_size=8)
tables = st.dictionaries(names, st.fixed_dictionaries({"rows": st.integers(0, 9), "hash": digests}))
held = st.fixed_dictionaries(
    {
        "databases": st.dictionaries(
            st.sampled_from(["notes", "shop"]), st.fixed_dictionaries({"tables": tables, "bytes": st.integers()})
        ),
        "files": st.dictionaries(
            st.sampled_from(["media", "etc"]),
            st.fixed_dictionaries({"files": st.integers(0, 9), "bytes": st.integers(0, 9), "hash": digests}),
        ),
    }
)


@given(held)
def test_what_is_equal_has_no_difference_whatever_its_size_on_disk(was: dict[str, Any]) -> None:
    again = copy.deepcopy(was)
    for database in again["databases"].values():
        database["bytes"] += 1
    assert manifest.compare(was, again) == []


@given(held, held)
def test_a_difference_is_found_from_either_side_and_none_means_equal(one: dict[str, Any], two: dict[str, Any]) -> None:
    there, back = manifest.compare(one, two), manifest.compare(two, one)
    assert [each.where for each in there] == [each.where for each in back]

    def content(told: dict[str, Any]) -> Any:
        return {name: base["tables"] for name, base in told["databases"].items()}, told["files"]

    assert (there == []) == (content(one) == content(two))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.pop("notes"), "database notes is not there"),
        (lambda found: found["notes"]["tables"].pop("public.a"), "notes: table public.a is not there"),
        (
            lambda found: found["notes"]["tables"].update({"public.b": {"rows": 0, "hash": ""}}),
            "notes: table public.b was not there when the backup was taken",
        ),
        (
            lambda found: found["notes"]["tables"]["public.a"].update(rows=2),
            "notes: table public.a has other rows: 2 for 3",
        ),
        (
            lambda found: found["notes"]["tables"]["public.a"].update(hash="cd"),
            "notes: table public.a has other content: cd for ab",
        ),
    ],
)
def test_each_difference_is_said_with_its_place(change: Any, said: str) -> None:
    was = {"databases": {"notes": {"tables": {"public.a": {"rows": 3, "hash": "ab"}}}}}
    found = copy.deepcopy(was)
    change(found["databases"])
    assert [str(each) for each in manifest.compare(was, found)] == [said]


def test_snapshots_are_read_as_the_server_writes_them() -> None:
    assert manifest.snapshot("740:745:741,743") == (740, 745, frozenset({741, 743}))
    assert manifest.snapshot("745:745:") == (745, 745, frozenset())
    with pytest.raises(ValueError, match="is no snapshot"):
        manifest.snapshot("745")


@st.composite
def servers(draw: Any) -> tuple[list[int], list[manifest.Snapshot], int]:
    """The commits in the order of the WAL, snapshots of a server that shows each a while after it was written, and how
    many were written when the named point was."""
    numbers = draw(st.lists(st.integers(700, 712), unique=True, max_size=10))
    shown = draw(st.permutations(numbers))
    running = set(range(700, 714)) - set(numbers)
    taken = []
    for _ in range(draw(st.integers(1, 2))):
        visible = set(shown[: draw(st.integers(0, len(shown)))])
        high = max([*visible, 699]) + draw(st.integers(1, 3))
        unseen = {number for number in [*numbers, *running] if number < high and number not in visible}
        taken.append(manifest.Snapshot(700, high, frozenset(unseen)))
    return numbers, taken, draw(st.integers(0, len(numbers)))


@given(servers())
def test_a_place_called_exact_gives_back_just_what_every_snapshot_saw(server: Any) -> None:
    numbers, taken, written = server
    commits = numbers[:written]
    found = manifest.place(taken, commits)
    recovered = set(commits if found.before is None else commits[: commits.index(found.before)])
    for seen in taken:
        visible = {number for number in numbers if number < seen.high and number not in seen.open}
        if found.exact and visible <= set(commits):  # what shows itself was written before
            assert recovered == visible


def test_a_commit_that_was_written_and_did_not_show_itself_yet_is_where_recovery_stops() -> None:
    seen = manifest.snapshot("741:744:741,743")
    assert manifest.place([seen], [742]) == (None, True)
    assert manifest.place([seen], [742, 743, 741]) == (743, True)
    assert manifest.place([seen], [741, 742]) == (741, False)
    assert manifest.place([seen], [742, 745]) == (745, True)


@given(st.sets(st.integers(700, 710)), st.sets(st.integers(700, 710)), st.integers(700, 711))
def test_a_restored_server_with_one_commit_too_many_is_not_compared(
    committed: set[int], running: set[int], high: int
) -> None:
    seen = manifest.Snapshot(700, high, frozenset(number for number in running if number < high))
    restored = manifest.Snapshot(700, 711, frozenset())
    states = {number: "committed" if number in committed else "aborted" for number in range(700, 711)}
    more = {number for number in committed if number >= high or number in seen.open}
    assert manifest.comparable(seen, restored, states) == (not more)
