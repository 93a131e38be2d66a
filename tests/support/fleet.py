"""A fleet for tests: two entries, three app hosts and a database host, made by the product's own option.

    fleet.deploy(fleet.repository.commit(good("v2")))   # as with a Site, whose host is the arbiter
    fleet.ssh("nft list ruleset", host="app2")
    fleet.served_by("entry2")                           # the release that one entry gives its clients

Clients take the entries in turn. Hosts are light: what a fleet has nothing to do with is off.
"""

import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml
from tests.support import histories
from tests.support import site as sites
from tests.support.driving import READY_S
from tests.support.pages import blocks
from tests.support.site import ENV, PYTHONS, SHORT, Site

from ferryman import paths
from ferryman.environments import LOCAL
from ferryman.sandbox import hosts
from ferryman.sandbox.model import DEFAULT_DEBIAN
from ferryman.sandbox.probing import probe

ENTRIES = ("entry1", "entry2")
APPS = ("app1", "app2", "app3")
DATABASE = "db1"
HOSTS = (*ENTRIES, *APPS, DATABASE)
PASSWORD = "of-the-application"
PAGE = paths.CHECKOUT / "docs" / "guides" / "fleet.md"
VARIABLES = Path("group_vars/all")
Apps = dict[str, dict[str, Any]]
"""What an inventory says of each application, by its name."""


@dataclass
class Fleet(Site):
    """A project whose environment is a fleet; `ports` holds each entry's port for HTTPS and for HTTP."""

    host: str = ENTRIES[0]
    turn: Iterator[str] = field(default_factory=lambda: cycle(ENTRIES))

    @property
    def domain(self) -> str:
        """The name that it is served under."""
        return f"{self.app}.{ENV}.localhost"

    @property
    def port(self) -> int:
        """The entry whose turn it is."""
        return self.ports[next(self.turn)]

    @cached_property
    def addresses(self) -> dict[str, str]:
        """Where the hosts reach each other."""
        path = self.root / ".ferryman" / "sandbox" / self.name / hosts.ADDRESSES
        return dict(json.loads(path.read_text()))

    @contextmanager
    def through(self, entry: str) -> Iterator[None]:
        """Have clients take this entry alone."""
        before, self.turn = self.turn, cycle([entry])
        try:
            yield
        finally:
            self.turn = before

    def served_by(self, entry: str) -> str:
        """Return the release that answers the clients of an entry."""
        with self.through(entry):
            return self.served()

    def releases(self) -> set[str]:
        """Return the releases that clients get, whichever entry they come to."""
        return {self.served_by(entry) for entry in ENTRIES}

    def state(self, host: str) -> dict[str, Any]:
        """Return what a host has for stable, and what is pending there."""
        return dict(json.loads(self.ssh(f"cat /var/lib/ferryman/sites/{self.app}/shift.json", host=host)))

    def copies(self) -> dict[str, list[dict[str, Any]]]:
        """Return the copy of the ledger that each host keeps beside the one who keeps the ledger itself."""
        path = f"/var/lib/ferryman/sites/{self.app}/ledger-copy.jsonl"
        others = [host for host in (*ENTRIES, *APPS) if host != self.host]
        return {host: list(map(json.loads, self.ssh(f"cat {path}", host=host).splitlines())) for host in others}

    def agrees(self, within_s: float) -> str:
        """Wait until nothing is pending anywhere, and return the one release that is stable on every host."""
        deadline = time.monotonic() + within_s
        while True:
            states = {host: self.state(host) for host in (*ENTRIES, *APPS)}
            stable = {state["release_stable"] for state in states.values()}
            if len(stable) == 1 and all(state["phase"] == "stable" for state in states.values()):
                return str(stable.pop())
            assert time.monotonic() < deadline, {host: (s["phase"], s["release_stable"]) for host, s in states.items()}
            time.sleep(0.3)

    def settles(self, within_s: float) -> str:
        """Wait as `agrees` does, for what tells clients its release: see that every entry serves the one that it is."""
        stable = self.agrees(within_s)
        assert self.releases() == {stable}
        return stable


@contextmanager
def powered(fleet: Fleet, *of: str) -> Iterator[None]:
    """Give hosts their power back whenever they have ended, as a machine's firmware does after a reboot."""
    over, engine = threading.Event(), probe()

    def watch() -> None:
        while not over.wait(2):
            for host in of:
                engine.run("start", f"{fleet.name}-{host}", check=False)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def began(fleet: Fleet, host: str) -> str:
    """Return when a host's first process began."""
    return fleet.ssh("cut -d ' ' -f 22 /proc/1/stat", host=host)


def words(line: str) -> list[str]:
    """Return a command of the guide as words, for this environment."""
    return shlex.split(line.replace("trial", ENV))[1:]


def typed(command: str) -> list[str]:
    """Return the guide's one command of that name, as words."""
    (line,) = (line for block in blocks(PAGE, "sh") for line in block.lines if line.startswith(f"./invoke {command} "))
    return words(line)


