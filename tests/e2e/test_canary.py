"""A new release among many clients: it goes on by itself where it is no worse, and back where it is, on a real host.

Requirements: REL-4, REL-5, REL-6.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conftest import Soak
from tests.support import canaries, histories
from tests.support.canaries import taken_through, verdicts, went_back
from tests.support.site import Site
from tests.support.visitors import Visitors

SECRET = "planted-9f1c77aa"
POOL = {"name": "pool", "path": "/metrics", "prometheus": 'pool_free{db="main"}', "at_least": 1}
PAID = {"name": "paid", "path": "/metrics", "prometheus": 'payments_total{result="ok"}', "of": "payments_total",
        "at_least": 90}  # fmt: skip


@pytest.fixture
def shop(site: Site) -> Iterator[Site]:
    """The site, with stages; its clients ask for /shop."""
    with site.settings(**canaries.SETTINGS):
        yield site


def test_a_release_that_is_no_worse_goes_through_its_stages_by_itself_and_nobody_sees_a_failure(shop: Site) -> None:
    answer, failures = taken_through(shop, histories.good("as good as the one before"))
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    told = verdicts(shop, answer.said["release"])
    assert [(each["verdict"], each["share"]) for each in told] == [("promote", 0.3), ("promote", 0.6), ("promote", 1.0)]
    assert all(each["draws"][0]["seen"][0] for each in told), "clients came to it"
    assert not failures


def test_a_release_that_fails_its_clients_goes_back_by_itself_with_the_figures_for_it(shop: Site) -> None:
    before = shop.served()
    answer, failures = taken_through(shop, histories.shop("fails half of them", errors=0.5))
    verdict = went_back(shop, answer, failures, before)
    assert (verdict["rule"], verdict["share"]) == ("errors", 0.3)
    arms = verdict["arms"]
    assert arms["new"]["failed"] >= 5
    assert arms["old"]["failed"] == 0
    lines = [each for each in shop.ledger() if each.get("release") == answer.said["release"]]
    assert lines[-1]["tried"], "it was found unwell: a rollback leaves it out"


@pytest.mark.at_times(journey="a canary that hangs")
def test_a_release_that_answers_nobody_goes_back(shop: Site) -> None:
    before = shop.served()
    with shop.settings(release_stages=[{"share": 30, "for_s": 40}]):
        answer, failures = taken_through(shop, histories.shop("hangs", hangs=True))
    assert went_back(shop, answer, failures, before)["rule"] in ("hanging", "errors")


@pytest.mark.at_times(journey="a canary whose login fails")
def test_a_release_that_lets_nobody_in_any_more_goes_back_although_its_pages_are_well(shop: Site) -> None:
    before = shop.served()
    login = {"name": "log in", "method": "POST", "path": "/login", "form": {"name": "ada", "password": "{secret:PW}"}}
    bad = histories.login_fails(after_s=12)
    described = histories.Version(bad.text, bad.behaviour, description={"verify": [login]})
    try:
        with shop.inventory(secrets={"PW": SECRET}), shop.settings(release_stages=[{"share": 30, "for_s": 90}]):
            answer, failures = taken_through(shop, described)
        verdict = went_back(shop, answer, failures, before)
        assert (verdict["rule"], verdict["figures"]["signal"]) == ("signal", "verify step 'log in'")
        assert verdict["figures"]["old"] == [4, 4], "the old release was asked, too"
        kept = [path for path in (shop.root / ".ferryman").rglob("*") if path.is_file()]
        assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    finally:  # what comes after it in the history has no steps, and needs no secret
        shop.repository.commit(histories.Version("without steps", description={"verify": []}))


@pytest.mark.at_times(journey="a canary whose pool is exhausted")
def test_a_release_that_tells_of_itself_that_it_is_not_well_goes_back_although_its_pages_are(shop: Site) -> None:
    before = shop.served()
    bad = histories.pool_runs_dry(pool_s=12)
    described = histories.Version(bad.text, bad.behaviour, description={"metrics": [POOL]})
    try:
        with shop.settings(release_stages=[{"share": 30, "for_s": 90}]):
            answer, failures = taken_through(shop, described)
        verdict = went_back(shop, answer, failures, before)
        assert (verdict["rule"], verdict["figures"]["signal"]) == ("signal", "metric 'pool' (at least 1)")
        assert (verdict["figures"]["old"], verdict["figures"]["said"]) == ([4, 4], ["0", "8"])
        assert not failures, "no client had seen anything of it yet"
    finally:
        shop.repository.commit(histories.Version("without metrics", description={"metrics": []}))


@pytest.mark.at_times(journey="a canary whose payments are declined")
def test_a_release_whose_counters_tell_of_declined_payments_goes_back_although_each_page_is_well(
    shop: Site,
) -> None:
    before = shop.served()
    bad = histories.shop("payments are declined", declines=0.5)
    described = histories.Version(bad.text, bad.behaviour, description={"metrics": [PAID]})
    try:
        with shop.settings(release_stages=[{"share": 30, "for_s": 90}]):
            answer, failures = taken_through(shop, described)
        verdict = went_back(shop, answer, failures, before)
        assert (verdict["rule"], verdict["figures"]["signal"]) == ("signal", "metric 'paid' (at least 90 %)")
        (good, of), (old_good, old_of), (said, old_said) = (verdict["figures"][key] for key in ("new", "old", "said"))
        assert old_good == old_of > 0
        assert (said, old_said) == (f"{round(100 * good / of, 1):g} %", "100 %")
        assert good / of < 0.9
        assert not failures
    finally:
        shop.repository.commit(histories.Version("without metrics", description={"metrics": []}))


@pytest.mark.at_times(journey="a release that turns bad once it is live")
def test_a_release_that_turns_bad_while_the_old_one_is_warm_is_brought_back_with_nobody_there(shop: Site) -> None:
    before = shop.served()
    bad = histories.pool_runs_dry("well, until it is live", pool="dry")
    described = histories.Version(bad.text, bad.behaviour, description={"metrics": [POOL]})
    switch = f"/srv/{shop.app}/shared/dry"
    try:
        with Visitors(shop) as visitors:
            with shop.settings(release_stages=[{"share": 50, "for_s": 3}], release_limits={"least_clients": 0}):
                answer = shop.deploy(shop.repository.commit(described))
            assert (answer.code, answer.said["watched_s"]) == (0, 300), str(answer)
            shop.ssh(f"touch {switch}")
            deadline = time.monotonic() + 120
            while shop.served() != before or shop.ledger()[-1]["status"] != "live":
                assert time.monotonic() < deadline, shop.ledger()[-2:]
                time.sleep(1)
        assert not visitors.failures
        line = shop.ledger()[-1]
        assert (line["event"], line["who"], line["release"]) == ("rollback", "guard", before)
        assert line["previous"] == answer.said["release"]
        assert line["reason"].startswith("it turned bad once it was live: metric 'pool' (at least 1) is bad")
        assert line["verdicts"][0]["figures"]["said"] == ["0", "8"]
        why = shop.run("release.why", answer.said["release"], "--app", shop.app).said
        assert [run["who"] for run in why["runs"]][-1] == "guard"
        with shop.settings(release_stages=[]):
            assert shop.good("mended") == shop.served(), "nobody holds the lock"
    finally:
        shop.ssh(f"rm -f {switch}")
        shop.repository.commit(histories.Version("without metrics", description={"metrics": []}))


@pytest.mark.at_times(journey="what fails once a release is live")
@pytest.mark.parametrize("old_too", [False, True], ids=["with new alone", "with both"])
def test_a_page_that_fails_once_a_release_is_live_brings_it_back_unless_it_fails_with_the_old_one_too(
    shop: Site, old_too: bool
) -> None:
    """As it is where a third party is ill: no probe sees it, and everybody has the new release."""
    ill = f"/srv/{shop.app}/shared/ill"
    fault: dict[str, Any] = {"errors": 1.0, "once": "ill"}
    with shop.settings(release_stages=[]):
        before = shop.deploy(shop.repository.commit(histories.shop("before", **(fault if old_too else {})))).said
    bounds = {"least_clients": 0, "errors_back_s": 60, "errors_ask_s": 60}
    try:
        with Visitors(shop), shop.settings(release_stages=[{"share": 50, "for_s": 3}], release_limits=bounds):
            live = shop.deploy(shop.repository.commit(histories.shop("new", **fault))).said
            assert live["watched_s"] == 300, live
            shop.ssh(f"touch {ill}")
            until = time.monotonic() + 60 + 60 + 30  # a whole minute, of which the first may be half over
            while shop.served() != before["release"] and time.monotonic() < until:
                time.sleep(1)
        assert shop.served() == (live if old_too else before)["release"], shop.ledger()[-1]
        if not old_too:
            assert shop.ledger()[-1]["verdicts"][0]["rule"] == "many_errors"
            assert "fail with both" in shop.ledger()[-1]["reason"]
    finally:
        shop.ssh(f"rm -f {ill}")


@pytest.mark.at_times(journey="a canary and a person's word")
def test_where_nobody_comes_somebody_is_asked_and_his_word_counts(shop: Site) -> None:
    before = shop.served()
    commit = shop.repository.commit(histories.good("a quiet night"))
    with shop.settings(release_stages=[{"share": 30, "for_s": 1}, {"share": 60, "for_s": 1}], release_ask_s=60):
        driver = shop.begin("deploy", "--env", "dev", "--app", shop.app, "--ref", commit, "--json")
        assert wait_for_share(shop, 30), str(driver.wait())
        said = shop.run("release.promote", "--app", shop.app)
        assert (said.code, said.said["word"], said.said["release"][-7:]) == (0, "promote", commit[:7]), str(said)
        assert wait_for_share(shop, 60), str(driver.wait())
        assert shop.run("release.abort", "--app", shop.app).code == 0
        answer = driver.wait()
    assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
    assert shop.served() == before
    told = verdicts(shop, answer.said["release"])
    assert [(each["verdict"], each["rule"]) for each in told] == [("promote", "operator"), ("rollback", "operator")]
    assert told[1]["sentence"] == f"{told[1]['who']} said to go back."
    assert told[1]["sentence"] in answer.text
    why = shop.run("release.why", answer.said["release"], "--app", shop.app).said["runs"][-1]["verdicts"]
    assert [each["sentence"] for each in canaries.ended(why)] == [each["sentence"] for each in told]


def wait_for_share(shop: Site, percent: int, within_s: float = 40) -> bool:
    """Say whether an entry gives the new release that share in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        share = int(shop.ssh(f"basename $(readlink /var/lib/ferryman/sites/{shop.app}/share)").partition("+")[0])
        if share in (percent, 100 - percent):
            return True
        time.sleep(0.3)
    return False


