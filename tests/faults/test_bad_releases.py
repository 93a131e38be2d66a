"""A release that is no good never harms clients, and says itself what was wrong with it.

Requirements: REL-6, REL-8, REL-13.
"""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from tests.support.driving import Answer
from tests.support.histories import (
    Version,
    crashes,
    dies,
    fails_later,
    good,
    migrates,
    migration_fails,
    never_ready,
    slow,
    takes_away,
)
from tests.support.prober import Prober
from tests.support.site import Site

CRASH = "flux capacitor"


def keeps_evidence(site: Site, answer: Answer) -> None:
    """The failed release's directory and log are still there for whoever looks into it."""
    name = answer.said["release"]
    site.ssh(f"test -f /srv/{site.app}/releases/{name}/release.json")
    assert any(line.get("release") == name and line["status"] in ("failed", "returned") for line in site.ledger())


@pytest.mark.parametrize(
    ("version", "said", "evidence"),
    [
        (never_ready(), "not ready", "listening"),
        (crashes(), "", CRASH),
        # To the gate the same as one that never gets ready.
        pytest.param(slow(60), "not ready", "", marks=pytest.mark.at_times(journey="releases that start slowly")),
        (dies(1, since="ready"), "it was ready and", "now dead"),
    ],
    ids=["never gets ready", "crashes at start", "starts too slowly", "dies while it is watched"],
)
def test_health_that_never_comes_leaves_clients_where_they_are(
    site: Site, prober: Prober, version: Version, said: str, evidence: str
) -> None:
    before = site.served()
    with site.settings(release_start_timeout_s=10, release_soak_s=3):
        answer = site.deploy(site.repository.commit(version))
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert said in answer.text
    assert evidence in answer.evidence
    assert (CRASH in answer.evidence) == (evidence == CRASH), "another release's words"
    keeps_evidence(site, answer)
    assert site.served() == before
    prober.served_only(before)
    *words, env, name, app, of = answer.said["hint"].split()[1:]
    assert (env, name, app, of) == ("--env", "dev", "--app", site.app), answer.said["hint"]
    assert words[:3] == ["logs", "--release", answer.said["release"]], words
    log = site.run(*words, app, of)
    assert (log.code, evidence in log.out) == (0, True), str(log)


@pytest.mark.at_times(journey="releases that start slowly")
def test_a_slow_start_is_no_failure_within_its_time(site: Site, prober: Prober) -> None:
    before = site.served()
    answer = site.deploy(site.repository.commit(slow(3)))
    assert answer.code == 0, str(answer)
    prober.served_only(before, answer.said["release"])


@pytest.mark.parametrize(
    ("version", "evidence"),
    [(dies(2, since="client"), "now dead"), (fails_later(2, since="client"), "listening")],
    ids=["dies", "answers 500"],
)
def test_what_falls_ill_after_the_switch_is_left_again(site: Site, version: Version, evidence: str) -> None:
    before = site.served()
    with site.settings(release_watch_s=10), Prober(site) as prober:
        answer = site.deploy(site.repository.commit(version))
    assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
    assert evidence in answer.evidence
    keeps_evidence(site, answer)
    assert site.served() == before
    # Clients were on it, and saw what it did, until it was left; that is over at once and for all of them.
    assert set(prober.releases) <= {before, answer.said["release"]}
    assert len(prober.failed) < 0.3 * prober.asked, prober.failed


def test_a_migration_that_fails_stops_before_anything_is_started(site: Site, prober: Prober) -> None:
    site.deploy(site.repository.commit(migrates("with a schema")))
    before, schema = site.served(), site.ssh(f"tail -n 1 /srv/{site.app}/shared/state/schema")
    answer = site.deploy(site.repository.commit(migration_fails()))
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert "migration failed" in answer.text
    assert "left as it was" in answer.text
    assert "relation does not exist" in answer.evidence
    keeps_evidence(site, answer)
    assert site.ssh(f"tail -n 1 /srv/{site.app}/shared/state/schema") == schema
    assert site.served() == before
    after = site.deploy(site.repository.commit(migrates("mended")))
    assert after.code == 0, str(after)
    assert set(prober.releases) <= {str(line.get("release", "")) for line in site.ledger()}
    assert prober.failed == []


