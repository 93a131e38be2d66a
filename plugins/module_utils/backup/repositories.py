"""The archive's end of a set of files: an account, repositories, and keys that may only append."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import NAME, SETTINGS, files, givers
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
RIGHT = "the right one is on the paper copy of the keys, and was given at its last setup"
NOTHING = ", so nothing was written"
ROOM = "/usr/bin/stat -f -c '%a %b %S' {home}"


class NotOpening(Trouble):
    """A passphrase that is not the one of what is there."""


def problems(wished: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences."""
    found = [] if NAME.fullmatch(wished["name"]) else [f"backup_name: {wished['name']!r} is no name of an environment"]
    known = ", ".join(of.FILES)
    found += [f"{kind!r} is no set of files: take some of {known}" for kind in wished["sets"] if kind not in of.FILES]
    if len(wished["passphrase"]) < 20:
        found.append("backup_passphrase: at least 20 characters, since whoever takes the disk away may guess for years")
    return found


def lines(name: str, home: str, host: str, sets: list[str], keys: dict[str, str]) -> dict[str, str]:
    """Return the lines by which a host may log in, by what they are marked with: append, and room."""
    only = "".join(f" --restrict-to-repository {home}/{kind}" for kind in sets)
    commands = {"append": APPEND.format(lock=lock(BASE, name), only=only), "room": ROOM.format(home=home)}
    marked = {f"ferryman:{name}:{host}:{what}": (what, command) for what, command in commands.items() if keys.get(what)}
    return {
        mark: f'command="{command}",restrict {" ".join(keys[what].split()[:2])} {mark}'
        for mark, (what, command) in marked.items()
    }


def merged(text: str, wanted: dict[str, str], former: Sequence[str] = ()) -> str:
    """Return the text of authorized_keys with lines in the place of those with their marks, and with `former` ones."""
    gone = {*wanted, *former}
    kept = [line for line in text.splitlines() if line.strip() and line.split()[-1] not in gone]
    return "".join(f"{line}\n" for line in [*kept, *wanted.values()])


