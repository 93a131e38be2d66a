"""A site whose files lie below a directory of a test's own."""

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


@dataclass(frozen=True)
class Placed(Site):
    """A site below `place`."""

    place: Path = Path()

    @property
    def root(self) -> Path:
        """Where its releases are."""
        return self.place / "srv"

    @property
    def state(self) -> Path:
        """What Ferryman knows of it."""
        return self.place / "state"

    @property
    def settings(self) -> Path:
        """What a host is told of it."""
        return self.place / "etc"
