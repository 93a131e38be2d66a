"""The host as a step sees it: its time, its files, its commands, its journal.

Every change goes through here, so that check mode, the diff and the list of changes are the same for all steps.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import chain, children, evidence
from ansible_collections.ferryman.ops.plugins.module_utils.release.lock import Now
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site

LOG_LINES = 30  # what Node says of a missing module are twenty, cause first, and systemd's own words follow
LOG_READ = 2000  # records from which those are chosen: a process that is started again and again repeats itself
INTERRUPTED = "it was interrupted"
HEED_S = children.HEED_S


class Failed(Exception):
    """A step that did not work: what happened, `evidence` (log lines) and a `hint`.

    `refused` says that nothing was touched; `facts` are what the driver must know all the same.
    """

    def __init__(
        self,
        reason: str,
        *,
        evidence: Sequence[str] = (),
        hint: str = "",
        refused: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.facts = dict(facts or {})
        self.evidence = list(evidence)
        self.hint = hint
        self.refused = refused


class Unwell(Failed):
    """A release that was judged by what it does or answers. What else fails says nothing against a release."""


class Interrupted(Failed):
    """A step that was left because its run is asked to stop, or has failed on another host."""


@contextmanager
def deciding(host: Host) -> Iterator[None]:
    """Let a driver that confirms and a guard that goes back decide one after the other on this host.

    Whoever decides may ask again on its way: only the first time waits. Check mode decides nothing.
    """
    if host.decides or host.check:
        yield
        return
    with alone(host.site.state / "decision.flock"):
        host.decides = True
        try:
            yield
        finally:
            host.decides = False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep others of this host out that name the same file, until they have their turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def utc(seconds: float | None = None) -> str:
    """Return a time of day (now, where none is given) as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def now() -> Now:
    """Return this host's time; CLOCK_BOOTTIME is not moved by whoever sets the clock."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    # In a container the kernel's boot id outlives the "machine": when PID 1 started tells two boots apart there too.
    started = Path("/proc/1/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    return Now(boottime=time.clock_gettime(time.CLOCK_BOOTTIME), boot=f"{boot}-{started}", utc=utc())


class Host:
    """One site on this host, during one run."""

    def __init__(self, site: Site, *, run: str = "", token: int = 0, check: bool = False) -> None:
        self.site = site
        self.run_id = run
        self.token = token
        self.check = check
        self.decides = False
        self.started: dict[str, float] = {}
        """By slot when this run started its processes, in seconds since 1970."""
        self.changes: list[str] = []
        self.diffs: list[dict[str, str]] = []

    # Files

    def write(self, path: Path, text: str, *, mode: int = 0o644, secret: bool = False) -> bool:
        """Make `path` hold `text`, in one rename; return whether that was a change. A `secret` shows in no diff."""
        before: str | None = None
        with suppress(FileNotFoundError):
            before = path.read_text(encoding="utf-8")
        if before == text and path.stat().st_mode & 0o7777 == mode:
            return False
        self.changes.append(str(path))
        if not secret:
            self.diffs.append(
                {"before_header": str(path), "after_header": str(path), "before": before or "", "after": text}
            )
        if self.check:
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.rename(path)
        return True

    def write_json(self, path: Path, value: Any, *, mode: int = 0o644, secret: bool = False) -> bool:
        """Make `path` hold `value` as JSON, as `write` does."""
        return self.write(path, json.dumps(value, sort_keys=True) + "\n", mode=mode, secret=secret)

    def link(self, path: Path, target: str) -> bool:
        """Make `path` a link to `target` by renaming a new link over it; return whether that was a change."""
        if path.is_symlink() and os.readlink(path) == target:
            return False
        self.changes.append(f"{path} -> {target}")
        if not self.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(target)
            fresh.rename(path)
        return True

    def directory(self, path: Path, *, mode: int = 0o755, owner: str = "") -> bool:
        """Make `path` a directory with this mode and owner; return whether that was a change."""
        changed = not path.is_dir() or path.stat().st_mode & 0o7777 != mode or (bool(owner) and path.owner() != owner)
        if changed:
            self.changes.append(f"{path}/")
        if changed and not self.check:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
            if owner:
                shutil.chown(path, owner, owner)
        return changed

    def remove(self, path: Path) -> bool:
        """Remove a file, a link or a tree; return whether there was one."""
        if not path.is_symlink() and not path.exists():
            return False
        self.changes.append(f"{path} removed")
        if self.check:
            return True
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return True

    # Commands

    def command(
        self,
        *words: str,
        timeout: float = 60,
        env: dict[str, str] | None = None,
        cut_short: bool = False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> str:
        """Run a command and return its output; Failed carries its last lines. No secret may be among `words`.

        One that may be `cut_short` ends at once when this run is asked to stop. `meanwhile` is called several times a
        second as long as it takes.
        """
        heed = self.heed if cut_short else meanwhile
        try:
            done = children.run(words, heed=heed, timeout=timeout, env=env)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(words[:3])} did not end within {timeout:g} s") from None
        except FileNotFoundError:
            raise Failed(f"there is no {words[0]} on this host", hint="`provision` installs it") from None
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise Failed(f"{' '.join(words[:4])} failed ({done.returncode})", evidence=lines[-20:])
        return done.stdout

    def systemctl(self, *words: str, timeout: float = 90) -> str:
        """Run systemctl."""
        return self.command("systemctl", *words, timeout=timeout)

    def logs(self, unit: str, *, since: float, lines: int = LOG_LINES) -> list[str]:
        """Return what evidence.lines shows of a unit's log from `since` (seconds since 1970) on."""
        words = ["--no-pager", "--quiet", "--all", "--output=json", f"--output-fields={evidence.FIELDS}"]
        with suppress(Failed):
            out = self.command("journalctl", *words, f"--since=@{since:.6f}", f"--lines={LOG_READ}", f"--unit={unit}")
            return evidence.lines(unit, [json.loads(line) for line in out.splitlines()], most=lines)
        return [f"{unit}: its log could not be read"]

    # Being asked to stop

    def ask_to_stop(self) -> None:
        """Leave word for the sessions of this run: the next one that waits, or is about to begin a step, goes back."""
        if self.write(self._stop, self.run_id):
            self.journal("interrupt", "done")

    def heed(self, *, refused: bool = False) -> None:
        """Fail where this run was asked to stop; `refused` where nothing has begun yet."""
        with suppress(FileNotFoundError):
            if self._stop.read_text(encoding="ascii") == self.run_id:
                raise Interrupted(INTERRUPTED, hint="the same command begins again", refused=refused)

    def wait(self, seconds: float) -> None:
        """Wait, as long as this run is not asked to stop."""
        until = time.monotonic() + seconds
        while True:
            self.heed()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, HEED_S))

    @property
    def _stop(self) -> Path:
        return self.site.state / "interrupted"

    # Journal and token

    def journal(self, step: str, result: str, *, release: str = "", **detail: Any) -> None:
        """Write down what this host did."""
        if self.check:
            return
        body = {
            "at": utc(),
            "boot": now().boot,
            "run": self.run_id,
            "token": self.token,
            "step": step,
            "release": release,
            "result": result,
            "detail": detail,
        }
        chain.append(self.site.state / "journal.jsonl", body)

    def admit(self) -> None:
        """Refuse a token below the highest that this host has seen: its holder was replaced while it slept.

        Two sessions at once compare one after the other, or the lower token could be written last.
        """
        if self.check:
            self._compare()
            return
        with alone(self.site.state / "token.flock"):
            if self.token > self._compare():
                self.write_json(self.site.state / "token.json", {"format": 1, "token": self.token})

    def _compare(self) -> int:
        seen = int(read_json(self.site.state / "token.json").get("token", 0))
        if self.token < seen:
            raise Failed(
                f"this run's token {self.token} is older than {seen}: another run came in between",
                hint="`status` says who",
                refused=True,
            )
        return seen


