"""A full drill: what its record says, which host it may be made on, and what is kept from the world."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import freshness, full, full_fence, full_host, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plugins.backup.test_freshness import drill
from tests.unit.plugins.backup.test_retention import NOW

SECONDS = st.none() | st.floats(0, 10**7)
SETS = st.dictionaries(
    st.sampled_from(full.KINDS), st.fixed_dictionaries({"rpo_s": SECONDS, "rpo_said": st.sampled_from(["", "so much"])})
)
CHECKS = st.lists(st.fixed_dictionaries(
    {"name": st.just("manifest"), "result": st.sampled_from(["passed", "failed"]), "said": st.just("")}
))  # fmt: skip
PORTS = st.sets(st.integers(1, 65535), max_size=3)
ENVIRONMENTS = st.sampled_from(["prod", "staging"])


def told(**more: Any) -> dict[str, Any]:
    """Return what is told of a drill in which all was well."""
    one = {"backup": "b", "to": "latest", "rpo_s": 1.0, "rpo_said": "a second"}
    check = {"name": "database manifest", "result": "passed", "said": "1 table"}
    return {
        "run": "r", "began_at": of.said(NOW), "on": {"host": "drill1", "container": True}, "sets": {"database": one},
        "parts_s": {"provision": 2.0}, "rto_s": 2.0, "checks": [check], "applications": {}, "reason": "", **more,
    }  # fmt: skip


@given(SETS)
def test_what_would_be_lost_is_the_most_of_any_set_and_unknown_where_one_is(sets: dict[str, Any]) -> None:
    seconds, said = full.lost(sets)
    known = [one["rpo_s"] for one in sets.values()]
    assert seconds == (max(known) if known and None not in known else None)
    assert said
    assert all(kind in said for kind, one in sets.items() if one["rpo_s"] is None)


@given(CHECKS, st.sampled_from(["", "it broke off"]), st.none() | st.floats(0, 1000))
def test_a_drill_has_passed_only_if_it_came_to_its_end_and_all_was_well(
    checks: list[dict[str, str]], reason: str, rto_s: float | None
) -> None:
    record = full.record("prod", "backup1", told(checks=checks, reason=reason, rto_s=rto_s), NOW + 60)
    well = bool(checks) and {one["result"] for one in checks} == {"passed"}
    assert (record["result"] == "passed") == (well and not reason and rto_s is not None)
    assert record["id"] == f"{of.stamp(NOW)}-drill-full"
    assert of.read(of.written(record), "it") == {**record, "digest": of.digest(record)}


@pytest.mark.parametrize("key", full.TOLD)
def test_what_is_not_told_of_a_drill_is_named(key: str) -> None:
    with pytest.raises(Trouble, match=f"without {key}"):
        full.record("prod", "backup1", {name: value for name, value in told().items() if name != key}, NOW)


@given(st.sets(st.sampled_from(of.SETS)))
def test_a_new_host_gets_every_set_that_is_kept_but_the_cache(kept: set[str]) -> None:
    assert full.chosen(list(kept)) == [kind for kind in full.KINDS if kind in kept]
    assert "cache" not in full.KINDS


# Whose host


@given(
    st.none() | ENVIRONMENTS,
    st.none() | st.lists(ENVIRONMENTS, min_size=1, max_size=2, unique=True),
    PORTS,
    ENVIRONMENTS,
)
def test_a_host_is_one_of_a_drill_only_if_it_is_nobodys_or_this_environments_own_drill_left_it(
    mark: str | None, owners: list[str] | None, busy: set[int], environment: str
) -> None:
    marker = {"environments": owners} if owners else {}
    wrong = full_host.refusal({"environment": mark} if mark else {}, marker, busy, environment)
    free = mark == environment if mark else not owners and not busy
    assert (wrong == "") == free, wrong


def test_what_the_kernel_says_of_sockets_is_read_and_connections_are_no_servers() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000\n"
        "   1: 0100007F:1538 0100007F:9C40 01 00000000:00000000 00:00000000\n"
    )
    assert full_host.listening(table) == {443}
    assert full_host.listening("") == set()


# What it is kept from


@given(
    st.lists(st.from_regex(r"app-[a-z][a-z0-9-]{0,20}", fullmatch=True), min_size=1, max_size=3), st.integers(1, 65535)
)
def test_no_rule_lets_an_account_out_but_for_names(accounts: list[str], port: int) -> None:
    text = full_fence.rules(accounts, port)
    who = "{ " + ", ".join(f'"{name}"' for name in accounts) + " }"
    out = text[text.index("chain out") :]
    lines = [line.strip() for line in out.splitlines() if "skuid" in line]
    assert all(line.startswith(f"meta skuid {who}") for line in lines)
    assert [line.rpartition(" ")[2] for line in lines] == ["accept", "reject", "reject"]
    assert "th dport 53" in lines[0]
    assert re.search(rf"tcp dport {port} redirect to :{port}$", text, re.MULTILINE)


def test_nothing_of_the_real_certificates_is_put_in_place() -> None:
    from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host

    ours = {host.SETTINGS, host.PUBLISHED, host.HOOKS, host.ACME, host.VERSIONS, host.RECORDS}
    assert ours <= {*full_host.APART}


# What it takes


@pytest.fixture
def came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A set of files that came as a tar; where they belong lies what this host has itself. Return what `take` takes."""
    root, own = tmp_path / "etc", {"account": "of the drill", "stays": "of this host"}
    for name, text in {"account": "the real one", "ports.json": "theirs", "sites/one/secret": "theirs"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(full_host, "MARK", str(tmp_path / "mark"))
    monkeypatch.setattr(full_host, "APART", (f"{root}/account",))
    into, files = str(tmp_path / "main"), tree.totals([str(root)], tree.below({str(root): str(root)}))
    words = ["tar", "--create", "--file", full.tarball(into, "config"), "--directory", "/", str(root)[1:]]
    subprocess.run(words, check=True)
    shutil.rmtree(root)
    root.mkdir()
    for name, text in own.items():
        (root / name).write_text(text)
    return {"into": into, "run": "r", "sets": {"config": files}, "left_out": [f"{root}/stays"]}


def test_what_came_is_in_place_and_what_is_apart_or_left_out_is_this_hosts_own(
    tmp_path: Path, came: dict[str, Any]
) -> None:
    (check,) = full_host.take("prod", **came)
    assert check == {"name": "config manifest", "result": "passed", "said": "3 files are as they were"}
    root = tmp_path / "etc"
    there = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert there == {
        "account": "of the drill", "stays": "of this host", "ports.json": "theirs", "sites/one/secret": "theirs",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "mark"], "nothing lies beside"
    assert full_host.mark()["roots"] == [str(root)]


def test_what_came_otherwise_than_the_manifest_says_is_not_put_in_place(tmp_path: Path, came: dict[str, Any]) -> None:
    (of_root,) = came["sets"]["config"].values()
    of_root["hash"] = "another"
    (check,) = full_host.take("prod", **came)
    assert check["result"] == "failed"
    assert (tmp_path / "etc/account").read_text() == "of the drill"
    assert not (tmp_path / "etc/ports.json").exists()


# Whether it is fresh


def full_drill(days: float, **more: Any) -> dict[str, Any]:
    return {**drill(days), "shape": of.FULL, **more}


RULE = freshness.Rule(sets=("database",))
ASKED = RULE._replace(full_drill_days=100)
DAYS = st.floats(0.1, 400)


@given(st.lists(st.tuples(DAYS, st.booleans(), st.booleans()), max_size=5))
def test_a_full_drill_never_stands_in_for_that_of_a_set_nor_the_other_way_round(
    made: list[tuple[float, bool, bool]],
) -> None:
    drills = [
        (full_drill if whole else drill)(days, result="passed" if good else "failed") for days, good, whole in made
    ]
    for kind, some in ((of.FULL, True), ("database", False)):
        ages = [days for days, _, whole in made if whole is some]
        last = of.last_drill(drills, kind)
        assert (last is None) == (not ages)
        assert last is None or last["began_at"] == drill(min(ages))["began_at"]


@pytest.mark.parametrize(
    ("rule", "drills", "severity"),
    [
        (RULE, [], None),
        (RULE, [full_drill(399)], None),
        (RULE, [full_drill(1, result="failed", reason="no room")], "P1"),
        (ASKED, [], "P3"),
        (ASKED, [full_drill(99)], None),
        (ASKED, [full_drill(101)], "P2"),
        (ASKED, [full_drill(1, result="failed", reason="no room")], "P1"),
    ],
)
def test_a_full_drill_is_asked_for_only_where_the_rule_says_so(
    rule: freshness.Rule, drills: list[dict[str, Any]], severity: str | None
) -> None:
    found = freshness.of_drills([drill(1), *drills], rule, NOW)
    assert [(one.severity, one.set, one.do) for one in found] == (
        [(severity, of.FULL, "drill.full")] if severity else []
    )
    told = [one for one in freshness.judged([drill(1), *drills], rule, True, NOW) if one["key"] == "drill full"]
    assert [one["state"] for one in told] == (["wrong"] if severity else ["good"] if drills else [])
