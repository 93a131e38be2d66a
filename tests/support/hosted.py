"""One site a worker, shared by all tests that deploy: each begins from a good release and leaves the host whole."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import site as sites
from tests.support.prober import Prober
from tests.support.site import Site


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A provisioned host with a first release. FERRYMAN_TEST_SITE names a directory that keeps it from run to run."""
    sites.sweep()
    kept = os.environ.get("FERRYMAN_TEST_SITE")
    if kept and (Path(kept) / "inventories").is_dir():
        yield sites.found(Path(kept))
        return
    root = Path(kept) if kept else tmp_path_factory.mktemp("site")
    site = sites.lay_out(root, root.name if kept else f"{sites.PREFIX}-{os.getpid()}")
    try:
        sites.up(site)
        yield site
    finally:
        if not kept:
            sites.down(site)


@pytest.fixture
def site(hosted: Site) -> Site:
    """The site with a good release live and nobody at work; what an earlier test broke is mended first."""
    if not sites.is_whole(hosted):
        sites.mend(hosted)
    return hosted


@pytest.fixture
def prober(site: Site) -> Iterator[Prober]:
    """A client that asks from the test's beginning to its end."""
    with Prober(site) as asking:
        yield asking
