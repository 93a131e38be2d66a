"""A plan that is followed: exactly what it says is done, or nothing, where the world is no longer the same.

Requirements: REL-9.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import Site

pytestmark = pytest.mark.at_times(journey="a plan that is followed")

REFUSED = 1


def plan(site: Site, ref: str) -> Path:
    """Plan a deploy, and return the plan's file."""
    file = site.root / "plan.json"
    answer = site.run("plan", "--app", site.app, "--ref", ref, "--out", str(file), timeout_s=300)
    assert answer.code == 0, str(answer)
    return file


def runs(site: Site) -> set[str]:
    """The runs that have done anything on the host."""
    return {line["run"] for line in [*site.journal(), *site.ledger()]}


@pytest.fixture
def branch(site: Site) -> Iterator[str]:
    """A branch of the repository, which can move."""
    site.repository.git("branch", "--force", "planned")
    yield "planned"
    site.repository.git("branch", "--delete", "--force", "planned")


def test_what_was_planned_is_what_is_deployed(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("as planned"))
    told = json.loads(plan(site, commit).read_text())
    answer = site.run("deploy", "--app", site.app, "--plan", "plan.json", timeout_s=300)
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    line = site.ledger()[-1]
    same = ("commit", "digest", "configuration", "slot")
    assert {key: line[key] for key in same} == {key: told["wanted"][key] for key in same}
    assert (line["release"], line["previous"]) == (site.served(), before)
    again = site.run("deploy", "--app", site.app, "--plan", "plan.json", timeout_s=300)
    assert again.code == REFUSED, str(again)
    assert f"live release: {before} then, {line['release']} now" in again.evidence
    prober.served_only(before, line["release"])


def test_everything_that_has_changed_since_is_named_at_once_and_nothing_is_touched(site: Site, branch: str) -> None:
    file = plan(site, branch)
    told = json.loads(file.read_text())
    live = site.good("came in between")
    site.repository.git("branch", "--force", branch)
    site.ssh("rm -f /etc/ferryman/logs.json")
    was = runs(site)
    with site.settings(release_soak_s=0.4), site.inventory(env={"MOTTO": "another"}):
        answer = site.run("deploy", "--app", site.app, "--plan", str(file), timeout_s=300)
    assert (answer.code, answer.said["status"]) == (REFUSED, "refused"), str(answer)
    said = answer.evidence
    for change in (
        f"live release: {told['against']['release']} then, {live} now",
        "ledger: ",
        f"commit: {told['wanted']['commit']} then, {site.repository.commits[-1]} now",
        "setting release_soak_s: 0.3 then, 0.4 now",
        "description env: ",
        f"serves {live} now",
        "provisioning would now do this: web1: logs: ",
    ):
        assert change in said, said
    assert "plan --out" in answer.said["hint"]
    assert "Nothing was touched." in answer.said["error"]
    assert runs(site) == was
    assert site.served() == live


def test_the_role_looks_again_under_the_lock_and_gives_it_back(site: Site) -> None:
    """As a playbook alone, which has nobody who compares before it begins."""
    commit = site.repository.commit(good("planned, and overtaken"))
    file = plan(site, commit)
    live = site.good("overtook it")
    was, journal = site.ledger(), len(site.journal())
    answer = site.playbook("release_deploy", "-e", f"release_ref={commit}", "-e", f"release_plan_file={file}")
    assert answer.code != 0
    for said in ("the plan is no longer true", f"then, {live} now", "ledger: "):
        assert said in answer.out, answer.out
    assert site.ledger() == was
    assert {line["step"] for line in site.journal()[journal:]} <= {"return"}
    assert not site.arbiter()["lock"]["alive"]
    assert site.served() == live


def test_provisioning_that_was_planned_is_done_first(site: Site) -> None:
    site.ssh("rm -f /etc/ferryman/logs.json")
    file = plan(site, site.repository.commit(good("with provisioning")))
    assert json.loads(file.read_text())["provision"]["changes"]
    answer = site.run("deploy", "--app", site.app, "--plan", str(file), timeout_s=400)
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    after = json.loads(plan(site, site.repository.commits[-1]).read_text())
    assert (after["change"], after["provision"]["changes"]) == (False, [])