@pytest.mark.at_times(journey="a canary and a person's word")
def test_a_word_is_refused_where_no_release_is_in_its_stages(site: Site) -> None:
    answer = site.run("release.promote", "--app", site.app)
    assert answer.code == 1, str(answer)
    assert "no release gets its clients in stages now" in answer.text


@pytest.mark.at_times(journey="a canary whose driver dies")
def test_a_deploy_whose_driver_is_killed_in_a_stage_leaves_everybody_with_the_release_before(shop: Site) -> None:
    before = shop.served()
    commit = shop.repository.commit(histories.good("its driver dies"))
    with shop.settings(release_stages=[{"share": 30, "for_s": 60}], release_confirm_s=6), Visitors(shop) as visitors:
        driver = shop.begin("deploy", "--env", "dev", "--app", shop.app, "--ref", commit, "--json")
        assert wait_for_share(shop, 30), str(driver.wait())
        driver.kill()
        deadline = time.monotonic() + 6 + 6 + 5  # the look that was under way, the lease, and a little
        while shop.ssh(f"ls /var/lib/ferryman/pending/{shop.app} 2>/dev/null; true"):
            assert time.monotonic() < deadline, "the guard did not come back"
            time.sleep(0.3)
        assert shop.served() == before
    assert not visitors.failures
    shop.run("unlock", "--app", shop.app, "--yes")


