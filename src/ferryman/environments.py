"""Which environments a project has, and which one a command means (ENV-1)."""

import re
from dataclasses import dataclass
from pathlib import Path

from ferryman import paths
from ferryman.errors import Stop

PROD = "prod"
LOCAL = "local"
INVENTORY = re.compile(r"(?!\.).*\.(ya?ml|ini|json)|hosts|inventory")


@dataclass(frozen=True)
class Environment:
    """One isolated place to run applications: its name and its inventory's directory."""

    name: str
    directory: Path

    @property
    def inventory(self) -> Path:
        """The file that lists its hosts."""
        return self.directory / "hosts.yml"

    @property
    def variables(self) -> Path:
        """The directory of its values, one file a feature."""
        return self.directory / "group_vars" / "all"

    def more_inventories(self) -> list[Path]:
        """Return the files beside the one that lists its hosts that look as if they did, too; nobody reads them."""
        found = sorted(self.directory.iterdir())
        return [path for path in found if path != self.inventory and INVENTORY.fullmatch(path.name)]


def names(project: Path | None = None) -> list[str]:
    """Return the environments of the project, sorted: each directory below inventories/ with a hosts.yml."""
    root = project or paths.project_root()
    return sorted(hosts.parent.name for hosts in (root / "inventories").glob("*/hosts.yml"))


def resolve(env: str, *, default_local: bool = True, project: Path | None = None) -> Environment:
    """Return the environment that `env` names.

    An empty name means `local` where the command allows that (`default_local`) and the project has it;
    everything else must be named, since a forgotten word must never reach production.
    """
    root = project or paths.project_root()
    known = names(root)
    one_of = f"one of: {', '.join(known)}" if known else "make inventories/<name>/hosts.yml first"
    wanted = env or (LOCAL if default_local and LOCAL in known else "")
    bare = root / "inventories" / (env or LOCAL)
    lacks = f": inventories/{bare.name} has no hosts.yml" if bare.is_dir() and bare.name not in known else ""
    if not wanted:
        raise Stop(f"no environment named, and --env is needed here{lacks}", hint=one_of)
    if wanted not in known:
        raise Stop(f"no environment {wanted!r}{lacks or f' below {root}/inventories'}", hint=one_of)
    return Environment(wanted, root / "inventories" / wanted)
