"""What the environment says. Read when asked, so that a program that needs no database starts without one."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def release() -> str:
    return os.environ.get("FERRYMAN_RELEASE", "development")


def commit() -> str | None:
    """Return the short commit that the release's name ends in."""
    _, _, commit = release().rpartition("-")
    return commit if len(commit) == 7 else None


def title() -> str:
    return os.environ.get("NOTES_TITLE", "Notes")


def max_upload() -> int:
    """Return the largest accepted upload in bytes."""
    return int(os.environ.get("NOTES_MAX_UPLOAD", 20 * 1024 * 1024))


def media() -> Path:
    """Return the directory of uploads, which outlives releases."""
    path = Path(os.environ.get("FERRYMAN_SHARED", HERE.parent / "shared")) / "media"
    path.mkdir(parents=True, exist_ok=True)
    return path


def database_url() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("notes: DATABASE_URL is not set (postgresql+psycopg://user:password@host/database)")
    return url


def session_key() -> bytes:
    """Return the key that signs session cookies: a credential of the unit, or a variable on a developer's machine."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder) / "SESSION_KEY" if folder else None
    key = file.read_text().strip() if file and file.exists() else os.environ.get("SESSION_KEY", "")
    if not key and "FERRYMAN_RELEASE" not in os.environ:
        key = "a key for development alone"
    if len(key) < 16:
        raise SystemExit("notes: SESSION_KEY needs at least 16 characters, in $CREDENTIALS_DIRECTORY/SESSION_KEY")
    return key.encode()
