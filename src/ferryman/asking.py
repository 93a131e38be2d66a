"""The one question that Ferryman asks before it does what cannot be taken back."""

import sys
from collections.abc import Mapping

from ferryman import interrupts
from ferryman.errors import Stop


def sure(what: str, *, yes: bool, facts: Mapping[str, object] | None = None) -> None:
    """Ask on a terminal whether to go on; without one only `--yes` does. A refusal carries the `facts`."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(
            f"{what}: nobody is here to be asked", hint="the same command with --yes does it", facts=dict(facts or {})
        )
    print(f"{what}. Type yes to go on: ", end="", file=sys.stderr, flush=True)
    with interrupts.nothing_touched():
        said = sys.stdin.readline().strip()
    if said != "yes":
        raise Stop("nothing was touched", hint="only the word yes goes on", facts=dict(facts or {}))
