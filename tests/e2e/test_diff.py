"""What differs between two releases, on a real host: told by the driver, else by the host, else by nobody."""

import shutil
from pathlib import Path

import pytest
from tests.support.histories import Version, good
from tests.support.pages import blocks
from tests.support.site import ENV, Site

from ferryman import paths

PAGE = paths.CHECKOUT / "docs" / "guides" / "going-back.md"


@pytest.fixture(scope="module")
def two(hosted: Site) -> tuple[Site, str, str]:
    """Two releases with two commits, a file, a setting and a migration between them."""
    one = hosted.good("from here")
    (hosted.repository.path / "more.txt").write_text("more\n")
    hosted.repository.commit(good("on the way"))
    there = Version("to there", migration={}, description={"env": {"MOTTO": "onwards"}})
    answer = hosted.deploy(hosted.repository.commit(there))
    assert answer.code == 0, str(answer)
    return hosted, one, str(answer.said["release"])


def test_commits_files_configuration_and_migrations_are_told(two: tuple[Site, str, str]) -> None:
    site, one, other = two
    answer = site.run("release.diff", one[-7:], other, "--app", site.app)
    assert answer.code == 0, str(answer)
    said = answer.said
    assert (said["from"]["release"], said["to"]["release"], said["unknown"]) == (one, other, {})
    assert said["notes"] == ["Say: to there", "Say: on the way"]
    assert said["commits"]["dropped"] == []
    files = {kind: {each["path"] for each in said["files"][kind]} for kind in ("added", "changed", "removed")}
    assert {"more.txt", "migrations/0001.json"} <= files["added"]
    assert {"behaviour.json", "ferryman.yml"} <= files["changed"]
    assert {"env", "migrations"} == {each["name"] for each in said["configuration"]}
    assert said["migrations"]["added"] == ["migrations/0001.json"]
    assert said["migrations"]["from"] != said["migrations"]["to"]


def test_the_guides_lines_say_it_in_words_and_one_alone_is_compared_with_what_is_live(
    two: tuple[Site, str, str],
) -> None:
    site, one, other = two
    lines = [line for block in blocks(PAGE, "text") for line in block.lines if " release.diff " in line]
    assert len(lines) == 2
    for line, names in zip(lines, ([one, other], [one]), strict=True):
        words = [word for word in line.split() if not word[0].isdigit()][1:]
        typed = [words[0], *names, *(ENV if word == "prod" else word for word in words[1:])]
        answer = site.begin(*typed, "--app", site.app).wait()
        assert answer.code == 0, str(answer)
        for said in (f"to    {other}", "- Say: on the way", "+ more.txt", "+ env", "the schema goes from"):
            assert said in answer.out, answer.out


def test_the_other_way_round_commits_go(two: tuple[Site, str, str]) -> None:
    site, one, other = two
    said = site.run("release.diff", other, one, "--app", site.app).said
    assert [each["subject"] for each in said["commits"]["dropped"]] == ["Say: to there", "Say: on the way"]
    assert said["notes"] == []
    assert "more.txt" in {each["path"] for each in said["files"]["removed"]}


def test_what_the_driver_does_not_know_the_host_tells_and_what_nobody_has_is_said(two: tuple[Site, str, str]) -> None:
    site, one, other = two
    here = site.run("release.diff", one, other, "--app", site.app).said
    forget(site.root / ".ferryman")
    assert site.run("release.diff", one, other, "--app", site.app).said == here
    forget(site.root / ".ferryman")
    site.ssh(f"rm -r /srv/{site.app}/releases/{one}")
    said = site.run("release.diff", one, other, "--app", site.app).said
    lost = f"no host keeps that of {one} any more, nor does this machine"
    assert said["unknown"] == {"files": lost, "configuration": lost}
    assert (said["notes"], said["configuration"]) == (here["notes"], [])


def forget(place: Path) -> None:
    """Have the driver know nothing of releases any more."""
    for name in ("files", "runs"):
        shutil.rmtree(place / name, ignore_errors=True)


def test_releases_that_there_are_not_are_refused_with_those_that_there_are(two: tuple[Site, str, str]) -> None:
    site, one, _ = two
    answer = site.run("release.diff", "nobodys", "--app", site.app)
    assert answer.code == 1, str(answer)
    assert "no release 'nobodys' in the ledger" in answer.text
    assert one in answer.text
