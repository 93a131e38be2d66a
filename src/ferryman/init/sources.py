"""The files of an application that say how it is built and started: path -> text."""

import os
from pathlib import Path

LARGEST = 300_000  # bytes; what is larger is data, except a lock
DEEPEST = 4
MOST = 400
CODE = (".py", ".js", ".mjs", ".cjs", ".ts")
NAMED = {
    "pyproject.toml", "setup.py", "uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock", "manage.py", "alembic.ini",
    "Procfile", "Dockerfile", "Containerfile", "package.json", "package-lock.json", "npm-shrinkwrap.json",
    "index.html", "requirements.lock",
}  # fmt: skip
NOT_THE_APPLICATION = {
    "node_modules", "venv", "env", "tests", "test", "__pycache__", "inventories", "group_vars", "build", "dist",
}  # fmt: skip


def read(directory: Path) -> dict[str, str]:
    """Return what lies in `directory` that a guess can use, by its path there; binary and huge files are left out."""
    found: dict[str, str] = {}
    for place, below, names in os.walk(directory):
        here = Path(place)
        depth = len(here.relative_to(directory).parts)
        below[:] = sorted(name for name in below if _inside(name)) if depth < DEEPEST else []
        for name in sorted(names):
            path = (here / name).relative_to(directory).as_posix()
            if len(found) < MOST and _says_something(path) and (text := _text(here / name)) is not None:
                found[path] = text
    return found


def _inside(name: str) -> bool:
    return not name.startswith(".") and name not in NOT_THE_APPLICATION


def _says_something(path: str) -> bool:
    name = path.rpartition("/")[2]
    if name in NAMED:
        return path == name or name == "index.html"
    return name.endswith(CODE) or (path.startswith("requirements") and name.endswith((".txt", ".in")))


def _text(path: Path) -> str | None:
    try:
        if path.stat().st_size > LARGEST and not path.name.endswith((".lock", "-lock.json")):
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\0" in text else text
