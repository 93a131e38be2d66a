"""The newer ansible-core on the newest Python, and hosts of the newer Debian: a deploy is no different there."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import histories, newest
from tests.support import site as sites
from tests.support.driving import READY_S
from tests.support.site import Site

from ferryman import paths


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python that the newer ansible-core runs on."""
    return newest.python()


@pytest.fixture(scope="module")
def trixie(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host with Debian 13 that was provisioned and deployed to by the newer ansible-core."""
    site = sites.lay_out(tmp_path_factory.mktemp("trixie"), f"{sites.PREFIX}-newest-{os.getpid()}", debian=13)
    site.python = str(python)
    try:
        sites.up(site)
        yield site
    finally:
        sites.down(site)


def test_it_is_the_newer_ansible_core(python: Path) -> None:
    words = [str(python), "-m", "ansible", "playbook", "--version"]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "[core 2.19" not in told
    assert "[core 2." in told


@pytest.mark.parametrize(
    "tests",
    # Journeys of their own: all of them at once would be the longest that a whole run can meet.
    [
        pytest.param("tests/contract", marks=pytest.mark.at_times(journey="contract tests on the newest driver")),
        pytest.param("tests/unit/plugins", marks=pytest.mark.at_times(journey="tests of plugins on the newest driver")),
        pytest.param("tests/unit", marks=pytest.mark.at_times(journey="other unit tests on the newest driver")),
    ],
)
def test_unit_and_contract_tests_pass_there_too(python: Path, tests: str) -> None:
    words = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", tests]
    # Chance has nothing to do with the Python: counts are had in the other run, here some examples of each property.
    words += ["-m", "not soak", "--hypothesis-profile", "few"]
    if tests == "tests/unit":
        # Plugins have a turn of their own; the example's tests an environment of their own, whatever runs Ferryman.
        words += ["--ignore", "tests/unit/plugins"]
        words += ["--deselect", "tests/unit/test_notes.py::test_the_example_passes_its_own_tests"]
    programs = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=paths.CHECKOUT, env=os.environ | programs, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.at_times(journey="the newest driver and host")
def test_a_release_goes_to_debian_13_and_comes_back(trixie: Site) -> None:
    assert "VERSION_CODENAME=trixie" in trixie.ssh("cat /etc/os-release")
    first = trixie.served()
    second = trixie.good("from the newest Python")
    assert trixie.served() == second
    answer = trixie.rollback()
    assert (answer.code, answer.said["release"]) == (0, first), str(answer)
    assert trixie.served() == first


@pytest.mark.at_times(journey="the newest driver and host")
def test_a_release_that_is_not_well_gets_no_client_there_either(trixie: Site) -> None:
    before = trixie.served()
    answer = trixie.deploy(trixie.repository.commit(histories.never_ready("v-ill")))
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert trixie.served() == before


@pytest.mark.at_times(journey="the newest driver and host")
def test_what_is_live_there_is_left_alone_and_provisioning_again_changes_nothing(trixie: Site) -> None:
    assert trixie.deploy(trixie.repository.commits[0]).said["status"] == "unchanged"
    answer = trixie.run("provision", timeout_s=READY_S)
    assert (answer.code, json.loads(answer.out)["changed"]) == (0, False), str(answer)
