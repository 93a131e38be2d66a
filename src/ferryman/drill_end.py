"""`python -m ferryman.drill_end DIRECTORY WHAT`: waits for the end of its input, and ends what there is of a drill.

Whoever makes the drill holds the other end, and the kernel closes that with them. `WHAT` is JSON: the `sandbox` that a
container is (and its `directory`), or the `environment` and `values` of a machine that is to be emptied.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ferryman import playing
from ferryman.environments import Environment
from ferryman.errors import RETURNED, Stop
from ferryman.sandbox import hosts


def end(root: Path, what: dict[str, Any]) -> None:
    """Take away a drill's host, or what is on it, and what lies here of the drill."""
    try:
        if "sandbox" in what:
            hosts.down(what["sandbox"], Path(what["directory"]))
        else:
            _emptied(Environment(what["environment"], root / "inventories" / what["environment"]), what["values"])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _emptied(machine: Environment, values: dict[str, Any]) -> None:
    """Have a machine hold nothing any more of what was restored to it."""
    story, ended = playing.run("backup_full_host", machine, {**values, "backup_full_drill_step": "leave"})
    playing.stop_unless_done(story, ended, machine, code=RETURNED)


def main() -> int:
    """Wait, end it, and say in one line what went wrong."""
    sys.stdin.read()
    try:
        end(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except Stop as stop:
        print(stop.message)
        return stop.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
