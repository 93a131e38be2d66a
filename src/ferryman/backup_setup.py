"""Backups from nothing: keys that are not there yet, the archive's host, a first backup of each set, keys on paper.

The paper holds what opens the backups. It is shown on a terminal or written into a file for one person alone, and it
passes through no argument, no log, no JSON and no file of a run.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryman import (
    agreement,
    backup,
    backup_offsite,
    environments,
    outcomes,
    playing,
    release,
    runs,
    secrets,
    variables,
)
from ferryman.environments import LOCAL, Environment
from ferryman.errors import NEEDS_PERSON, Stop

Told = Mapping[str, Any]
OWN = "vault_backup_"
ELSEWHERE = "name another file: --paper FILE; all else is done"


def setup(env: str, *, paper: str, json: bool) -> Told:
    """Do what is still to be done of it; return what that was. The paper is handed over last, each time anew."""
    target = _target(paper, json=json)
    environment = environments.resolve(env)
    made = _secrets(environment)
    vault = str((environment.variables / "vault.yml").relative_to(environment.directory.parent.parent))
    changed = False
    try:
        changed = release.provision(environment.name)["changed"]
        found = backup.look(environment.name, "list")
        missing = [kind for kind, one in found["sets"].items() if not one["passed"]]
        taken = [backup.run(environment.name, kind=kind)["record"] for kind in missing]
        away = found["offsite"] is not None and not found["offsite"]["last"]
        sent = [backup_offsite.copy(environment.name, check=False)] if away else []
        fingerprints, text = _paper(environment)
        if text:
            _hand_over(text, target)
    except Stop as stop:
        if not (made or changed):
            raise
        said = f"{stop.message}\n{new(environment.name, vault, made)}" if made else stop.message
        raise Stop(said, hint=stop.hint, code=NEEDS_PERSON if changed else stop.code, facts=stop.facts) from stop
    return {
        "environment": environment.name,
        "secrets": made,
        "vault": vault,
        "changed": changed,
        "taken": taken,
        "sent": sent,
        "fingerprints": fingerprints,
        "paper": str(target or "") if text else "",
    }


def _target(paper: str, *, json: bool) -> Path | None:
    """Return the file for the paper, None for the terminal; refuse where nobody would see it."""
    if not paper:
        if json or not sys.stdout.isatty():
            hint = "--paper FILE writes it into a file that you alone can read"
            raise Stop("nobody is here to read the paper copy of the keys", hint=hint)
        return None
    path = Path(paper).expanduser()
    if path.exists() or path.is_symlink():
        raise Stop(f"{path} is there already", hint="name a file that is not: --paper FILE")
    if not path.parent.is_dir():
        raise Stop(f"there is no directory {path.parent}", hint="--paper takes a file in one that there is")
    return path


def _secrets(environment: Environment) -> list[str]:
    """Generate the secrets of backups that nothing defines yet, once all else is right; return their names."""
    missing = [name for name in secrets.lacking(environment) if name.startswith(OWN)]
    problems, loaded = agreement.survey(environment)
    others = [problem for problem in problems if problem.key not in missing]
    if others or loaded is None:
        raise variables.refusal(environment, others)
    backup.require_group(environment, loaded.groups)
    secrets.require_new(environment, missing)
    return secrets.ensure(environment, missing)


def _paper(environment: Environment) -> tuple[dict[str, str], str]:
    """Return the fingerprints of the keys by set, and the text of the paper; empty where there is no key."""
    here = runs.private_directory("paper")
    try:
        story, ended = playing.run("backup_paper", environment, {"backup_paper_into": str(here / "paper")})
        playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended))
        backup.require_archive(environment, story, "paper")
        fingerprints = dict(story.facts["paper"]["fingerprints"])
        return fingerprints, (here / "paper").read_text(encoding="utf-8") if fingerprints else ""
    finally:
        shutil.rmtree(here)


def _hand_over(text: str, target: Path | None) -> None:
    if target is None:
        print(f"\n{text}")
        return
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Stop(f"{target} cannot be written: {error.strerror}", hint=ELSEWHERE) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        target.unlink(missing_ok=True)  # half a key opens nothing
        raise Stop(f"{target} cannot be written: {error.strerror}", hint=ELSEWHERE) from error


def new(environment: str, vault: str, made: list[str]) -> str:
    """Say which secrets are new, and what to do with them."""
    keep = "it stays on this machine" if environment == LOCAL else "commit it, and keep the vault's key"
    return f"  new in {vault}: {', '.join(made)}; {keep}"


def done(told: Told) -> str:
    """Say what was done, and what is left to people."""
    lines = [f"{told['environment']}: backups are set up" + ("" if told["changed"] else ", and its hosts were before")]
    if told["secrets"]:
        lines.append(new(told["environment"], told["vault"], told["secrets"]))
    lines += [f"  {backup.taken({'record': record})}" for record in told["taken"]]
    lines += [f"  {backup_offsite.copied(copy)}" for copy in told["sent"]]
    lines += [f"  key of {kind}: {fingerprint}" for kind, fingerprint in told["fingerprints"].items()]
    if told["paper"]:
        lines.append(f"  print {told['paper']}, keep the paper where the servers are not, and remove the file")
    elif told["fingerprints"]:
        lines.append("  keep what is shown above on paper, where the servers are not; shown again by the same command")
    else:
        lines.append("  there is no key to keep: the database's backups are not encrypted, and no files are taken")
    return "\n".join(lines)