@pytest.mark.soak
@pytest.mark.at_times(journey="canaries of all kinds")
def test_soak_canaries(shop: Site, soak: Soak) -> None:
    """Bad releases of six kinds are brought back by themselves, good ones go through."""
    soak.record(**canaries.count(shop, soak))


@pytest.mark.at_times(journey="a live release that is judged")
def test_whoever_asks_of_the_live_release_reads_what_clients_got_and_what_goes_back(site: Site) -> None:
    quiet = site.run("release.judge", "--app", site.app)
    assert quiet.code == 0, str(quiet)
    assert quiet.said["verdict"] in ("no_data", "promote"), "by whether other tests came here lately"
    before = site.good("the one before")
    assert site.deploy(site.repository.commit(histories.shop("fails half of them", errors=0.5))).code == 0
    limits = {"errors_back_s": 60, "errors_ask_s": 60}
    with site.settings(release_limits=limits), Visitors(site, rps=20):
        deadline = time.monotonic() + 150
        while (told := site.run("release.judge", "--app", site.app).said)["verdict"] in ("no_data", "promote"):
            assert time.monotonic() < deadline, told
            time.sleep(5)
        said = site.begin("release.judge", "--env", "dev", "--app", site.app).wait().out
    assert (told["verdict"], told["rule"], told["rollback_to"]) == ("rollback", "many_errors", before)
    assert told["arms"]["new"]["failed"] > 100
    assert "It is worth going back" in said
    assert f"rollback --env dev --app {site.app}` goes back to {before}" in " ".join(said.split()), said
    assert site.rollback().code == 0
