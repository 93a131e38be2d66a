"""What the journeys share: one newcomer, whose first deploy all of them begin from."""

from collections.abc import Iterator

import pytest
from tests.support.newcomer import Newcomer, arrived


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A fresh clone with a release that serves."""
    with arrived(tmp_path_factory.mktemp("newcomer") / "ferryman") as found:
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the newcomer and those of the site, so that the others can run beside them."""
    for item in items:
        for fixture in {"newcomer", "hosted"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(fixture)