def tiny(root: Path, app: str) -> dict[str, Any]:
    """Make the repository of a `tiny` in a project, with a good commit; return what an inventory says of it."""
    histories.tiny(root / app, histories.good("v1"), name=app, python=PYTHONS[DEFAULT_DEBIAN])
    name = app.replace("-", "_")
    database = {"name": name, "owner": name, "password": PASSWORD}
    asks = {"DATABASE_URL": f"postgresql://{name}:{PASSWORD}@127.0.0.1/{name}"}
    return {"repository": app, "domains": [f"{app}.localhost"], "database": database, "env": asks}


def lay_out(root: Path, name: str, apps: Apps, **settings: Any) -> Fleet:
    """Lay out a project as the guide says, beside a `local` that has the applications: what its inventory says of each.

    Their repositories are in the project by then; the fleet that is returned is the first one's. `settings` are those
    of the role that a test wants otherwise than SHORT has them.
    """
    local, directory = root / "inventories" / LOCAL, root / "inventories" / ENV
    app = next(iter(apps))
    (local / VARIABLES).mkdir(parents=True)
    (local / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"local1": {"ansible_host": "192.0.2.9"}}}}))
    (local / VARIABLES / "apps.yml").write_text(yaml.safe_dump({"apps": apps}))
    (local / VARIABLES / "environment.yml").write_text(yaml.safe_dump({"environment_name": LOCAL}))
    repository = cloned(root / app)
    made = Fleet(root, name, repository, {}, app).begin(*typed("env.new")).wait()
    assert made.code == 0, str(made)
    variables = directory / VARIABLES
    told = yaml.safe_load((variables / "sandbox.yml").read_text())
    (variables / "sandbox.yml").write_text(yaml.safe_dump({**told, "sandbox_name": name}))
    (variables / "zz-test.yml").write_text(yaml.safe_dump({**SHORT, "host_bans_enabled": False, **settings}))
    return Fleet(root, name, repository, _ports(directory), app)


def _ports(directory: Path) -> dict[str, int]:
    told = yaml.safe_load((directory / "hosts.yml").read_text())["all"]["children"]["entry"]["hosts"]
    published = {entry: {inside: out for out, inside in told[entry]["sandbox_publish"].items()} for entry in ENTRIES}
    plain = {f"{entry}-http": ports[80] for entry, ports in published.items()}
    return {**{entry: ports[443] for entry, ports in published.items()}, **plain}


def cloned(path: Path) -> histories.Repository:
    """Return a repository of `tiny` that is there already."""
    repository = histories.Repository(path, "tiny")
    repository.commits += repository.git("rev-list", "--reverse", "HEAD").split()
    return repository


def found(root: Path, app: str) -> Fleet:
    """Return a project that an earlier run laid out."""
    directory = root / "inventories" / ENV
    name = yaml.safe_load((directory / VARIABLES / "reach.yml").read_text())["sandbox_name"]
    return Fleet(root, name, cloned(root / app), _ports(directory), app)


def up(fleet: Fleet, *words: str) -> None:
    """Bring hosts up, provision them, and deploy the first version: the guide's one command does it all.

    More `words` say which application, where there are several.
    """
    began = time.monotonic()
    answer = fleet.begin(*typed("deploy"), *words).wait(READY_S)
    print(f"a fleet came up in {time.monotonic() - began:.0f} s", file=sys.stderr)
    assert answer.code == 0, str(answer)
    # From here on servers of one's own: a sandbox brings a host up again that a test has cut off, and is provisioned
    # with each setting.
    variables = fleet.root / "inventories" / ENV / VARIABLES
    (variables / "sandbox.yml").rename(variables / "reach.yml")


@contextmanager
def brought_up(place: Path, apps: Callable[[Path], Apps], **settings: Any) -> Iterator[Fleet]:
    """Have a fleet laid out in `place`, with the first release of the first of the applications that `apps` puts there.

    FERRYMAN_TEST_FLEET names a directory that keeps it from run to run.
    """
    sites.sweep()
    kept = os.environ.get("FERRYMAN_TEST_FLEET")
    root = Path(kept) if kept else place
    if (root / "inventories" / ENV).is_dir():
        told = yaml.safe_load((root / "inventories" / ENV / VARIABLES / "apps.yml").read_text())["apps"]
        yield found(root, next(iter(told)))
        return
    root.mkdir(exist_ok=True)
    described = apps(root)
    made = lay_out(root, root.name if kept else f"{sites.PREFIX}-{place.name}-{os.getpid()}", described, **settings)
    try:
        up(made, *(["--app", made.app] if len(described) > 1 else []))
        yield made
    finally:
        if not kept:
            down(made)


def down(fleet: Fleet) -> None:
    """Remove its hosts, with all that is on them."""
    hosts.down(fleet.name, fleet.root / ".ferryman" / "sandbox" / fleet.name)