WAYS_OUT = {
    "host.json": "once you are sure whose host this is: `rm {path}`, and provision writes it",
    "lock.json": "once you are sure that no deploy is under way: `rm {path}`, and nobody holds the lock",
    "queue.json": "`rm {path}`: whoever waits for the lock lines up again",
    "token.json": "once you are sure that no deploy is under way: `rm {path}`, and the next run's token is the highest",
    "shift.json": (
        "`readlink {path.parent}/share`: where it ends in 0, `rm {path}`; where it ends in 100, write there: "
        '{{"format": 1, "stable": "green", "candidate": null, "release_stable": "", "release_candidate": "", '
        '"share": 100, "phase": "stable"}}'
    ),
    "release.json": (
        "the driver that deployed this release has it as `record` in .ferryman/runs/*/plan.json: write that there; "
        "where no slot leads to it, `rm -r {path.parent}` forgets the release"
    ),
    "fenced.json": "`rm {path}`, and provision: nobody is fenced off then, so see first that no app host was left out",
    "way.json": (
        "remove the line that ends with ferryman-drives-{path.parent.name} from authorized_keys, remove "
        "/etc/sudoers.d/zz-ferryman-drives-{path.parent.name}, then `rm {path}`"
    ),
    "sizes.json": "`rm {path}`: as many instances as are declared, until `scale` is typed again",
    "ports.json": (
        "nginx's file of the site names the ports, too: write them there; or `rm {path}`, provision and deploy, which "
        "gives out others, with no service in between"
    ),
}
"""What to type when a file cannot be understood, and what that means. Nothing writes these anew by itself."""


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in `path`; empty where there is no file. Failed where it cannot be understood."""
    hint = WAYS_OUT.get(path.name, "bring back a good copy of it").format(path=path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Failed(f"{path} was damaged, or edited by hand: it is not JSON ({error})", hint=hint) from None
    if not isinstance(value, dict) or not isinstance(value.get("format", 1), int):
        raise Failed(f"{path} was damaged, or edited by hand: it holds no object with a format", hint=hint)
    if value.get("format", 1) > 1:
        raise Failed(f"{path} was written by a newer Ferryman", hint="use the version that wrote it, or a newer one")
    return value
