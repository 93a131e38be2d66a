"""A look finds what was edited, goes on past what is damaged, and lets nothing begin on what would mislead it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action import release_look
from ansible_collections.ferryman.ops.plugins.module_utils.release import chain, edits, files, look, names, probe, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtimes import node
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import remembered
from tests.support.placed import Placed

ONE, TWO = "20261122T103000Z-1111111", "20261122T113000Z-2222222"
ROLES = ["app", "entry", "arbiter"]
LAUNCHER = "#!/bin/sh\nexec web\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host on which release ONE was deployed to blue and TWO to green, which serves."""
    monkeypatch.setattr(names, "PENDING", tmp_path / "pending")
    monkeypatch.setattr(probe, "check", lambda *_, **__: [])
    site = Placed("tiny", place=tmp_path)
    for release, slot in ((ONE, "blue"), (TWO, "green")):
        put(site, release)
        site.slot(slot).parent.mkdir(exist_ok=True)
        site.slot(slot).symlink_to(f"../releases/{release}")
        chain.append(site.arbiter / "ledger.jsonl", {"run": release, "release": release, "status": "live"})
    (site.root / "current").symlink_to(f"releases/{TWO}")
    (site.state / "share").symlink_to("sets/100")
    shift = {"format": 1, "stable": "green", "candidate": None, "release_stable": TWO, "phase": "stable", "share": 100}
    (site.state / "shift.json").write_text(json.dumps(shift))
    return Host(site, run="run", token=1)


def put(site: Site, release: str) -> None:
    place = site.release(release)
    (place / "app/pkg").mkdir(parents=True)
    (place / "run").mkdir()
    (place / "app/pkg/mod.py").write_bytes(b"1")
    (place / "app/pkg/mod.py").chmod(0o644)
    (place / "app/media").symlink_to(site.root / "shared/media")
    (place / "run/web").write_text(LAUNCHER)
    entry = files.Entry("pkg/mod.py", "0644", hashlib.sha256(b"1").hexdigest(), 1)
    text = files.dump({"pkg/mod.py": entry})
    (place / "files.txt").write_text(text)
    told: dict[str, Any] = {"processes": {}, "health": {"checks": []}, "shared": ["media"]}
    told["runtime"] = {"kind": "static"}
    record = {
        "format": 1, "id": release, "digest": files.digest(text), "commit": release, "configuration": "c",
        "environment_key": "", "processes": {}, "manifest": {"description": told},
        "launchers": {"web": files.digest(LAUNCHER)},
    }  # fmt: skip
    (place / "release.json").write_text(json.dumps(record))


def seen(host: Host, **more: Any) -> dict[str, Any]:
    return look.look(host, {"roles": ROLES, **more})


def changing(host: Host, **more: Any) -> dict[str, Any]:
    return seen(host, lock={"owner": "x@y", "purpose": "deploy", "lease_s": 30}, **more)


def test_a_release_as_it_was_staged_is_not_edited(host: Host) -> None:
    cache = host.site.release(TWO) / "app/pkg/__pycache__"
    cache.mkdir()
    (cache / "mod.cpython-311.pyc").touch()
    found = changing(host)
    assert (found["live"], found["edited"], found["damaged"]) == (TWO, [], [])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("app/sitecustomize.py", "sitecustomize.py"),
        ("app/pkg/other.py", "pkg/other.py"),
        ("app/pkg/mod.py", "pkg/mod.py"),
        ("run/web", "run/web"),
        ("run/more", "run/more"),
    ],
)
def test_what_was_edited_or_added_is_seen(host: Host, path: str, said: str) -> None:
    (host.site.release(TWO) / path).write_text("planted")
    assert seen(host)["edited"] == [said]


def test_a_link_that_was_added_is_seen_and_not_followed(host: Host) -> None:
    (host.site.release(TWO) / "app/pkg/more").symlink_to("/usr/lib")
    assert seen(host)["edited"] == ["pkg/more"]


def test_launchers_of_a_release_that_has_none_written_down_are_not_judged(host: Host) -> None:
    path = host.site.release(TWO) / "release.json"
    record = json.loads(path.read_text())
    del record["launchers"]
    (host.site.release(TWO) / "run/web").write_text("other")
    assert edits.found(host, record, edits.listed(host, record)) == []


