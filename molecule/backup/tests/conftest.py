"""The two hosts: who keeps the archive, and what is archived."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import testinfra

PROGRAM = "/usr/local/lib/ferryman/backup"
HOME = "/srv/backups/demo"


class Archive:
    """The host that keeps the archive."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def sh(self, command: str) -> str:
        """Run a command that must end well."""
        return str(self.host.check_output("sh -c %s", command))

    def python(self, text: str) -> None:
        """Run Python there with the program's own modules; `of` are its records."""
        self.sh(f"python3 - <<'END'\n{OWN}{text}\nEND")

    def act(self, verb: str, *words: str) -> Any:
        """Run the program of the timers."""
        return self.host.run(f"timeout 200 {PROGRAM} {verb} --name demo {' '.join(words)}")

    @contextmanager
    def quiet(self, *names: str) -> Iterator[None]:
        """Have nothing of what its timers begin run meanwhile; what is at work when it begins ends first."""
        units = [f"ferryman-backup-demo-{name}" for name in names]
        timers, services = (" ".join(f"{unit}.{kind}" for unit in units) for kind in ("timer", "service"))
        busy = f"systemctl is-active {services} | grep -qxE '(|de)activating|active'"
        self.sh(f"systemctl stop {timers}")
        self.sh(f"timeout 300 sh -c {shlex.quote(f'while {busy}; do sleep 0.5; done')}")
        try:
            yield
        finally:
            self.sh(f"systemctl start {timers}")

    def take(self) -> dict[str, Any]:
        """Take a backup that must be good; return its record."""
        done = self.act("run")
        assert done.rc == 0, done.stdout + done.stderr
        return self.records()[-1]

    def state(self) -> dict[str, Any]:
        """Return what is known of it."""
        done = self.act("status")
        assert done.rc == 0, done.stderr
        return dict(json.loads(done.stdout))

    def records(self) -> list[dict[str, Any]]:
        """Return the catalogue as it lies there."""
        listed = self.sh(f"cat {HOME}/records/*.json | python3 -c {shlex.quote(ALL)}")
        return sorted(json.loads(listed), key=lambda record: record["id"])

    def manifest(self, record: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self.sh(f"cat {HOME}/manifests/{record['id']}.json")))


OWN = """import json, sys, time
sys.path.insert(0, "/usr/local/lib/ferryman/python")
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
"""
ALL = """
import json, sys
text, found, reader = sys.stdin.read(), [], json.JSONDecoder()
while text.strip():
    told, end = reader.raw_decode(text.lstrip())
    found.append(told)
    text = text.lstrip()[end:]
print(json.dumps(found))
"""


class Database:
    """The host that serves the database."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def sql(self, statements: str, base: str = "notes", seconds: int = 20) -> str:
        """Run SQL that must end well, and in time."""
        words = f"timeout {seconds} runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d {base} -c %s"
        return str(self.host.check_output(words, statements))

    def until(self, asked: str) -> None:
        """Wait until the server answers a question with yes."""
        words = "timeout 40 sh -c 'until runuser -u postgres -- psql -XAtqc \"$0\" | grep -q t; do sleep 0.2; done' %s"
        self.host.check_output(words, asked)

    def archives(self, name: str) -> None:
        """Wait until a file of WAL has gone the second way, beside the stream."""
        self.until(f"select last_archived_wal >= '{name}' from pg_stat_archiver")


@pytest.fixture(scope="module")
def archive() -> Archive:
    return Archive(_host("host"))


@pytest.fixture(scope="module")
def database() -> Database:
    return Database(_host("db"))


@pytest.fixture(scope="session")
def play() -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Run a playbook of the scenario with a passphrase."""
    words = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"]]

    def run(name: str, passphrase: str) -> subprocess.CompletedProcess[str]:
        given = ["-e", json.dumps({"passphrase": passphrase}), str(Path(__file__).parents[1] / name)]
        return subprocess.run([*words, *given], capture_output=True, text=True, check=False)

    return run


def _host(name: str) -> Any:
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}", sudo=True)
