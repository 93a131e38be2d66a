"""A set of files with both its ends on this machine: a host that gives, an archive that keeps, borg between them."""

import getpass
import os
import secrets
import shutil
from collections.abc import Callable  # noqa: TC003 -- as everywhere in tests
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, collector, records, source, space
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

KIND = "media"


def reached(place: Path, side: str) -> borg.Place:
    """The repository as one side reaches it: each remembers it for itself."""
    return borg.Place(str(place / "archive" / KIND), str(place / "passphrase"), str(place / side), getpass.getuser())


class LocalSource(source.Source):
    """A source whose repository is a directory beside it, instead of behind SSH."""

    def __init__(self, place: Path, name: str) -> None:
        self.name, self.path, self.place = name, str(place / "state"), place
        self.metrics = str(place / "metrics.prom")
        roots = [str(place / "srv" / one) for one in ("notes", "shop")]
        left_out = [f"{roots[1]}/*/cache"]
        self.settings = {"host": "app1", "sets": {KIND: roots}, "left_out": left_out, "keep_free_bytes": 0}

    def engine(self, kind: str) -> borg.Borg:
        """The engine, from this side."""
        return borg.Borg(reached(self.place, "client"), kind)

    def there(self) -> space.Room:
        """The room on the archive's disk, which is this one."""
        return self.room()


class LocalArchive(archive.Archive):
    """An archive in a directory of its own."""

    def __init__(self, place: Path, name: str) -> None:
        self.name, self.path = name, str(place / "archive")
        self.settings = {
            "sets": [KIND], "keep_days": 7, "keep_years": {}, "keep_free_bytes": 0, "every_s": 86400, "wal_lag_s": 300,
            "full_days": 7, "drill_days": 35, "database": {"programs": "/nowhere"},
        }  # fmt: skip


class LocalCollector(collector.Collector):
    """The archive's own hands."""

    def __init__(self, place: Path, own: archive.Archive) -> None:
        borg.Borg.__init__(self, reached(place, "admin"), KIND)
        self.archive, self.kept = own, str(place / KIND)


class FileSet:
    """Both sides, in a directory that is theirs; `roots` are the directories that are taken."""

    def __init__(self, place: Path) -> None:
        self.place, self.aside, name = place, place.with_name(f"{place.name}-kept"), f"test-{secrets.token_hex(4)}"
        for each in ("srv/notes", "srv/shop", "state", "archive", "client", "admin"):
            (place / each).mkdir(parents=True)
        (place / "passphrase").write_text("of nobody but us\n")
        self.source, self.archive = LocalSource(place, name), LocalArchive(place, name)
        self.works = LocalCollector(place, self.archive)
        self.repository = place / "archive" / KIND
        self.works.initialise()
        shutil.copy(self.repository / "config", f"{self.works.kept}.config")
        self.roots = [Path(root) for root in self.source.roots(KIND)]

    def take(self, run: str = "run") -> dict[str, Any]:
        """Take a backup on the host."""
        return source.take(self.source, KIND, run, {})

    # One state, many times

    def keep(self) -> None:
        """Remember how all is now, for `again`."""
        shutil.copytree(self.place, self.aside, symlinks=True)

    def again(self) -> None:
        """Be as when it was kept."""
        for part in ("archive", "client", "admin", "state", f"{KIND}.config"):
            target, kept = self.place / part, self.aside / part
            if kept.is_dir():
                shutil.rmtree(target)
                shutil.copytree(kept, target, symlinks=True)
            else:
                shutil.copy(kept, target)

    def looked(self) -> list[str]:
        """What the archive's own checks find, the cheap ones first; it ends at the first that finds something."""
        looks: list[Callable[[], list[str]]] = [
            self.archive.damaged,
            lambda: ["the key was another"] if self.works.key() else [],
            lambda: [] if len(self.archive.records()) == len(self.names()) else ["a record is gone"],
            self.works.unsound,
            self.works.missing,
            *(partial(self._checked, record) for record in self.archive.records()),
        ]
        for look in looks:
            try:
                found = look()
            except Trouble as trouble:
                found = [str(trouble)]
            if found:
                return found
        return []

    def _checked(self, record: dict[str, Any]) -> list[str]:
        return [each["said"] for each in self.works.check(record)]

    def names(self) -> list[str]:
        """The backups that were taken, oldest first, as they were before anything was damaged."""
        return sorted(path.stem for path in (self.aside / "archive/records").iterdir())

    def newest(self) -> dict[str, Any]:
        """What the driver asks a restore for: the newest backup by the catalogue as it was."""
        path = self.aside / "archive/records" / f"{self.names()[-1]}.json"
        return records.read(path.read_text(), str(path))

    def snapshot(self, root: Path) -> dict[str, Any]:
        """What a directory holds, read by other means than those that are under test."""
        found: dict[str, Any] = {}
        for parent, directories, files in os.walk(root):
            for name in [*directories, *files]:
                path = Path(parent) / name
                key = str(path.relative_to(root))
                mode = path.lstat().st_mode
                if path.is_symlink():
                    found[key] = str(path.readlink())
                else:
                    found[key] = (mode, path.read_bytes() if path.is_file() else None)
        return found
