"""What a host sends is entered as it is, and not as it says it is; what it deletes is seen, and can be undone."""

import hashlib
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect, collector, repositories
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from hypothesis import given
from hypothesis import strategies as st
from tests.support.filesets import KIND, FileSet

NAME = "20261126T023107Z-media"
NOW = of.moment("2026-11-26T03:00:00Z")
MANIFEST = of.written({"format": 1, "id": NAME, "files": {"/srv": {"files": 1, "bytes": 1, "hash": "0" * 64}}})
RECORD: dict[str, Any] = {
    "format": 1, "id": NAME, "set": KIND, "environment": "prod", "engine": "borg", "engine_id": "aa", "check": None,
    "began_at": "2026-11-26T02:31:07Z", "result": "taken", "reason": "",
    "manifest": hashlib.sha256(MANIFEST.encode()).hexdigest(),
}  # fmt: skip


def problems(
    record: dict[str, Any], name: str = NAME, names: dict[str, str] | None = None, manifest: str = MANIFEST
) -> list[str]:
    return collect.problems(record, name, KIND, "prod", {NAME: "aa"} if names is None else names, manifest, NOW)


def test_a_backup_that_is_what_it_says_has_no_problem() -> None:
    assert problems(RECORD) == []


LIES = [
    {"id": "20261126T023108Z-media"}, {"set": "config"}, {"environment": "staging"}, {"engine": "barman"},
    {"engine_id": "bb"}, {"check": {"result": "passed", "findings": []}}, {"began_at": "2020-01-01T00:00:00Z"},
    {"began_at": "soon"}, {"result": "passed"}, {"manifest": "0" * 64}, {"result": None},
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_record_that_lies_is_not_entered(lie: dict[str, Any]) -> None:
    assert problems({**RECORD, **lie})


def test_a_backup_of_the_future_without_an_archive_or_with_an_empty_manifest_is_not_entered() -> None:
    future = {**RECORD, "id": "20271126T023107Z-media", "began_at": "2027-11-26T02:31:07Z"}
    assert any("future" in each for each in problems(future, future["id"]))
    assert any("archive is not there" in each for each in problems(RECORD, names={}))
    assert problems(RECORD, manifest=of.written({"format": 1, "id": NAME, "files": {}}))
    assert problems(RECORD, manifest="{}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_record_whatever_it_holds_is_more_than_a_problem(value: Any) -> None:
    for key in RECORD:
        assert isinstance(problems({**RECORD, key: value}), list)


def test_what_was_never_told_of_is_an_orphan_after_a_day() -> None:
    old, new = "20261124T000000Z-media", "20261126T020000Z-media"
    assert collect.orphans({old, new, f"{old}.checkpoint"}, set(), NOW) == [old, f"{old}.checkpoint"]
    assert collect.orphans({old, f"{old}.told"}, set(), NOW) == []
    assert collect.orphans({old}, {old}, NOW) == []


def test_a_host_gets_two_lines_of_its_own_and_no_others_are_touched() -> None:
    keys = {"append": "ssh-ed25519 AAA comment with words", "room": "ssh-ed25519 BBB"}
    wanted = repositories.lines("prod", "/srv/backups/prod", "app1", ["media", "config"], keys)
    others = "# somebody's\nssh-ed25519 CCC me\n" + repositories.merged(
        "", repositories.lines("staging", "/s", "app1", ["media"], keys)
    )
    text = repositories.merged(others, wanted)
    assert text.startswith(others)
    assert repositories.merged(text, wanted) == text
    changed = repositories.lines("prod", "/srv/backups/prod", "app1", ["media"], {**keys, "append": "ssh-ed25519 DDD"})
    assert "AAA" not in repositories.merged(text, changed).replace(others, "")
    append = wanted["ferryman:prod:app1:append"]
    assert append.startswith('command="flock ')
    assert "borg serve --append-only --restrict-to-repository /srv/backups/prod/media" in append
    second = repositories.lines("prod", "/srv/backups/prod", "cache1", ["cache"], keys)
    assert repositories.merged(text, second).startswith(text), "another host of the same archive has lines beside"
    older = "ssh-ed25519 EEE ferryman:prod:append\n"
    assert repositories.merged(older + others, wanted, ["ferryman:prod:append", "ferryman:prod:room"]) == text
    assert '",restrict ssh-ed25519 AAA ferryman:prod:app1:append' in append


@pytest.mark.parametrize(
    ("wished", "said"),
    [
        ({"name": "../x"}, "backup_name"),
        ({"sets": ["database"]}, "no set of files"),
        ({"passphrase": "short"}, "at least 20"),
        ({}, ""),
    ],
)
def test_wishes_that_can_not_work_are_refused(wished: dict[str, Any], said: str) -> None:
    found = repositories.problems({"name": "prod", "sets": ["media"], "passphrase": "x" * 20, **wished})
    assert said in "; ".join(found)
    assert bool(found) == bool(said)


@pytest.fixture
def files(tmp_path: Path) -> FileSet:
    made = FileSet(tmp_path / "set")
    for number in range(3):
        (made.roots[0] / f"f{number}").write_text(f"{number}" * 1000)
    return made


def entered(files: FileSet) -> dict[str, Any]:
    """Take a backup, enter it; return it as the catalogue has it."""
    record = files.take()
    told = collect.collect(files.works, of.moment(record["began_at"]) + 60)
    assert [each["id"] for each in told["entered"]] == [record["id"]]
    assert told["notes"] == []
    return dict(told["entered"][0])


def test_a_key_that_was_written_over_is_put_back_and_said(files: FileSet) -> None:
    record = entered(files)
    (files.repository / "config").write_text("[repository]\nid = 1\n")
    told = collect.collect(files.works, NOW)
    assert len(told["notes"]) == 1
    assert "had changed the configuration" in told["notes"][0]
    (files.repository / "config").unlink()
    assert files.works.key()
    assert files.works.check(record) == []
    for later, notes in ((60, told["notes"]), (2 * 86400, [])):  # somebody looks once a day
        collect.keep(files.archive, KIND, [], NOW + later)
        assert [each["said"] for each in files.archive.documents("notes")[0][0]["notes"]] == notes


def test_a_host_that_sends_is_not_waited_for_and_a_prune_waits_for_it(files: FileSet) -> None:
    path = collector.lock(files.works.place.base, files.archive.name)
    assert not files.works.is_busy()
    with subprocess.Popen(["flock", "--shared", path, "cat"], stdin=subprocess.PIPE) as sending:
        while not files.works.is_busy():
            time.sleep(0.01)
        sending.communicate()
    with files.works.exclusively():
        assert files.works.is_busy()


def test_a_run_that_failed_is_in_the_catalogue_with_its_reason(files: FileSet) -> None:
    first = files.take()
    for path in files.roots[0].iterdir():
        path.unlink()
    record = files.take()
    told = collect.collect(files.works, of.moment(record["began_at"]) + 60)
    assert [each["id"] for each in told["entered"]] == [first["id"], record["id"]]
    assert (told["entered"][1]["result"], told["entered"][1]["check"]) == ("failed", None)
    assert "is its disk there?" in told["entered"][1]["reason"]
