"""A site whose files lie below a directory of a test's own."""

from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


class Placed(Site):
    """A site below `place`."""

    def __init__(self, name: str, place: Path) -> None:
        super().__init__(name)
        self.place = place

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
