"""What other hosts say of a live release: how each app host is, and what other entries have counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import commits, counting, following, shift, verdict
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, elsewhere, facts, gathering
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from hypothesis import given
from hypothesis import strategies as st
from tests.support.access_log import line

RUN, SEAL = "20260101T000000Z-abcdef", "known to hosts of this run"
WAYS = st.dictionaries(st.sampled_from("abc"), st.booleans().map(lambda good: {"good": good}))
CLIENTS = st.sets(st.sampled_from([f"c{number}" for number in range(12)]))
LEAST = 5


@given(WAYS)
def test_a_host_that_is_away_with_either_release_says_nothing_of_them(new: dict[str, Any]) -> None:
    old = {name: {"good": True} for name in new}
    away = {"lost": {"good": False}}
    assert elsewhere.well({**new, **away}, {**old, **away}) == elsewhere.well(new, old)


@given(WAYS, WAYS)
def test_either_release_is_well_where_it_is_so_on_all_hosts_that_are_there(
    new: dict[str, Any], old: dict[str, Any]
) -> None:
    there = [name for name in {*new, *old} if new.get(name, {}).get("good") or old.get(name, {}).get("good")]
    each = tuple(bool(there) and all(arm.get(name, {}).get("good") for name in there) for arm in (new, old))
    assert elsewhere.well(new, old) == each


@given(WAYS, WAYS)
def test_nobody_goes_back_to_fewer_hosts_than_serve_now(new: dict[str, Any], old: dict[str, Any]) -> None:
    serves = [{name for name, way in arm.items() if way["good"]} for arm in (new, old)]
    assert elsewhere.may_go_back(new, old) == (bool(serves[1]) and serves[0] <= serves[1])


@given(st.lists(st.tuples(CLIENTS, CLIENTS), min_size=1, max_size=4))
def test_by_the_clients_that_are_named_as_many_have_surely_failed_as_by_all(
    minutes: list[tuple[set[str], set[str]]],
) -> None:
    """Of two entries, in several minutes: all that is asked of them is whether they are `LEAST` or more."""
    whole = [access.Tally(), access.Tally()]
    for number, pair in enumerate(minutes):
        for tally, failing in zip(whole, pair, strict=True):
            tally.minutes[number * 60, "green"] = access.Minute(20, len(failing), failing)
    named = [elsewhere.short(tally, since=0, least=LEAST) for tally in whole]
    counts = [
        facts.clients(each.new for each in gathering.minutes(access.merged_tally(told), new="green", since=0, now=300))
        for told in (whole, named)
    ]
    assert (counts[0] >= LEAST) == (counts[1] >= LEAST)


@given(st.integers(0, 20))
def test_what_is_over_for_long_is_told_no_more(since: int) -> None:
    tally = access.Tally(minutes={(number * 60, "green"): access.Minute(1) for number in range(10)})
    told = elsewhere.short(tally, since=since * 30.0, least=LEAST)
    assert [at for at, _ in told.minutes] == [at for at, _ in tally.minutes if at + 60 > since * 30]


@pytest.fixture
def entry(site: Site, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Another entry, whose nginx answers with what lies there."""

    def get(_: Any, path: str, **__: Any) -> tuple[int, dict[str, str], str]:
        file = site.state / "runs" / path.removeprefix(commits.PATH)
        return (200, {}, file.read_text()) if file.exists() else (404, {}, "")

    monkeypatch.setattr(shift, "get", get)
    return Host(site)


def asked(**known: str) -> access.Tally | None:
    return elsewhere.ask({"domain": "x", "port": 443}, address="10.0.0.2", **{"run": RUN, "seal": SEAL, **known})


def test_an_entry_counts_for_the_arbiter_until_it_follows_nobody_any_more(
    entry: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, heard = tmp_path / "access.json", list[access.Tally | None]()
    log.write_text("")
    after = {"log": str(log), "salt": "00", "since": 0.0, "limits": {"errors_back_s": 1e10}}
    told = {"run": RUN, "seal": SEAL, "after": after}

    def follows(*_: Any) -> bool:
        heard.append(asked())
        with log.open("ab") as stream:
            stream.write(line(1000, arm="green", status=500 if len(heard) == 2 else 200))
        return len(heard) < 4

    monkeypatch.setattr(following, "follows", follows)
    counting.count(entry, told, every_s=0)
    assert heard[0] is None, "it had not counted yet"
    counts = [[(each.requests, each.failed) for each in tally.minutes.values()] for tally in heard[1:] if tally]
    assert counts == [[(1, 0)], [(2, 1)], [(3, 1)]]
    assert asked() is None, "it is over"


def test_only_who_knows_the_seal_finds_the_counts_and_only_his_are_believed(entry: Host) -> None:
    tally = access.Tally(minutes={(0, "green"): access.Minute(3, 1, {"c1"})})
    elsewhere.tell(entry, run=RUN, seal=SEAL, tally=tally)
    found = asked()
    assert found
    assert found.minutes == tally.minutes
    assert asked(seal="a guess") is None
    (file,) = (entry.site.state / "runs").iterdir()
    assert SEAL not in file.name + file.read_text()
    body = json.loads(file.read_text())
    body["told"]["minutes"][0][2] = 4
    file.write_text(json.dumps(body))
    assert asked() is None


def test_what_clients_of_two_entries_got_is_one_evidence() -> None:
    """Each alone has too few clients that failed; a release that fails a third of all is bad."""
    tallies = [access.Tally(), access.Tally()]
    for entry, tally in enumerate(tallies):
        for minute in range(5):
            tally.minutes[minute * 60, "green"] = access.Minute(30, 10, {f"c{entry}{number}" for number in range(3)})

    def judged(*told: access.Tally) -> str:
        whole = access.merged_tally(elsewhere.short(each, since=0, least=LEAST) for each in told)
        minutes = gathering.minutes(whole, new="green", since=0, now=300)
        evidence = facts.Evidence(now=300, since=0, until=300, share=1.0, minutes=minutes, old_probes=(60, 60))
        return verdict.judge(evidence).word

    assert [judged(each) for each in tallies] == [verdict.PROMOTE, verdict.PROMOTE]
    assert judged(*tallies) == verdict.ROLLBACK
