"""Running playbooks: alone in the package, this module knows ansible-runner.

A run's files are private and gone with it. Nothing secret passes through the runner, which keeps what it is given in
clear: the vault's key is a file that Ansible reads itself, and secrets are opened on the way to a host, by the action
that needs them.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferryman import paths
from ferryman.environments import Environment

PROGRAM = ("-P", "-m", "ferryman.ansible_playbook")  # of this Python; nothing is imported from where it runs
STALE_S = 24 * 3600  # what a killed run left behind is removed by a later one
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
KINDS = {
    "playbook_on_task_start": "task",
    "runner_on_start": "begun",
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}


@dataclass(frozen=True)
class Event:
    """Something that happened: a `task` began, was `begun` on a `host`, or ended there as `kind` says (see KINDS)."""

    kind: str
    task: str
    host: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    role: str = ""

    @property
    def title(self) -> str:
        """The task's name after that of its role, as Ansible prints it."""
        return f"{self.role} : {self.task}" if self.role else self.task


@dataclass(frozen=True)
class Ended:
    """How a run ended: `done`, `failed`, `left` by whoever runs it, or `unknown` where the runner itself was lost.

    After the last two only the hosts know how far it came.
    `said` are Ansible's last words where it did not end well: the only cause where it ended before its first step.
    """

    status: str
    seconds: float
    said: str = ""

    @property
    def cause(self) -> str:
        """What is told of a run that no step of it tells anything of."""
        return "Ansible ended before its first step" + (f":\n{self.said}" if self.said else ", and said nothing")


def play(
    playbook: str,
    environment: Environment,
    *,
    values: Mapping[str, Any],
    listen: Callable[[Event], None],
    key: Path | None = None,
    check: bool = False,
    printed: Callable[[str], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Ended:
    """Run a playbook of the collection over an environment, and tell each event to `listen`.

    `values` win over the inventory's; nothing secret may be among them. `key` is the file with the vault's password.
    A task that never ends can tell something by lines that it prints: each is given to `printed`. `stop` is asked
    several times a second; once it says so, Ansible's processes are killed.
    """
    from ansible_runner import interface  # a fifth of a second that `--list` should not pay

    _end_at_once()
    began = time.monotonic()
    private = private_directory("runner")
    if stop:  # the runner asks it that often; its own habit is every five seconds
        (private / "env").mkdir()
        (private / "env" / "settings").write_text('{"pexpect_timeout": 0.2}', encoding="ascii")
    words = [*PROGRAM, *(["--vault-id", f"{environment.name}@{key}"] if key else [])]
    words += [*(["--check", "--diff"] if check else []), str(paths.collection_root() / "playbooks" / f"{playbook}.yml")]
    begun: set[int] = set()

    def cancelled() -> bool:
        """Ask `stop`; where it says so, see who is at work: the runner kills Ansible, but not its workers."""
        leaves = bool(stop and stop())
        if leaves:
            begun.update(below(os.getpid()))
        return leaves

    try:
        runner = interface.run(
            private_data_dir=str(private),
            binary=sys.executable,
            inventory=str(environment.inventory),  # as `check` reads it, whatever lies beside it
            extravars=dict(values),
            envvars=_variables(),
            cmdline=shlex.join(words),
            quiet=True,
            suppress_env_files=True,
            event_handler=lambda event: _tell(event, listen, printed),
            **({"cancel_callback": cancelled} if stop else {}),
        )
        said = "" if runner.status == "successful" else _last_words(runner.stdout.read())
        status = {"successful": "done", "failed": "failed", "canceled": "left"}.get(str(runner.status), "unknown")
    finally:
        for process in begun:
            with suppress(OSError):  # gone by now, or another account's
                os.kill(process, signal.SIGTERM)
        shutil.rmtree(private, ignore_errors=True)
    return Ended(status, time.monotonic() - began, said)


def _end_at_once() -> None:
    """Have the runner's terminal close at once, where it rests for a tenth of a second before it looks for its child:
    the runner closes it when that has ended (docs/decisions/0033-speed.md)."""
    try:
        from ptyprocess import PtyProcess  # the runner's own choice, not ours
    except ImportError:
        return
    PtyProcess.delayafterclose = property(lambda _: 0.0, lambda *_: None)


def below(ancestor: int) -> set[int]:
    """Return the processes that `ancestor` has begun, and those that they have; none where no `ps` could say."""
    try:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:  # images for pipelines may lack it, and a run must be left there, too
        return set()
    parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    found, fresh = set[int](), {ancestor}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _last_words(text: str) -> str:
    lines = [line.rstrip() for line in COLOUR.sub("", text).splitlines() if line.strip()]
    return "\n".join(lines[-12:])


def _variables() -> dict[str, str]:
    """Return what Ansible's process is told by its environment: where things are, and nothing that is secret."""
    return {
        "ANSIBLE_CONFIG": str(paths.ansible_config()),
        "ANSIBLE_COLLECTIONS_PATH": str(paths.collections_path()),
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        # The runner turns it off where nobody says anything, over ansible.cfg and what SSH's own settings ask for.
        "ANSIBLE_HOST_KEY_CHECKING": "true",
    }


def private_directory(kind: str) -> Path:
    """Return a new directory that nobody else may read; what killed runs left of its kind goes."""
    base = paths.state_directory() / kind
    base.mkdir(mode=0o700, exist_ok=True)
    for old in base.iterdir():
        with suppress(FileNotFoundError):  # another run's, which has ended meanwhile
            if time.time() - old.stat().st_mtime > STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=base))


def _tell(
    event: Mapping[str, Any], listen: Callable[[Event], None], printed: Callable[[str], None] | None = None
) -> bool:
    """Hand an event on; answer whether the runner should keep its file, which is never."""
    if printed and event.get("event") == "verbose":
        for line in str(event.get("stdout") or "").splitlines():
            printed(line)
    kind, data = KINDS.get(str(event.get("event"))), event.get("event_data") or {}
    if kind:
        task, host = str(data.get("task") or ""), str(data.get("host") or "")
        took, role = float(data.get("duration") or 0.0), str(data.get("role") or "")
        listen(Event(kind, task, host, data.get("res") or {}, took, role))
    return False


def own_processes_only() -> None:
    """Keep pyenv and the like from leading Ansible astray: its programs are those beside this Python."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
