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


# A history: transactions begin and end in the order of numbers; each has, or has not, written its commit by the time
# of the point, and shown it by the time of the snapshot. In the server the second comes after the first.
histories = st.lists(st.sampled_from(["early", "written", "between", "late", "aborted", "runs on"]), max_size=12)


@given(histories, st.integers(0, 12))
def test_a_snapshot_called_exact_is_what_recovery_to_its_point_gives_back(story: list[str], begun: int) -> None:
    """`begun` of the transactions had begun at the snapshot; who began later cannot be seen by it."""
    first = 700
    numbers = {first + place: state for place, state in enumerate(story)}
    high = first + min(begun, len(story))
    seen_open = {number for number, state in numbers.items() if number < high and state != "early"}
    seen = manifest.Snapshot(first, high, frozenset(seen_open))
    after = manifest.Snapshot(first, first + len(story), frozenset())
    final = {"aborted": manifest.ABORTED, "runs on": manifest.RUNNING}
    states = {number: final.get(state, manifest.COMMITTED) for number, state in numbers.items()}
    doubtful = manifest.in_doubt(seen, after)
    visible = {number for number in numbers if number < high and number not in seen_open}
    # Before the point: all that the snapshot saw, and who had written a commit that it did not see yet.
    recovered = visible | {n for n, state in numbers.items() if state == "written" or (state == "early" and n >= high)}
    if manifest.is_exact(doubtful, states):
        assert visible == recovered


@given(histories, st.integers(0, 12))
def test_a_restored_server_is_compared_only_where_it_committed_what_the_snapshot_saw(
    story: list[str], begun: int
) -> None:
    first, high = 700, 700 + min(begun, len(story))
    committed = {first + place for place, state in enumerate(story) if state in ("early", "written", "between")}
    seen_open = frozenset(n for n in range(first, high) if n not in committed or story[n - first] != "early")
    states = {n: manifest.COMMITTED if n in committed else manifest.ABORTED for n in range(first, first + len(story))}
    restored = manifest.Snapshot(first, first + len(story), frozenset())
    visible = {n for n in range(first, high) if n not in seen_open}
    assert manifest.comparable(manifest.Snapshot(first, high, seen_open), restored, states) == (visible == committed)


def test_what_nobody_knows_is_not_exact() -> None:
    assert manifest.is_exact([], {})
    assert not manifest.is_exact([745], {})
