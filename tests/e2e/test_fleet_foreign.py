"""An application that nobody here wrote, on several hosts: Kinto, with its records in the fleet's database.

Requirements: REL-1.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_fleet import taken
from tests.support import fleet as fleets
from tests.support.fleet import APPS, ENTRIES, Apps, Fleet
from tests.support.foreign import Foreign, kinto, kinto_in

pytestmark = pytest.mark.at_times(journey="kinto on a fleet")
APP = "records"
PLACE = "/v1/buckets/default/collections/notes/records"
KEY = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
TAKES_S = 300


def laid_out(root: Path) -> Apps:
    """Have Kinto in a project, with a first version."""
    told = {APP: kinto_in(root, several=True)}
    kinto(Fleet(root, "", fleets.cloned(root / APP), {}, APP)).version("one")
    return told


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet whose first deploy was that of Kinto."""
    place = tmp_path_factory.mktemp("kinto")
    with fleets.brought_up(place, laid_out, release_start_timeout_s=60) as fleet:  # it starts as it does
        yield fleet


def write(app: Foreign, fleet: Fleet, name: str, entry: str) -> None:
    """Write a record through an entry."""
    with fleet.through(entry):
        status, said = app.ask("PUT", f"{PLACE}/{name}", {"data": {"text": f"of {name}"}}, **KEY)
    assert status == 201, said


def read(app: Foreign, fleet: Fleet, entry: str) -> dict[str, Any]:
    """Return what is written, as the clients of an entry read it, whichever app host answers them."""
    told = []
    with fleet.through(entry):
        for _ in range(2 * len(APPS)):
            status, said = app.ask("GET", PLACE, **KEY)
            assert status == 200, said
            told.append({each["id"]: each["text"] for each in said["data"]})
    assert all(each == told[0] for each in told), told
    return told[0]


def test_records_written_through_either_entry_outlast_an_update_a_failure_on_one_host_and_the_way_back(
    spread: Fleet,
) -> None:
    app, first = kinto(spread), spread.agrees(2)
    written: dict[str, str] = {}

    def all_there(*more: str) -> None:
        """Write more, in turn through either entry, and read all that was ever written through both."""
        for number, name in enumerate(more):
            write(app, spread, name, ENTRIES[number % len(ENTRIES)])
            written[name] = f"of {name}"
        assert [read(app, spread, entry) for entry in ENTRIES] == [written, written]

    all_there("first", "second")
    with app.prober() as client:
        second = app.deploy("two")
        assert spread.agrees(2) == second
        all_there("beside", "the-update")
        app.version("three")
        with taken(spread, "app3"):
            answer = spread.run("deploy", "--app", APP, timeout_s=TAKES_S)
            assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
            assert (answer.said["host"], answer.said["step"]) == ("app3", "start"), str(answer)
            assert "Address already in use" in answer.evidence, str(answer)
        assert spread.agrees(2) == second
        all_there("after", "the-failure")
        answer = spread.rollback(timeout_s=TAKES_S)
        assert (answer.code, answer.said["release"]) == (0, first), str(answer)
        assert spread.agrees(2) == first
        all_there("after-the", "way-back")
    client.served_only("one", "two")
    for entry in ENTRIES:
        with spread.through(entry):
            status, said = app.ask("GET", "/v1/")
        assert (status, said["project_name"]) == (200, "one")
