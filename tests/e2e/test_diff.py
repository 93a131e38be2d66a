"""What differs between two releases, on a real host: told by the driver, else by the host, else by nobody.

Requirements: REL-10, REL-14.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.support.driving import Answer
from tests.support.histories import Version, good
from tests.support.pages import blocks
from tests.support.site import ENV, Site

from ferryman import paths

pytestmark = pytest.mark.at_times(journey="differences of releases")

PAGE = paths.CHECKOUT / "docs" / "guides" / "going-back.md"


@dataclass(frozen=True)
class Two:
    """Two releases of a site, and what is new in the second: a file, a migration, a value."""

    site: Site
    one: str
    other: str
    new: set[str]
    changed: set[str]

    def diff(self, *words: str) -> Answer:
        """Ask what differs."""
        return self.site.run("release.diff", *words, "--app", self.site.app)


@pytest.fixture(scope="module")
def two(hosted: Site) -> Two:
    """Two releases with two commits between them; whatever other tests have deployed before."""
    repository, number = hosted.repository, len(hosted.repository.commits)
    one = hosted.good("from here")
    before = yaml.safe_load((repository.path / "ferryman.yml").read_text())
    (repository.path / f"more-{number}.txt").write_text("more\n")
    repository.commit(good("on the way"))
    there = Version("to there", migration={}, description={"env": {"MOTTO": f"onwards {number}"}})
    answer = hosted.deploy(repository.commit(there))
    assert answer.code == 0, str(answer)
    new = set(repository.git("diff", "--name-only", "--diff-filter=A", "HEAD~2").splitlines())
    after = yaml.safe_load((repository.path / "ferryman.yml").read_text())
    differ = {key for key in after if after[key] != before.get(key)}
    assert {f"more-{number}.txt"} < new
    return Two(hosted, one, str(answer.said["release"]), new, differ)


def test_commits_files_configuration_and_migrations_are_told(two: Two) -> None:
    answer = two.diff(two.one[-7:], two.other)
    assert answer.code == 0, str(answer)
    said = answer.said
    assert (said["from"]["release"], said["to"]["release"], said["unknown"]) == (two.one, two.other, {})
    assert said["notes"] == ["Say: to there", "Say: on the way"]
    assert said["commits"]["dropped"] == []
    files = {kind: {each["path"] for each in said["files"][kind]} for kind in ("added", "changed", "removed")}
    assert (files["added"], files["removed"]) == (two.new, set())
    assert {"behaviour.json", "ferryman.yml"} <= files["changed"]
    assert {each["name"] for each in said["configuration"]} == two.changed >= {"env"}
    assert said["migrations"]["added"] == [path for path in two.new if path.startswith("migrations/")] != []
    assert said["migrations"]["from"] != said["migrations"]["to"]


def test_the_guides_lines_say_it_in_words_and_one_alone_is_compared_with_what_is_live(two: Two) -> None:
    lines = [line for block in blocks(PAGE, "text") for line in block.lines if " release.diff " in line]
    assert len(lines) == 2
    for line, names in zip(lines, ([two.one, two.other], [two.one]), strict=True):
        words = [word for word in line.split() if not word[0].isdigit()][1:]
        typed = [words[0], *names, *(ENV if word == "prod" else word for word in words[1:])]
        answer = two.site.begin(*typed, "--app", two.site.app).wait()
        assert answer.code == 0, str(answer)
        for said in (f"to    {two.other}", "- Say: on the way", *(f"+ {path}" for path in two.new), " env\n"):
            assert said in answer.out, answer.out
        assert "the schema goes from" in answer.out


def test_the_other_way_round_commits_go(two: Two) -> None:
    said = two.diff(two.other, two.one).said
    assert [each["subject"] for each in said["commits"]["dropped"]] == ["Say: to there", "Say: on the way"]
    assert said["notes"] == []
    assert {each["path"] for each in said["files"]["removed"]} == two.new


def test_what_the_driver_does_not_know_the_host_tells_and_what_nobody_has_is_said(two: Two) -> None:
    here = two.diff(two.one, two.other).said
    forget(two.site.root / ".ferryman")
    assert two.diff(two.one, two.other).said == here
    forget(two.site.root / ".ferryman")
    two.site.ssh(f"rm -r /srv/{two.site.app}/releases/{two.one}")
    said = two.diff(two.one, two.other).said
    lost = f"no host keeps that of {two.one} any more, nor does this machine"
    assert said["unknown"] == {"files": lost, "configuration": lost}
    assert (said["notes"], said["configuration"]) == (here["notes"], [])


def forget(place: Path) -> None:
    """Have the driver know nothing of releases any more."""
    for name in ("files", "runs"):
        shutil.rmtree(place / name, ignore_errors=True)


def test_releases_that_there_are_not_are_refused_with_those_that_there_are(two: Two) -> None:
    answer = two.diff("nobodys")
    assert answer.code == 1, str(answer)
    assert "no release 'nobodys' in the ledger" in answer.text
    assert two.one in answer.text
