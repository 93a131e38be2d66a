"""What differs between two releases is said of both as they are; what nobody knows any more is said to be so."""

import string
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import files, ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import diff, remembered
from hypothesis import given
from hypothesis import strategies as st

ONE, TWO, LIVE = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb", "20260103T000000Z-ccccccc"
COMMITS = {"known": True, "added": [], "dropped": []}


def line(release: str, **more: Any) -> dict[str, Any]:
    commit = release[-7:] + "0" * 33
    return {"run": release, "event": "deploy", "release": release, "commit": commit, "status": "live", **more}


LEDGER = [line(ONE, schema_after="1"), line(TWO, schema_after="2"), line(LIVE, schema_after="2")]


def named(*words: str, lines: Any = LEDGER) -> tuple[str, str]:
    one, other = diff.named(lines, list(words))
    return one.id, other.id


def test_two_words_name_two_releases_and_one_is_compared_with_what_is_live() -> None:
    assert named(ONE, TWO) == (ONE, TWO)
    assert named("bbbb", "20260101") == (TWO, ONE)
    assert named("aaaaaaa0000") == (ONE, LIVE)


def test_of_a_commit_that_was_deployed_again_the_live_one_is_meant() -> None:
    again = "20260104T000000Z-aaaaaaa"
    lines = [*LEDGER, line(again)]
    assert named("aaaaaaa", TWO, lines=lines) == (again, TWO)


@pytest.mark.parametrize(
    ("words", "lines", "said"),
    [
        ([], LEDGER, "not 0"),
        ([ONE, TWO, LIVE], LEDGER, "not 3"),
        (["zzz"], LEDGER, "no release 'zzz'"),
        (["2026", TWO], [*LEDGER[:2], line(TWO, status="failed")], "is both of them"),
        (["2026010", ONE], [line(ONE, status="failed"), line(TWO, status="failed")], "several"),
        ([LIVE], LEDGER, "is both of them"),
        ([ONE], [line(ONE, status="failed")], "nothing is live"),
        (["a"], [], "nothing is live"),
    ],
)
def test_words_that_name_no_two_releases_are_refused_with_the_way_out(words: Any, lines: Any, said: str) -> None:
    with pytest.raises(ledger.Refused, match=said) as refused:
        diff.named(lines, words)
    assert refused.value.hint


paths = st.text(string.ascii_lowercase, min_size=1, max_size=3).map(lambda name: f"migrations/{name}")
trees = st.dictionaries(paths, st.sampled_from("ab"), max_size=6)
described = st.fixed_dictionaries(
    {
        "env": st.dictionaries(st.sampled_from(["TITLE", "MOTTO"]), st.sampled_from(["one", "two"])),
        "migrations": st.just({"paths": ["migrations"]}),
    }
)


def side(release: str, tree: Any, description: Any) -> diff.Side:
    (found,) = (each for each in ledger.story(LEDGER).releases.values() if each.id == release)
    listed = {path: files.Entry(path, "0644", letter * 64, 1) for path, letter in (tree or {}).items()}
    return diff.Side(found, description, None if tree is None else files.dump(listed))


@given(trees, trees, described, described)
def test_what_comes_one_way_goes_the_other_way(before: Any, after: Any, one: Any, other: Any) -> None:
    there = diff.between(side(ONE, before, one), side(TWO, after, other), COMMITS, app="shop")
    back = diff.between(side(TWO, after, other), side(ONE, before, one), COMMITS, app="shop")
    for here, turned in (("added", "removed"), ("removed", "added"), ("changed", "changed")):
        assert there["migrations"][here] == back["migrations"][turned]
        assert [each["path"] for each in there["files"][here]] == [each["path"] for each in back["files"][turned]]
    assert (there["configuration"] == []) == (one == other) == (back["configuration"] == [])
    assert [there["migrations"][key] for key in ("from", "to")] == ["1", "2"]
    assert there["unknown"] == {}


def test_a_side_that_was_a_hotfix_says_so() -> None:
    lines = [line(ONE), line(TWO, hotfix=True)]
    assert [diff.Side(each).told["hotfix"] for each in ledger.story(lines).releases.values()] == [False, True]


@pytest.mark.parametrize("lost", ["files", "configuration"])
def test_what_nobody_has_any_more_is_said_and_not_called_the_same(lost: str) -> None:
    whole = side(TWO, {"a": "b"}, {"env": {}})
    part = side(ONE, None if lost == "files" else {"a": "b"}, None if lost == "configuration" else {"env": {}})
    found = diff.between(part, whole, {**COMMITS, "known": False}, app="shop")
    assert found["unknown"] == {
        "commits": "the repository of shop does not have both aaaaaaa and bbbbbbb",
        lost: f"no host keeps that of {ONE} any more, nor does this machine",
    }
    assert not any(found["files"].values())


def test_release_notes_are_the_subjects_each_once_without_merges() -> None:
    subjects = ["Sell books", "Merge branch 'books'", "Sell books", "", "Mend the till"]
    assert diff.notes([{"subject": subject} for subject in subjects]) == ["Sell books", "Mend the till"]


def test_the_driver_knows_lists_by_digest_and_the_releases_that_it_made(tmp_path: Any) -> None:
    assert remembered.files_of(tmp_path, "d1") is None
    assert remembered.description_of(tmp_path, ONE) is None
    remembered.write(tmp_path / "files" / "d1.txt", b"0644 x\n")
    record = b'{"record": {"id": "%s", "manifest": {"description": {"name": "shop"}}}}' % ONE.encode()
    for name, text in (("r1", b'{"event": "rollback"}'), ("r2", record)):
        remembered.write(tmp_path / "runs" / name / "plan.json", text)
    assert remembered.digests(tmp_path) == ["d1"]
    assert remembered.files_of(tmp_path, "d1") == "0644 x\n"
    assert remembered.description_of(tmp_path, ONE) == {"name": "shop"}
    assert remembered.description_of(tmp_path, TWO) is None
