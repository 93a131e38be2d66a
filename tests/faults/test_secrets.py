"""A secret is in its own files and in the process that needs it, and nowhere else on host or driver (SEC-1)."""

import hashlib
import json
import os
import secrets
import shlex
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.support.histories import Version, crashes, good
from tests.support.site import Site

CODE = """\
import mmap, os, sys
wanted = [word.encode() for word in sys.stdin.read().split()]
skip = ("/proc", "/sys", "/dev", "/run/credentials", "/usr/lib", "/usr/share", "/var/cache/apt")
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.join(folder, name).startswith(skip)]
    for name in names:
        path = os.path.join(folder, name)
        try:
            if os.path.islink(path) or not os.path.isfile(path) or not os.path.getsize(path):
                continue
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                if any(text.find(word) >= 0 for word in wanted):
                    print(path)
        except (OSError, ValueError):
            pass
"""
"""Says which files of the host hold one of the words that it is given on standard input."""


class Watch:
    """Looks at the arguments of every process of this machine, the hosts' included, and at files that come and go."""

    def __init__(self, passing: Path, *values: str) -> None:
        self.passing = passing
        self.values = [value.encode() for value in values]
        self.found: list[str] = []
        self.looked = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.is_set():
            # No globbing here: it stumbles over a process that ends meanwhile.
            paths = [path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdigit()]
            paths += [Path(folder, name) for folder, _, names in os.walk(self.passing) for name in names]
            for path in paths:
                try:
                    text = path.read_bytes()
                except OSError:
                    continue  # it has ended, or is gone
                if any(value in text for value in self.values):
                    self.found.append(f"{path}: {text.replace(bytes(1), b' ')[:300]!r}")
            self.looked += 1
            self._over.wait(0.02)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread.is_alive(), "nobody was looking"
        self._over.set()
        self._thread.join(10)


def holding(folder: Path, values: list[str], since: float) -> list[str]:
    """Return the files below a folder, written since then, that hold one of the values."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since - 1:
                text = path.read_bytes()
                found += [str(path) for value in values if value.encode() in text]
        except OSError:
            continue  # a socket, or gone meanwhile
    return found


def test_a_secret_is_in_its_file_and_in_its_process_and_nowhere_else(site: Site) -> None:
    began, wants = time.time(), {"secrets": ["TOKEN"], "secret_env": ["DATABASE_URL"]}
    try:
        values = {"TOKEN": f"planted-{secrets.token_hex(12)}", "DATABASE_URL": f"planted://{secrets.token_hex(12)}"}
        with site.inventory(secrets=values), Watch(site.root / ".ferryman" / "runner", *values.values()) as watch:
            words = list(values.values())
            first = site.deploy(site.repository.commit(good("with secrets", **wants)))
            assert first.code == 0, str(first)
            told = json.loads(site.get("/env")[1])
            talkative = site.repository.commit(good("as talkative as can be"))
            shown = site.playbook("release_deploy", "-e", f"release_ref={talkative}")
            assert shown.code == 0, str(shown)
            failed = site.deploy(site.repository.commit(crashes()))
            assert failed.code == 2, str(failed)
            status = site.run("status", "--app", site.app)
        # It arrived: as files for all, in the environment for those that want it there.
        assert told["secrets"] == {name: hashlib.sha256(value.encode()).hexdigest() for name, value in values.items()}
        assert "DATABASE_URL" in told["names"]
        assert "TOKEN" not in told["names"]
        # Nothing that was printed, and no argument of any process, here or on the host.
        for text in (str(first), str(shown), str(failed), str(status)):
            assert not [word for word in words if word in text]
        assert watch.looked > 20
        assert watch.found == []
        # No file of the driver's; the one that the values were written into is as it was again.
        assert holding(site.root, words, began) + holding(Path.home() / ".ansible", words, began) == []
        # No file of the host's but the two that systemd reads, which are root's alone; nor the journal.
        # The words go through standard input: sudo writes what it is asked to run into the journal.
        place = f"/etc/ferryman/sites/{site.app}/secrets"
        assert sorted(site.ssh(f"python3 -c {shlex.quote(CODE)}", given=" ".join(words)).splitlines()) == [
            f"{place}/DATABASE_URL",
            f"{place}/TOKEN",
        ]
        assert site.ssh(f"stat -c '%a %U' {place} {place}/*").splitlines() == ["700 root", "600 root", "600 root"]
        lines = (
            "journalctl --no-pager -o export --since=-10min > /run/lines; grep --count -aFf - /run/lines; rm /run/lines"
        )
        assert site.ssh(lines, given="\n".join(words)) == "0"
    finally:
        # The history goes on without them.
        without: dict[str, Any] = {"secrets": [], "secret_env": []}
        answer = site.deploy(site.repository.commit(Version("without secrets", description=without)))
        assert answer.code == 0, str(answer)