@pytest.mark.parametrize("text", ["", "{}x", '{"format": 1}', '{"id": "x"}'])
def test_a_damaged_record_of_an_old_release_stops_nothing(host: Host, text: str) -> None:
    path = host.site.release(ONE) / "release.json"
    path.write_text(text)
    found = changing(host)
    assert [each["id"] for each in found["releases"]] == [TWO]
    assert len(found["damaged"]) == 1
    assert str(path) in found["damaged"][0]


@pytest.mark.parametrize("name", ["lock.json", "token.json", "shift.json", "release.json"])
def test_a_damaged_file_is_told_and_nothing_begins_on_it(host: Host, name: str) -> None:
    places = {"lock.json": host.site.arbiter, "release.json": host.site.release(TWO)}
    path = places.get(name, host.site.state) / name
    path.write_text("")
    found = seen(host)
    assert str(path) in found["damaged"][0]
    assert found["shift"]["stable"] == "green"  # also where only the links say so
    assert found["shift"]["release_stable"] == TWO
    with pytest.raises(Failed, match=str(path)) as failed:
        changing(host)
    assert failed.value.refused
    assert failed.value.hint


def test_a_ledger_with_a_changed_line_lets_nothing_begin(host: Host) -> None:
    path = host.site.arbiter / "ledger.jsonl"
    path.write_text(path.read_text().replace('"live"', '"good"', 1))
    assert seen(host)["ledger"]["wrong"]
    with pytest.raises(Failed, match="cannot be relied on") as failed:
        changing(host)
    assert failed.value.refused
    assert str(path) in failed.value.hint


def test_a_journal_with_a_changed_line_is_told_with_its_place_and_stops_nothing(host: Host) -> None:
    path = host.site.state / "journal.jsonl"
    chain.append(path, {"step": "stage"})
    assert (seen(host)["journal"]["wrong"], seen(host)["journal"]["way_out"]) == ("", "")
    path.write_text(path.read_text().replace("stage", "start"))
    told = changing(host)["journal"]
    assert (told["wrong"], str(path) in told["way_out"]) == ("line 1 does not match its own hash", True)


def test_a_ledger_that_was_cut_short_lets_nothing_begin(host: Host) -> None:
    path = host.site.arbiter / "ledger.jsonl"
    head = {"hash": chain.read(path).head, "kept": "/here/heads/prod-tiny"}
    assert not changing(host, head=head)["ledger"]["wrong"]
    chain.append(path, {"run": "later", "status": "started"})
    assert not changing(host, head=head)["ledger"]["wrong"]
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert "saw last" in seen(host, head=head)["ledger"]["wrong"]
    with pytest.raises(Failed, match="saw last") as failed:
        changing(host, head=head)
    assert failed.value.refused
    assert "rm /here/heads/prod-tiny" in failed.value.hint


def test_nothing_begins_where_a_host_has_not_what_the_application_runs_on(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "PATH", str(tmp_path))
    with pytest.raises(Failed, match="this host has no node, which the application runs on") as failed:
        changing(host, runtime="node", environment="prod")
    assert failed.value.refused
    assert failed.value.hint == "`provision` installs it"
    assert seen(host, runtime="node")["tools"]["node"] == "", "a look alone goes on"


def test_what_is_linked_into_a_release_of_node_was_not_added_by_hand(host: Host) -> None:
    path = host.site.release(TWO) / "release.json"
    record = json.loads(path.read_text())
    (host.site.release(TWO) / "app/node_modules").symlink_to("../environment/node_modules")
    assert seen(host)["edited"] == ["node_modules"]
    record["manifest"]["description"]["runtime"] = {"kind": "node"}
    path.write_text(json.dumps(record))
    assert seen(host)["edited"] == ["node_modules"], "nothing is linked there without an environment"
    path.write_text(json.dumps({**record, "environment_key": "0123456789abcdef"}))
    assert seen(host)["edited"] == []


