"""What tests of a release on its host share."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


class Here(Site):
    """A site below a directory of the test's own; the class remembers where."""

    place = Path()

    @property
    def state(self) -> Path:
        """What Ferryman knows of it."""
        return self.place / "state"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site that keeps its state in a directory of the test's own."""
    monkeypatch.setattr(Here, "place", tmp_path)
    return Here("tiny")
