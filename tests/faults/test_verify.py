"""What an application says of itself under verify decides whether clients are sent to it, and can be asked alone.

Requirements: REL-6, REL-11.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from tests.support.driving import Answer
from tests.support.histories import Version, good, login_fails, login_fails_behind_entry
from tests.support.planted import holding
from tests.support.prober import Prober
from tests.support.site import Site

LOGIN: list[dict[str, Any]] = [
    {"name": "front page", "path": "/", "expect": {"contains": ["<h1>", "{release}"]}},
    {"name": "log in", "method": "POST", "path": "/login", "form": {"name": "v{unique}", "password": "{secret:PW}"},
     "expect": {"json": {"name": "v{unique}"}, "within_s": 3}},
    {"name": "who am I", "path": "/me", "needs": ["log in"], "expect": {"json": {"name": "v{unique}"}}},
]  # fmt: skip
WRITES: list[dict[str, Any]] = [
    {"name": "upload", "method": "POST", "path": "/media/smoke-{unique}", "writes": True, "json": {"for": "{unique}"},
     "expect": {"status": 201}, "save": {"size": {"json": "size"}}},
    {"name": "read it back", "path": "/media/smoke-{unique}?size={size}", "expect": {"contains": ["{unique}"]}},
]  # fmt: skip
PICTURE: dict[str, Any] = {
    "name": "the picture is there",
    "path": "/media/picture",
    "expect": {"contains": ["three colours"]},
}


def described(version: Version, *steps: dict[str, Any]) -> Version:
    """Return a version that declares these steps."""
    return Version(version.text, version.behaviour, description={"verify": list(steps)})


@pytest.fixture(scope="module")
def password(hosted: Site) -> Iterator[str]:
    """A secret that the inventory gives to steps alone; afterwards the history goes on without steps."""
    value = f"planted&{secrets.token_hex(12)}"
    with hosted.inventory(secrets={"PW": value}):
        yield value
        answer = hosted.deploy(hosted.repository.commit(described(good("without steps"))))
        assert answer.code == 0, str(answer)


def hidden(site: Site, value: str, *said: object) -> None:
    """The secret is in nothing that was said, in no file of the driver's, and in none of Ferryman's on the host."""
    half = value.partition("&")[2]
    for each in said:
        assert half not in str(each)
    assert holding(site.root / ".ferryman", [half], 0) == []
    grep = f'grep -rlF -e "$(cat)" /srv/{site.app} /etc/ferryman /var/lib/ferryman /usr/local/lib/ferryman || true'
    assert site.ssh(grep, given=half) == ""


def names(answer: Answer, place: str, vantage: str) -> list[str]:
    """Which steps passed there."""
    listed = answer.said["results"][place]
    return [each["name"] for each in listed if (each["vantage"], each["result"]) == (vantage, "passed")]


def test_a_release_that_is_healthy_and_lets_nobody_in_never_gets_clients(
    site: Site, prober: Prober, password: str
) -> None:
    before = site.served()
    answer = site.deploy(site.repository.commit(described(login_fails(), *LOGIN)))
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert answer.said["step"] == "start"
    assert "verify step 'log in' (POST /login, slot): expected status 200, came 500" in answer.text
    assert "no such table: sessions" in answer.text
    assert "***" in answer.text  # it sends back what it was sent
    assert "login failed" in answer.evidence
    hidden(site, password, answer)
    assert site.served() == before
    prober.served_only(before)


def test_a_release_that_is_bad_through_the_entry_alone_is_left_again(site: Site, password: str) -> None:
    before = site.served()
    answer = site.deploy(site.repository.commit(described(login_fails_behind_entry(), *LOGIN)))
    assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
    assert answer.said["step"] == "switch"
    assert "verify step 'log in' (POST /login, entry): expected status 200, came 500" in answer.text
    hidden(site, password, answer)
    assert site.served() == before
    lines = [line["detail"] for line in site.journal() if line["step"] == "verify"][-2:]
    assert [(each["vantage"], each["passed"], each.get("at")) for each in lines] == [
        ("slot", 3, None), ("entry", 1, "log in"),
    ]  # fmt: skip


def test_what_is_live_can_be_verified_alone_from_everywhere(site: Site, password: str, tmp_path: Path) -> None:
    media = f"/srv/{site.app}/shared/media"
    site.ssh(f"rm -f {media}/smoke-*; echo three colours > {media}/picture")
    deployed = site.deploy(site.repository.commit(described(good("verified"), *LOGIN, *WRITES, PICTURE)))
    assert deployed.code == 0, str(deployed)
    assert {place: (seen["passed"], seen["left_out"]) for place, seen in deployed.said["verified"].items()} == {
        "slot": (4, 2), "entry": (4, 2),
    }  # fmt: skip
    # Nothing was written until the inventory said where.
    uploads = f"ls {media} | grep -c smoke- || true"
    assert site.ssh(uploads) == "0"
    report = tmp_path / "reports" / "verify.xml"
    with site.inventory(verify_writes=["driver"]):
        well = site.run("verify", "--app", site.app, "--junit", str(report))
        alone = site.playbook("release_verify")
    assert (well.code, well.said["good"], well.said["release"]) == (0, True, deployed.said["release"]), str(well)
    every = [step["name"] for step in (*LOGIN, *WRITES, PICTURE)]
    assert names(well, "driver", "driver") == every
    assert names(well, "web1", "slot") == names(well, "web1", "entry") == [
        each for each in every if each not in ("upload", "read it back")
    ]  # fmt: skip
    assert alone.code == 0, str(alone)
    assert site.ssh(uploads) == "2"
    suites = {suite.get("name"): suite for suite in Xml.fromstring(report.read_text())}
    assert set(suites) == {f"{site.app}.dev.{place}" for place in ("web1.slot", "web1.entry", "driver")}
    assert [case.get("name") for case in suites[f"{site.app}.dev.driver"].iter("testcase")] == every
    # One that is not well any more: the command says which step, and nothing was moved.
    site.ssh(f"rm {media}/picture")
    ill = site.run("verify", "--app", site.app, "--from", "driver", "--junit", str(report))
    assert (ill.code, list(ill.said["results"])) == (3, ["driver"]), str(ill)
    assert "the picture is there" in str(ill.said["error"])
    (failure,) = Xml.fromstring(report.read_text()).iter("failure")
    assert "expected status 200, came 404" in str(failure.get("message"))
    assert site.served() == deployed.said["release"]
    assert site.playbook("release_verify").code != 0
    hidden(site, password, deployed, well, alone, ill, report.read_text())


@pytest.mark.at_times(journey="rollbacks and their steps")
def test_a_rollback_to_a_release_that_does_not_satisfy_its_steps_any_more_stays_where_it_was(
    site: Site, prober: Prober, password: str
) -> None:
    site.ssh(f"echo three colours > /srv/{site.app}/shared/media/picture")
    first = site.deploy(site.repository.commit(described(good("with a picture"), *LOGIN, PICTURE)))
    assert first.code == 0, str(first)
    second = site.deploy(site.repository.commit(described(good("without"), *LOGIN)))
    assert second.code == 0, str(second)
    site.ssh(f"rm /srv/{site.app}/shared/media/picture")
    answer = site.rollback()
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert "'the picture is there' (GET /media/picture, slot)" in answer.text
    assert site.served() == second.said["release"]
    site.ssh(f"echo three colours > /srv/{site.app}/shared/media/picture")
    back = site.rollback("--to", first.said["release"])
    assert (back.code, back.said["verified"]["entry"]["passed"]) == (0, 4), str(back)
    assert prober.failed == []


@pytest.mark.at_times(journey="rollbacks and their steps")
def test_a_rollback_to_a_release_whose_steps_need_a_secret_that_is_gone_says_the_way_out(
    site: Site, password: str
) -> None:
    with_login = site.deploy(site.repository.commit(described(good("with a login"), *LOGIN)))
    assert with_login.code == 0, str(with_login)
    with site.inventory(secrets={}):
        without = site.deploy(site.repository.commit(described(good("without steps"))))
        assert without.code == 0, str(without)
        answer = site.rollback()
        assert (answer.code, answer.said["status"]) == (1, "refused"), str(answer)
        assert f"verify of {with_login.said['release']} needs PW, and the inventory gives none" in answer.text
        assert f"apps.{site.app}.secrets must name it" in answer.said["hint"]
        assert "`release_verify: false` in release.yml" in answer.said["hint"]
        assert site.served() == without.said["release"]
        with site.settings(release_verify=False):  # the hint, taken at its word
            back = site.rollback()
    assert back.code == 0, str(back)
    assert site.served() == with_login.said["release"]


@pytest.mark.at_times(journey="rollbacks and their steps")
def test_the_guard_waits_for_steps_that_take_longer_than_a_switch_may_stay_unconfirmed(
    site: Site, prober: Prober, password: str
) -> None:
    before = site.served()
    patient = {"name": "a report", "path": "/slow?s=5", "expect": {"json": {"status": "done"}, "within_s": 20}}
    with site.settings(release_confirm_s=4):
        answer = site.deploy(site.repository.commit(described(good("patient"), patient)))
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    assert answer.said["verified"]["entry"]["seconds"] >= 5
    prober.served_only(before, answer.said["release"])


def test_steps_are_refused_before_a_host_is_asked(site: Site) -> None:
    wrong = described(good("mistaken"), {"name": "log in", "path": "/{secret:NOBODY}", "expct": {}})
    answer = site.deploy(site.repository.commit(wrong))
    assert (answer.code, answer.said["status"]) == (1, "refused"), str(answer)
    assert "verify.0.expct is not an option; did you mean expect?" in answer.text
    unknown = described(good("mistaken"), {"name": "log in", "path": "/{secret:NOBODY}"})
    answer = site.deploy(site.repository.commit(unknown))
    assert answer.code == 1, str(answer)
    assert "verify.0 needs secret NOBODY, which has no value" in answer.text
    site.repository.commit(described(good("mended")))
