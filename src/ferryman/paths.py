"""Where things lie: the project that is worked on, and the collection that does the work.

They are one directory in a checkout of Ferryman, and two when a team's own project uses an installed Ferryman.
"""

import os
from contextlib import suppress
from pathlib import Path

from ferryman.errors import Stop

HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[2]
COLLECTION = Path("ansible_collections/ferryman/ops")


def program() -> str:
    """Return what people type to get here."""
    if not in_checkout():
        return "ferryman"
    return "./invoke" if Path.cwd().is_relative_to(CHECKOUT) else str(CHECKOUT / "invoke")


def command(what: str, env: str, app: str = "") -> str:
    """Return a command as people type it, for this environment and application (empty: there is only one)."""
    return f"{program()} {what}" + (f" --env {env}" if env else "") + (f" --app {app}" if app else "")


def typed(text: str) -> str:
    """Return what the collection says, with the commands in it (`ferryman ...`) as people type them here."""
    return text.replace("`ferryman ", f"`{program()} ")


def in_checkout() -> bool:
    """Say whether the package runs from a checkout (its collection is the checkout's root)."""
    return (CHECKOUT / "galaxy.yml").is_file()


def project_root(start: Path | None = None) -> Path:
    """Return the nearest directory from `start` (or here) upwards with `inventories/`; if none, the checkout."""
    begin = (start or Path.cwd()).resolve()
    found = project_above(begin)
    if found:
        return found
    if in_checkout():
        return CHECKOUT
    raise Stop(
        f"no project here: neither {begin} nor a directory above it has inventories/",
        hint=f"change into your project, or lay one out here: {program()} init",
    )


def project_above(begin: Path) -> Path | None:
    """Return the nearest directory from `begin` upwards with `inventories/`, or None."""
    return next((place for place in (begin, *begin.parents) if (place / "inventories").is_dir()), None)


def collection_root() -> Path:
    """Return the root of the collection `ferryman.ops` that belongs to this package."""
    if in_checkout():
        return CHECKOUT
    installed = HERE.parents[1] / COLLECTION
    if not (installed / "galaxy.yml").is_file():
        raise Stop(f"this installation has no collection at {installed}", hint="install ferryman again")
    return installed


def collections_path() -> Path:
    """Return the directory to name in ANSIBLE_COLLECTIONS_PATH; in a checkout, make its link where it is missing."""
    if not in_checkout():
        return HERE.parents[1]
    path = CHECKOUT / ".ansible" / "collections"
    link = path / COLLECTION
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another command has made it meanwhile
            link.symlink_to("../../../..")
    return path


def ansible_config(project: Path | None = None) -> Path:
    """Return the project's own ansible.cfg, else the one that comes with the package."""
    own = (project or project_root()) / "ansible.cfg"
    if own.is_file():
        return own
    return CHECKOUT / "ansible.cfg" if in_checkout() else HERE.parent / "ansible.cfg"


def state_directory(project: Path | None = None) -> Path:
    """Return the project's `.ferryman/`, made if need be: private, and ignored by git wherever the project lies."""
    path = (project or project_root()) / ".ferryman"
    path.mkdir(mode=0o700, exist_ok=True)
    ignore = path / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return path


def write(path: Path, text: str) -> None:
    """Write a file that its owner alone reads, whole or not at all: a run that is killed leaves the old one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.rename(path)
