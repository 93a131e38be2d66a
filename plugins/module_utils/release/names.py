"""Names and paths of a site on a host (docs/decisions/0001-formats.md).

Written once, used by everything that touches them.
"""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RELEASE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{7}")
SLOTS = ("blue", "green")
BASELINE = "baseline"
"""Where fresh processes of the stable release run that a new one is compared with; no slot that anything settles in."""
KINDS = ("web", "worker", "cron", "once")
RESTORING = ("restore", "compare", "forget", "quiet", "exchange")
"""The steps of a rollback that takes the database along."""
ANSWER = "ferryman-answer "
"""What the line begins with that a host answers, so that a login banner is not taken for it."""
HAND_OVER = "hand_over"
"""The step by which the arbiter drives a run from there on."""
DETACHED = ", detached"
"""What the purpose of a lock ends with whose run the arbiter drives itself."""
AMONG_MANY = ("mend", "note", "keep_schema", "leave_out", "hold")
"""The steps of a run on several hosts alone: one host agrees with itself."""
SCALING = ("grow", "members", "shrink", "scaled")
"""The steps by which as many instances run as somebody asked for."""
BEFORE_COMMIT = frozenset(
    {"stage", "snapshot", "migrate", "withstand", "start", "switch", "workers", "commit"}
    | {"restore", "compare", "quiet", "exchange", *AMONG_MANY, "grow", HAND_OVER}
)
"""The steps that a run which is asked to stop no longer begins; what comes after the commit goes on to its end."""
PORTS = range(20000, 30000)  # below 32768, where the kernel starts to give ports to outgoing connections
PORTS_PER_PROCESS = 10

LIBRARY = Path("/usr/local/lib/ferryman")
CODE = LIBRARY / "code"  # what host.pyz holds, unpacked and compiled, by version
HOST_MARKER = Path("/etc/ferryman/host.json")
PENDING = Path("/var/lib/ferryman/pending")
FOLLOWS = ".follows"  # no name of a site has a dot
SITES = Path("/var/lib/ferryman/sites")
DRIVER = Path("/var/lib/ferryman/driver")  # what an arbiter needs to drive a run itself
DRIVER_KEYS = Path("/run/ferryman-drive")  # by site and run, until the unit that drives has its own
UNITS = Path("/etc/systemd/system")


def other(slot: str) -> str:
    """Return the slot that `slot` is not."""
    return "green" if slot == "blue" else "blue"


def site_name(app: str, environment: str, *, shared: bool) -> str:
    """Return the name of an application on a host; it carries the environment only where several share the host."""
    return f"{app}-{environment}" if shared else app


class Site:
    """Where everything of one site lies."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def account(self) -> str:
        """The service account that its processes run as."""
        return f"app-{self.name}"

    @property
    def root(self) -> Path:
        """What belongs to its releases."""
        return Path("/srv") / self.name

    @property
    def state(self) -> Path:
        """What Ferryman knows of it on this host."""
        return SITES / self.name

    @property
    def arbiter(self) -> Path:
        """Lock and ledger, on the arbiter only."""
        return self.state / "arbiter"

    @property
    def copy(self) -> Path:
        """What this host was told of the ledger, when a driver last had it settle a release (succession.py)."""
        return self.state / "ledger-copy.jsonl"

    @property
    def settings(self) -> Path:
        """Ports and secrets."""
        return Path("/etc/ferryman/sites") / self.name

    @property
    def dumps(self) -> Path:
        """Dumps of its database taken before migrations."""
        return Path("/var/backups/ferryman") / self.name

    @property
    def pending(self) -> Path:
        """Exists while a shift awaits its confirmation."""
        return PENDING / self.name

    @property
    def follows(self) -> Path:
        """Exists on a host of several while the arbiter may still bring back what is live on it (following.py)."""
        return PENDING / f"{self.name}{FOLLOWS}"

    @property
    def sizes(self) -> Path:
        """How many instances of its processes were asked for, and on an entry, how many get clients."""
        return self.state / "sizes.json"

    @property
    def way(self) -> Path:
        """Exists while a key of the arbiter is let in here, which drives a run itself (driven.py)."""
        return self.state / "way.json"

    @property
    def exchange(self) -> Path:
        """Exists while a rollback takes the database along."""
        return self.state / "exchange.json"

    def release(self, release: str) -> Path:
        """Return the directory of a release."""
        return self.root / "releases" / release

    def slot(self, slot: str) -> Path:
        """Return the link that says which release a slot runs."""
        return self.root / "slots" / slot

    def unit(self, process: str, slot: str, number: int = 1, kind: str = "service") -> str:
        """Return the name of a unit of a process in a slot; `number` counts from 1."""
        return f"{self.name}-{process}@{slot}-{number}.{kind}"


UNIT = re.compile(
    r"(?P<site>[a-z0-9-]+)-(?P<process>[a-z][a-z0-9]*)(?:@(?P<slot>blue|green|baseline)-(?P<number>\d+))?\.(?:service|timer)"
)


def is_called(release: str, word: str, *, commit: str = "") -> bool:
    """Say whether a word names a release: by its beginning, or by its commit, of which its name ends with a part."""
    commit = commit or release.rpartition("-")[2]
    return release.startswith(word) or (len(word) >= 4 and (commit.startswith(word) or word.startswith(commit)))


def unit_parts(unit: str) -> dict[str, str]:
    """Return site, process, slot and number of a unit's name; slot and number are empty for one that runs once."""
    found = UNIT.fullmatch(unit)
    return {key: value or "" for key, value in found.groupdict().items()} if found else {}


COMMANDS = re.compile(
    r"`(attach|deploy|plan|rollback|provision|releases|status|unlock|check|scale|fence\.on|fence\.off)\b([^`]*)`"
)
OF_AN_ENVIRONMENT = ("provision", "check")


def completed(hint: str, *, environment: str, app: str) -> str:
    """Return a hint whose commands in backticks are whole, as somebody types them who has the program `ferryman`.

    Where something goes wrong nobody knows the environment's name.
    """

    def whole(found: re.Match[str]) -> str:
        of_app = "" if found[1] in OF_AN_ENVIRONMENT else f" --app {app}"
        return f"`ferryman {found[1]}{found[2]} --env {environment}{of_app}`"

    return COMMANDS.sub(whole, hint)
