"""What the journeys share: one newcomer, whose first deploy all of them begin from, and a fleet."""

import sys
from collections.abc import Iterator

import pytest
from tests.support import fleet as fleets
from tests.support.fleet import APPS, ENTRIES, Fleet
from tests.support.newcomer import Newcomer, arrived

from ferryman import paths

sys.path.insert(0, str(paths.CHECKOUT / ".ansible" / "collections"))  # what it decides is asked of the collection


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A fresh clone with a release that serves."""
    with arrived(tmp_path_factory.mktemp("newcomer") / "ferryman") as found:
        yield found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with a first release."""
    with fleets.brought_up(tmp_path_factory.mktemp("fleet"), lambda root: {"tiny": fleets.tiny(root, "tiny")}) as made:
        yield made


@pytest.fixture
def fleet(whole: Fleet) -> Fleet:
    """The fleet with one good release live everywhere, and nobody at work."""
    if any(whole.state(host)["phase"] != "stable" for host in (*ENTRIES, *APPS)):
        whole.run("unlock", "--app", whole.app, "--yes")
        whole.good("mended")
    return whole


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the newcomer and those of the site, so that the others can run beside them."""
    for item in items:
        for fixture in {"newcomer", "hosted"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(fixture)