@pytest.mark.parametrize(("hidden", "asked"), [(False, {"entry", "home"}), (True, {"entry"})])
def test_what_a_maintenance_page_would_answer_is_not_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch, hidden: bool, asked: set[str]
) -> None:
    path = host.site.release(TWO) / "release.json"
    record = json.loads(path.read_text())
    record["manifest"]["description"]["health"] = {"checks": [{"name": "home", "path": "/", "status": 200}]}
    path.write_text(json.dumps(record))
    monkeypatch.setattr(shift, "get", lambda *_, **__: (503 if hidden else 200, {}, ""))
    if hidden:
        (host.site.state / "maintenance").touch()
    answers = look.health(host, {"roles": ["entry"], "entry": {"domain": "tiny.test"}})
    assert set(answers) == asked
    assert look.look(host, {"roles": ["entry"]})["maintenance"] is hidden


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"entry": 502}, {}, {}),
        ({"home": 500}, {"entry": 502}, {}),
        ({"home": 500, "entry": 502}, {"home": 503}, {"home": "/ answered 503 "}),
    ],
)
def test_one_bad_answer_decides_nothing_and_what_answers_badly_twice_is_not_well(
    host: Host, monkeypatch: pytest.MonkeyPatch, first: dict[str, int], second: dict[str, int], said: dict[str, str]
) -> None:
    path = host.site.release(TWO) / "release.json"
    record = json.loads(path.read_text())
    record["manifest"]["description"]["health"] = {"checks": [{"name": "home", "path": "/", "status": 200}]}
    path.write_text(json.dumps(record))
    asked: list[str] = []

    def get(_: object, path: str, **__: object) -> tuple[int, dict[str, str], str]:
        name = "home" if path == "/" else "entry"
        asked.append(name)
        return (first if asked.count(name) == 1 else second).get(name, 200), {}, ""

    monkeypatch.setattr(shift, "get", get)
    found = look.health(host, {"roles": ["entry"], "entry": {"domain": "tiny.test"}})
    assert sorted(asked) == ["entry", "entry", "home", "home"]
    assert set(found) == {"entry", "home"}
    assert {name: each["said"] for name, each in found.items() if not each["good"]} == said


@pytest.mark.parametrize("stays", [True, False])
def test_a_process_that_did_not_run_for_a_moment_is_not_called_unwell(
    host: Host, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    ill = [probe.Ill("tiny-worker@green-1.service", "does not run")]
    looks = iter([ill, ill if stays else []])
    monkeypatch.setattr(probe, "check", lambda *_: next(looks))
    told = {"tiny-worker@green-1.service": {"good": False, "said": "does not run"}}
    assert look.health(host, {"roles": ["app"]}) == (told if stays else {})


def test_what_is_no_longer_served_when_asked_again_is_left_out_and_what_came_in_its_place_is_told(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill, well = {"good": False, "said": "does not run"}, {"good": True, "said": "listens"}
    looks = iter([{"blue": ill, "entry": well}, {"green": well, "entry": well}])
    monkeypatch.setattr(look, "answers", lambda *_: next(looks))
    assert look.health(host, {"roles": ["app"]}) == {"green": well, "entry": well}


@pytest.mark.parametrize("broken", [b"", b"{", b"\xff\xfe", b"a" * 63, b"a" * 65, b"\n"])
def test_a_head_that_nobody_can_read_accuses_no_host(tmp_path: Path, broken: bytes) -> None:
    head, book = tmp_path / "heads" / "prod-tiny", tmp_path / "ledger.jsonl"
    chain.append(book, {"run": ONE, "release": ONE, "status": "live"})
    good = chain.read(book).head
    remembered.write(head, good.encode())
    assert release_look.head_in(head) == good
    head.write_bytes(broken)
    assert release_look.head_in(head) == ""
    assert [each.name for each in head.parent.iterdir()] == ["prod-tiny"]


def test_a_look_tells_by_which_run_a_release_is_stable_and_nothing_that_proves_the_arbiters_word(host: Host) -> None:
    seal = "known to hosts of this run"
    run = {"run": "run-2", "undoes": "run-1", "seal": seal, "asks": {"address": "10.0.0.1", "seal": seal}}
    shift.keep(host, {**shift.state(host), "stable_run": run, "seal": seal})
    assert (host.site.state / "shift.json").stat().st_mode & 0o077 == 0, "others of this host could forge it"
    assert seal not in json.dumps(host.diffs)
    told = seen(host)
    assert told["shift"]["stable_run"] == {"run": "run-2", "undoes": "run-1"}
    assert seal not in json.dumps(told)
