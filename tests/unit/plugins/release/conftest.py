"""What tests of a release on its host share."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from tests.support.placed import Placed


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that keeps its state in a directory of the test's own."""
    return Placed("tiny", place=tmp_path)