def test_a_migration_on_which_what_serves_is_not_well_is_taken_back_before_anybody_is_moved(
    site: Site, prober: Prober
) -> None:
    first = site.served()
    site.deploy(site.repository.commit(migrates("with another schema")))
    before, schema = site.served(), revision(site)
    answer = site.deploy(site.repository.commit(takes_away()))
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    new = answer.said["release"]
    assert f"what serves is not well on the schema that the migration of {new} has left" in answer.text
    assert f"it is back at {schema}" in answer.text
    assert f"{before}: tiny-web@" in answer.evidence
    assert "expand" in answer.text
    assert (site.served(), revision(site)) == (before, schema)
    assert (told := ledger.story(site.ledger())).schema == schema
    assert told.releases[new].line["migration"] == "expand"
    # Without a way down it stays, and people are told where.
    stays = site.deploy(site.repository.commit(takes_away("no way down", migrations={"downgrade": ""})))
    assert (stays.code, stays.said["status"]) == (2, "failed"), str(stays)
    assert f"has left; it stays at {revision(site)}" in stays.text
    assert revision(site) > schema
    site.ssh(f"rm /srv/{site.app}/shared/state/takes")
    after = site.deploy(site.repository.commit(migrates("mended again")))
    assert after.code == 0, str(after)
    prober.served_only(first, before, after.said["release"])


def revision(site: Site) -> str:
    """Return where the schema is."""
    return site.ssh(f"tail -n 1 /srv/{site.app}/shared/state/schema").strip()


def test_good_bad_good_and_a_rollback_lands_on_the_first(site: Site, prober: Prober) -> None:
    earlier = site.served()
    first = site.good("the first")
    with site.settings(release_start_timeout_s=3):
        bad = site.deploy(site.repository.commit(never_ready()))
    assert bad.code == 2, str(bad)
    third = site.good("the third")
    back = site.rollback()
    assert (back.code, back.said["release"]) == (0, first), str(back)
    assert site.served() == first
    # And again: not on the bad one, and not on the one that was just left.
    again = site.rollback()
    assert (again.code, again.said["release"]) == (0, earlier), str(again)
    prober.served_only(earlier, first, third)


def test_a_rollback_over_a_change_of_the_schema_wants_to_be_told(site: Site, prober: Prober) -> None:
    before = site.good("before the schema")
    after = site.deploy(site.repository.commit(migrates("after the schema")))
    refused = site.rollback()
    assert refused.code == 1, str(refused)
    assert "--accept-schema" in refused.text
    assert site.served() == after.said["release"]
    accepted = site.rollback("--accept-schema")
    assert (accepted.code, accepted.said["release"]) == (0, before), str(accepted)
    assert prober.failed == []


def test_what_is_live_already_is_left_alone(site: Site) -> None:
    commit = site.repository.commit(good("only once"))
    first = site.deploy(commit)
    pids = site.ssh("pgrep -f '[t]iny.py web'")
    again = site.deploy(commit)
    assert (again.code, again.said["status"], again.said["changed"]) == (0, "unchanged", False), str(again)
    assert again.said["release"] == first.said["release"]
    assert site.ssh("pgrep -f '[t]iny.py web'") == pids


@pytest.mark.at_times(journey="a guard with nothing to do")
def test_a_guard_that_had_nothing_to_do_leaves_no_word_in_the_logs(site: Site) -> None:
    ran = "systemctl show -P ExecMainStartTimestampMonotonic ferryman-guard.service"
    # systemd forgets a unit that has ended, and when it ran, unless another one names it.
    site.ssh("systemd-run --quiet --unit=names-the-guard --property=After=ferryman-guard.service sleep 300")
    before, began = int(site.ssh(ran)), site.ssh("date +%s")
    site.good("guarded")
    after = int(site.ssh(ran))
    site.ssh("systemctl stop names-the-guard.service")
    assert after > before, "it did run"
    assert site.ssh(f"journalctl --quiet --output=cat --since=@{began} --unit=ferryman-guard.service") == ""


def test_a_rollback_past_an_irreversible_migration_is_refused_with_the_way_out(site: Site, prober: Prober) -> None:
    first, before = site.served(), site.good("before it cannot be undone")
    irreversible = {"migrations": {"kind": "irreversible"}}
    commit = site.repository.commit(Version("cannot be undone", migration={}, description=irreversible))
    after = site.deploy(commit)
    assert after.code == 0, str(after)
    refused = site.rollback("--accept-schema")
    assert (refused.code, refused.said["status"]) == (1, "refused"), str(refused)
    assert f"the migration of {after.said['release']} is irreversible" in refused.text
    assert "--with-database" in refused.text
    site.repository.commit(good("what comes can be undone", migrations={"kind": "expand"}))
    prober.served_only(first, before, after.said["release"])
