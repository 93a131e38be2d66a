"""The archive's end of a set of files: an account, repositories, and keys that may only append."""

from __future__ import annotations

import glob
import os
import subprocess
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import NAME, SETTINGS, files
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import BASE, USER, lock, secrets
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

PROGRAM = "/usr/local/lib/ferryman/backup-files"
KEYS = f"{BASE}/.ssh/authorized_keys"
# The shell of a forced command is wanted, a password is not.
ACCOUNT = ["useradd", "--system", "--user-group", "--home-dir", BASE, "--no-create-home", "--shell", "/bin/sh",
           "--password", "*", USER]  # fmt: skip
# Under a lock, shared with whoever else is served, so that the archive's own hands can be alone with the repositories.
APPEND = "flock --shared --wait 3600 {lock} borg serve --append-only{only}"
ROOM = "/usr/bin/stat -f -c '%a %b %S' {home}"


def problems(wished: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences."""
    found = [] if NAME.fullmatch(wished["name"]) else [f"backup_name: {wished['name']!r} is no name of an environment"]
    known = ", ".join(of.FILES)
    found += [f"{kind!r} is no set of files: take some of {known}" for kind in wished["sets"] if kind not in of.FILES]
    if len(wished["passphrase"]) < 20:
        found.append("backup_passphrase: at least 20 characters, since whoever takes the disk away may guess for years")
    return found


def lines(name: str, home: str, sets: list[str], keys: dict[str, str]) -> dict[str, str]:
    """Return the lines by which a host may log in, by what they are marked with: append, and room."""
    only = "".join(f" --restrict-to-repository {home}/{kind}" for kind in sets)
    commands = {"append": APPEND.format(lock=lock(BASE, name), only=only), "room": ROOM.format(home=home)}
    marked = {f"ferryman:{name}:{what}": (what, command) for what, command in commands.items() if keys.get(what)}
    return {
        mark: f'command="{command}",restrict {" ".join(keys[what].split()[:2])} {mark}'
        for mark, (what, command) in marked.items()
    }


def merged(text: str, wanted: dict[str, str]) -> str:
    """Return the text of authorized_keys with the lines of an archive in the place of those it had."""
    kept = [line for line in text.splitlines() if line.strip() and line.split()[-1] not in wanted]
    return "".join(f"{line}\n" for line in [*kept, *wanted.values()])


class Repositories:
    """One run: what was wished, and what was different."""

    def __init__(self, wished: dict[str, Any], place: Placing) -> None:
        self.wished, self.place = wished, place
        self.name, self.home = wished["name"], os.path.join(wished["path"], wished["name"])

    def run(self) -> None:
        self.require_same_host()
        self.require_same_passphrase()
        if subprocess.run(["getent", "passwd", USER], stdout=subprocess.DEVNULL, check=False).returncode:
            self.place.paths.append(USER)
            if not self.place.pretend:
                subprocess.run(ACCOUNT, check=True)
        self.place.directory(BASE, 0o700, USER)
        self.place.directory(f"{BASE}/.ssh", 0o755)
        self.place.file(lock(BASE, self.name), "", 0o600, USER)
        for path in (SETTINGS, self.wished["path"], self.home):
            self.place.directory(path)
        own = secrets(self.name)
        self.place.directory(own, 0o700)
        self.place.file(f"{own}/passphrase", f"{self.wished['passphrase']}\n", 0o600)
        for kind in self.wished["sets"]:
            self.repository(kind)
        told = {"format": of.FORMAT, "name": self.name, "host": self.wished["host"], "sets": self.wished["sets"]}
        self.place.file(files(self.name), of.written(told))
        wanted = lines(self.name, self.home, self.wished["sets"], self.wished["keys"])
        self.place.file(KEYS, merged(read(KEYS), wanted))

    def require_same_host(self) -> None:
        """Refuse a second host: two would write over each other's key, and tell of each other's files."""
        text = read(files(self.name))
        told = of.read(text, files(self.name)) if text else {"host": self.wished["host"]}
        if told["host"] != self.wished["host"]:
            raise Trouble(
                f"the archive {self.name} takes the files of {told['host']}, and not of {self.wished['host']}: "
                f"where that one is gone for good, remove {files(self.name)} on this host"
            )

    def require_same_passphrase(self) -> None:
        """Refuse another passphrase than the one that opens what is there: with it, nobody would open it any more."""
        own = secrets(self.name)
        known = read(f"{own}/passphrase").rstrip("\n")
        made = [kind for kind in self.wished["sets"] if os.path.exists(f"{own}/{kind}.config")]
        if known and made and known != self.wished["passphrase"]:
            raise Trouble(
                f"backup_passphrase is not the one that opens the repositories of {', '.join(made)}: put that one "
                f"back; it is on the paper copy of the keys, and on this host in {own}/passphrase"
            )

    def repository(self, kind: str) -> None:
        """Have a repository, and beside it what of it must never change: its id and its key."""
        path, kept = f"{self.home}/{kind}", f"{secrets(self.name)}/{kind}.config"
        self.place.directory(path, 0o700, USER)
        if not self.place.pretend and not os.path.exists(f"{path}/config"):
            if os.path.exists(kept):
                raise Trouble(f"{path} was a repository and is none: is its disk there? If it is lost, remove {kept}")
            self.place.paths.append(f"{path}/config")
            borg.Borg(borg.Place(path, f"{secrets(self.name)}/passphrase", BASE, USER), kind).initialise()
        if not os.path.exists(kept):
            self.place.file(kept, read(f"{path}/config"), 0o600)


def read(path: str) -> str:
    """Return the text of a file, empty where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def host_keys() -> list[str]:
    """Return the public keys of this host's SSH server, as known_hosts has them."""
    return [" ".join(read(path).split()[:2]) for path in sorted(glob.glob("/etc/ssh/ssh_host_*_key.pub"))]
