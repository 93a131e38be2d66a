"""What the journeys share: one newcomer, whose first deploy all of them begin from."""

from collections.abc import Iterator

import pytest
from tests.support.newcomer import Newcomer, arrived


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A fresh clone with a release that serves."""
    with arrived(tmp_path_factory.mktemp("newcomer") / "ferryman") as found:
        yield found


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the newcomer, so that the others can run beside them; of these, those that share the site of a
    worker go to one worker, which so makes the only one, and each other file stays together."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "newcomer" in fixtures:
            item.add_marker("newcomer")
        item.add_marker(pytest.mark.xdist_group("hosted" if "hosted" in fixtures else item.path.stem))