class Repositories:
    """One run: what was wished, and what was different."""

    def __init__(self, wished: dict[str, Any], place: Placing) -> None:
        self.wished, self.place = wished, place
        self.name, self.home = wished["name"], os.path.join(wished["path"], wished["name"])

    def require(self) -> None:
        """Refuse, before anything is written, what would be written over or could never be read again."""
        self.require_same_host()
        self.require_opening()

    def run(self) -> None:
        """Bring all of it to its state; whoever calls this has called `require`."""
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
        host, told = self.wished["host"], self.known()
        alone = told.get("host") == host  # it was the one host that there could be, and its keys bore no name
        former = [f"ferryman:{self.name}:{what}" for what in ("append", "room")] if alone else []
        hosts = {**(givers(told) if told else {}), host: self.wished["sets"]}
        self.place.file(files(self.name), of.written({"format": of.FORMAT, "name": self.name, "hosts": hosts}))
        wanted = lines(self.name, self.home, host, self.wished["sets"], self.wished["keys"])
        self.place.file(KEYS, merged(read(KEYS), wanted, former))

    def require_same_host(self) -> None:
        """Refuse a second host for a set: two would tell of each other's files."""
        told = self.known()
        for host, sets in givers(told).items() if told else ():
            both = sorted({*sets} & {*self.wished["sets"]})
            if both and host != self.wished["host"]:
                raise Trouble(
                    f"the archive {self.name} takes the files of {host} ({', '.join(both)}), and not of "
                    f"{self.wished['host']}: where that one is gone for good, remove {files(self.name)} on this host"
                )

    def known(self) -> dict[str, Any]:
        """Return who gives what until now; empty where nobody does."""
        text = read(files(self.name))
        return of.read(text, files(self.name)) if text else {}

    def require_opening(self) -> None:
        """Refuse a passphrase that does not open every repository that is there: with it, nobody would open them.

        What lies beside the repositories says nothing of that on a host made anew: they may be of an old disk. So they
        are opened, but where the very one has been found to open them before.
        """
        known = read(f"{secrets(self.name)}/passphrase").rstrip("\n")
        shut, unknown = [], []
        for kind in of.FILES:
            path, kept = self.places(kind)
            there, made = read(f"{path}/config", errors="replace"), read(kept, errors="replace")
            if not made and not (there and kind in self.wished["sets"]):
                continue  # nothing is there that it would have to open
            if made and known == self.wished["passphrase"]:
                continue
            if made and there != made:  # away, or with a key that a client may have put there
                unknown.append(path)
            elif not self.opens(path):
                shut.append(path)
        if shut:
            raise NotOpening(f"backup_passphrase does not open {' and '.join(shut)}{NOTHING}: {RIGHT}")
        if unknown:
            raise NotOpening(
                "backup_passphrase is another than before, and nobody can see whether it opens "
                f"{' and '.join(unknown)}: what lies there is not what was made{NOTHING}: is its disk there? {RIGHT}"
            )

    def places(self, kind: str) -> tuple[str, str]:
        """Return where the repository of a set is, and what must never change of it."""
        return f"{self.home}/{kind}", f"{secrets(self.name)}/{kind}.config"

    def opens(self, path: str) -> bool:
        """Say whether the passphrase opens a repository, which may be of a disk that another host had.

        borg runs as whoever owns it there, whom this host may not know.
        """
        if self.place.pretend and not os.path.exists(borg.PROGRAM):
            return True  # it will be asked once there is a borg
        owner = os.stat(f"{path}/config").st_uid
        return borg.opens(borg.Place(path, "", "", owner), str(self.wished["passphrase"]))

    def repository(self, kind: str) -> None:
        """Have a repository, and beside it what of it must never change: its id and its key."""
        path, kept = self.places(kind)
        self.place.directory(path, 0o700, USER)
        if not self.place.pretend and not os.path.exists(f"{path}/config"):
            if os.path.exists(kept):
                raise Trouble(f"{path} was a repository and is none: is its disk there? If it is lost, remove {kept}")
            self.place.paths.append(f"{path}/config")
            self.make(path, kind)
        if not os.path.exists(kept):
            self.own(path)
            self.place.file(kept, read(f"{path}/config"), 0o600)

    def make(self, path: str, kind: str) -> None:
        """Make a repository beside its place, so that a kill leaves a whole one there or none: half of one has no key.

        A place that is a disk of its own has nothing beside it.
        """
        secret, beside = f"{secrets(self.name)}/passphrase", f"{self.home}/.{kind}.new"
        if os.path.ismount(path):
            borg.Borg(borg.Place(path, secret, BASE, USER), kind).initialise()
            return
        shutil.rmtree(beside, ignore_errors=True)
        for each in (beside, f"{beside}/base"):
            os.mkdir(each, 0o700)
            shutil.chown(each, USER, USER)
        borg.Borg(borg.Place(f"{beside}/made", secret, f"{beside}/base", USER), kind).initialise()
        os.rename(f"{beside}/made", path)
        shutil.rmtree(beside)

    def own(self, path: str) -> None:
        """Have all of a repository belong to its account, whose number was another on another host."""
        if self.place.pretend:
            return
        uid, gid = borg.account(USER)
        for _, directories, names, at in os.fwalk(path):
            for name in (*directories, *names):
                os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)


def read(path: str, errors: str = "strict") -> str:
    """Return the text of a file, empty where there is none; `errors` is what becomes of bytes that are no text."""
    try:
        with open(path, encoding="utf-8", errors=errors) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def host_keys() -> list[str]:
    """Return the public keys of this host's SSH server, as known_hosts has them."""
    return [" ".join(read(path).split()[:2]) for path in sorted(glob.glob("/etc/ssh/ssh_host_*_key.pub"))]
