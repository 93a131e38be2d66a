"""A hotfix: what is live with a little more goes live by the short way, and what is more than that is refused.

Requirements: REL-14.
"""

import json
from collections.abc import Callable, Iterator

import pytest
from tests.support.canaries import verdicts
from tests.support.histories import Version, good, migrates
from tests.support.site import Site

pytestmark = pytest.mark.at_times(journey="a hotfix")

REFUSED = 1
LONG = [{"share": 10, "for_s": 600}, {"share": 50, "for_s": 600}]
SHORT = [{"share": 40, "for_s": 1}]
NO_MATTER_WHO_COMES = {"least_clients": 0, "errors_back_s": 60}
Beside = Callable[[str, Version], str]


@pytest.fixture
def beside(site: Site) -> Iterator[Beside]:
    """Commits a version on a branch of its own that begins at a commit; the history of the others stays as it is."""
    repository = site.repository

    def made(at: str, version: Version) -> str:
        repository.git("checkout", "-q", "-B", "beside", at)
        try:
            repository.commit(version)
            return repository.commits.pop()
        finally:
            repository.git("checkout", "-q", "--force", "main")

    yield made
    repository.git("branch", "-q", "--delete", "--force", "beside")


def test_a_hotfix_of_what_is_live_goes_by_the_short_stages_and_is_called_one_wherever_somebody_asks(site: Site) -> None:
    before, commit = site.good("has a fault"), site.repository.commit(good("without its fault"))
    with site.settings(release_stages=LONG, release_hotfix_stages=SHORT, release_limits=NO_MATTER_WHO_COMES):
        answer = site.deploy(commit, "--hotfix", timeout_s=300)
    assert (answer.code, answer.said["status"], answer.said["hotfix"]) == (0, "live", True), str(answer)
    release = answer.said["release"]
    assert (site.served(), answer.said["previous"]) == (release, before)
    assert [each["share"] for each in verdicts(site, release)] == [0.4, 1.0]
    lines = [line for line in site.ledger() if line.get("release") == release]
    assert [(line["status"], line["hotfix"]) for line in lines] == [("started", True), ("live", True)]
    assert "hotfix" not in next(line for line in site.ledger() if line.get("release") == before)
    why = site.run("release.why", release, "--app", site.app).said
    assert [(run["status"], run["hotfix"]) for run in why["runs"]] == [("live", True)]
    history = {each["release"]: each["hotfix"] for each in site.arbiter()["history"]}
    assert (history[before], history[release]) == (False, True)
    told = site.run("release.diff", before, release, "--app", site.app).said
    assert (told["from"]["hotfix"], told["to"]["hotfix"], told["notes"]) == (False, True, ["Say: without its fault"])


def test_what_is_more_than_a_hotfix_is_refused_with_all_reasons_and_nothing_touched(site: Site, beside: Beside) -> None:
    live = site.good("nothing is wrong with it")
    before, on_top = site.repository.commits[-2:]
    elsewhere = beside(before, migrates("drops what is live, and migrates"))
    migrating = beside(on_top, migrates("migrates alone"))
    was, journal = site.ledger(), len(site.journal())
    drops = f"it does not stand on {live}, which is live, and would drop {on_top[:7]} Say: nothing is wrong with it"
    asks = "it asks the database to migrate: their files have changed (migrations/0001.json)"
    for commit, reasons in ((elsewhere, [drops, asks]), (migrating, [asks])):
        answer = site.deploy(commit, "--hotfix", timeout_s=300)
        assert (answer.code, answer.said["status"]) == (REFUSED, "refused"), str(answer)
        assert answer.said["evidence"] == reasons
        assert "without --hotfix goes the whole way" in answer.said["hint"]
        assert "Nothing was touched." in answer.said["error"]
    answer = site.playbook("release_deploy", "-e", f"release_ref={elsewhere}", "-e", "release_hotfix=true")
    assert answer.code != 0
    assert drops in answer.out, answer.out
    assert site.ledger() == was
    assert {line["step"] for line in site.journal()[journal:]} <= {"return"}
    assert not site.arbiter()["lock"]["alive"]
    assert site.served() == live


def test_a_plan_for_a_hotfix_is_followed_as_one_alone_and_says_why_one_would_be_refused(
    site: Site, beside: Beside
) -> None:
    live, file = site.good("before a planned hotfix"), site.root / "plan.json"
    plan = ("plan", "--app", site.app, "--hotfix", "--out", str(file), "--ref")
    told = site.run(*plan, beside(site.repository.commits[-1], migrates("migrates")), timeout_s=300).said
    (refused,) = told["refused"]
    assert "it asks the database to migrate" in refused["reason"]
    commit = site.repository.commit(good("a planned hotfix"))
    assert site.run(*plan, commit, timeout_s=300).code == 0
    assert (json.loads(file.read_text())["hotfix"], json.loads(file.read_text())["refused"]) == (True, [])
    follow = ("deploy", "--app", site.app, "--plan", str(file))
    answer = site.run(*follow, timeout_s=300)
    assert answer.code == REFUSED, str(answer)
    assert answer.said["evidence"] == ["setting release_hotfix: true then, false now"]
    assert site.served() == live
    answer = site.run(*follow, "--hotfix", timeout_s=300)
    assert (answer.code, answer.said["hotfix"]) == (0, True), str(answer)
    assert site.served() == answer.said["release"]
