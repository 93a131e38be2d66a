"""Files that are laid out: made where they are missing, kept where they are there, and either way named."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

from ferryman import paths
from ferryman.errors import Stop

VARIABLES = "group_vars/all"
LINK = "00-shared"
SHARED = "../../../../group_vars/all"


@dataclass
class Layout:
    """A project's root, and the files that were made or kept there, as seen from it."""

    root: Path
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def put(self, name: str, text: str) -> bool:
        """Write a file, unless something of that name is there; return whether it was made."""
        path = self.root / name
        if os.path.lexists(path):
            self.kept.append(name)
            return False
        _write(path, text)
        self.made.append(name)
        return True

    def ignore(self, lines: list[str]) -> None:
        """Add what git must not take to .gitignore; what is there stays as it is."""
        path = self.root / ".gitignore"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        have = {line.strip().strip("/") for line in text.splitlines()}
        new = [line for line in lines if line.strip("/") not in have]
        if not new:
            self.kept.append(".gitignore")
            return
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        path.write_text(
            f"{text}{gap}# Ferryman's own, and secrets of this machine.\n" + "\n".join(new) + "\n", encoding="utf-8"
        )
        self.made.append(".gitignore")

    def environment(self, name: str, files: Mapping[str, str]) -> bool:
        """Make an environment of these files (path in it -> text), unless it is there; say whether it was made.

        It comes into place whole, by one rename: half of one would look like somebody's own, and be kept.
        """
        self.put("group_vars/all/README.md", template("shared/README.md"))
        at = f"inventories/{name}"
        if os.path.lexists(self.root / at):
            self.kept.append(at)
            return False
        fresh = paths.state_directory(self.root) / f"new-{name}"
        shutil.rmtree(fresh, ignore_errors=True)
        for file, text in files.items():
            _write(fresh / file, text)
        (fresh / VARIABLES / LINK).symlink_to(SHARED)
        (self.root / at).parent.mkdir(exist_ok=True)
        fresh.rename(self.root / at)
        self.made += sorted(f"{at}/{file}" for file in (*files, f"{VARIABLES}/{LINK}"))
        return True


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the disk refuses (rights, room, a file where a directory should be) into a Stop."""
    try:
        yield
    except OSError as error:
        hint = "mend that and run it again: what was made is kept, and nothing was overwritten"
        raise Stop(f"{error.filename or 'a file'} cannot be written: {error.strerror or error}", hint=hint) from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def template(name: str, values: Mapping[str, str] | None = None) -> str:
    """Return a file that comes with the package, its `$words` filled in."""
    text = resources.files("ferryman.init").joinpath("data", name).read_text(encoding="utf-8")
    return Template(text).substitute(values) if values else text


def templates(directory: str) -> list[str]:
    """Return the names of the files below a directory of templates, as seen from there."""
    base = Path(str(resources.files("ferryman.init").joinpath("data", directory)))
    return sorted(path.relative_to(base).as_posix() for path in base.rglob("*.yml"))
