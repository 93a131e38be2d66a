"""What the actions of the role `release` share: its variables, the run's own directory, and the question to a host.

One question is one session on the connection that Ansible has open: the code that runs there, the request and the files
go through its standard input, the answer is one line. Secrets are resolved here, go into the request, and are nowhere
else: not among a task's arguments, in no result, in no file of the run.
"""

from __future__ import annotations

import copy
import fcntl
import getpass
import hashlib
import json
import math
import os
import secrets as randomness
import shutil
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from ansible import constants, context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.ferryman.ops.plugins.module_utils.release import expect, fencing, names, render, stages
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import HEED_S, INTERRUPTED
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import other, site_name
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import building, layout, pack

LEASE_S = 30.0  # of the lock, renewed on the arbiter while its steps run (docs/decisions/0006-short-lease.md)
ENOUGH_FORKS = 2
PAUSE_S = 0.05
TOLD_S = 10.0  # for how long it is waited until a host has been told to stop, once its own step has ended
RUNS_KEPT = 50
IN_USE_S = 6 * 3600  # a run that remembered something since then may still go on
ENDED = "ended"
"""What the names of the marks begin with by which hosts tell one another that a task is over."""
SETTINGS = (
    "health_consecutive",
    "soak_s",
    "start_timeout_s",
    "confirm_s",
    "watch_s",
    "worker_soak_s",
    "drain_s",
    "warm_s",
    "keep",
)


@cache
def unique_id() -> str:
    """Return six digits for this run of ansible-playbook: the process above all workers, and its start."""
    parent = os.getppid()
    try:
        # In ticks since the boot: whoever sets the clock does not move it.
        began = Path(f"/proc/{parent}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
        began += Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # no /proc: a Mac
        began = subprocess.run(
            ["/bin/ps", "-o", "lstart=", "-p", str(parent)], capture_output=True, text=True, check=True
        ).stdout.strip()
    return hashlib.sha256(f"{socket.gethostname()} {parent} {began}".encode()).hexdigest()[:6]


@cache
def run_directory(base: Path, unique: str) -> Path:
    """Return the directory below `base` of the run with this unique id, made by whichever of its workers comes first.

    Its name, the run's id, begins with the time at which it was made. The clock is asked once: if it is set between
    two tasks, the second must not get another id, without the plan, the token and the lock of the first.
    """
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (base / ".lock").open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for found in base.glob(f"*-{unique}"):
            return found
        place = base / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{unique}"
        place.mkdir(mode=0o700)
        _prune(base, but=place)
    return place


def _prune(base: Path, *, but: Path) -> None:
    """Remove the runs beyond the newest; none that somebody may still be in, whatever his clock said when it began."""
    others = sorted((path for path in base.iterdir() if path.is_dir() and path != but), key=_used)
    for old in others[: -(RUNS_KEPT - 1)]:
        if time.time() - _used(old) > IN_USE_S:
            shutil.rmtree(old, ignore_errors=True)


def _used(path: Path) -> float:
    """Return when something was last written into a directory; 0 where it is gone meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


class ReleaseAction(ActionBase):
    """An action that knows the role's variables and can ask a host."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True
    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {}
    """What a task may say beside the role's variables; the module of the same name documents it."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run `work` and turn its refusals into a failed task."""
        super().run(tmp, task_vars)
        self.vars = task_vars or {}
        self._resolved: dict[str, Any] = {}
        self.host = str(self.vars["inventory_hostname"])
        result: dict[str, Any] = {"changed": False}
        _, self.args = self.validate_argument_spec(self.ARGUMENTS)
        ended = "failed"
        try:
            self.heed()
            with building.heeding(self.heed):
                result.update(self.work())
            ended = str(result.get("stale", "done"))
        except Stopped as stopped:
            stopped.answer["hint"] = self._completed(stopped.answer["hint"])
            self._note_cause(stopped.text())
            result.update(failed=True, msg=stopped.text(), ferryman=stopped.answer)
        except AnsibleConnectionFailure as error:
            self._note_cause(f"{self.host} cannot be reached: {str(error).strip().partition(chr(10))[0]}")
            raise
        except Exception as error:
            if str(error):
                self._note_cause(f"{self.host}: {error}")
                raise
            # Ansible shows an exception's words alone: of one without any nobody would learn what it was.
            place = traceback.extract_tb(error.__traceback__)[-1]
            said = f"unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            self._note_cause(f"{self.host}: {said}")
            raise AnsibleError(f"{said}, in {type(self).__doc__}; `check` may say what it stumbled over") from error
        finally:
            if "release_hosts" in self.vars and self.several:
                self.remember(self._mark(self.host), {"ended": ended})
        return result

    def work(self) -> dict[str, Any]:
        """Do the action's work and return its result."""
        raise NotImplementedError

    # Why a run goes back

    def _note_cause(self, said: str) -> None:
        """Remember what the first task of this run that failed said; Ansible tells it to that host's tasks alone.

        Whoever fails after it may only have been told to stop because of it.
        """
        if not said or "release_work_dir" not in self.vars:
            return
        with suppress(AnsibleError), self.alone():  # what failed is told, not that a value is none, too
            if not self.recall(self._cause):
                self.remember(self._cause, {"said": said})

    @property
    def cause(self) -> str:
        """What the first task of this run that failed said, on whichever host; empty where none has."""
        return str(self.recall(self._cause).get("said", ""))

    @property
    def _cause(self) -> str:
        return f"cause-{self.site}"  # a run may deploy one application after the other

    # Waiting for the others

    def _mark(self, host: str) -> str:
        # The whole id: its end counts the tasks of one process, and a run may be gone on with by a second.
        return f"{ENDED}-{self._task._uuid}-{host}"

    def vigil(self, meanwhile: Callable[[], None], *, every_s: float, most_s: float = math.inf) -> list[str]:
        """Wait on the arbiter until this task has ended on all other hosts of the play; return how it ended there.

        `meanwhile` is done again and again as long as that takes. With one fork the others would wait for us. After
        `most_s` nobody is waited for any more: a host may have failed before this task began there.
        """
        others = [str(host) for host in self.vars["ansible_play_hosts"] if host != self.host]
        if int(context.CLIARGS.get("forks") or constants.DEFAULT_FORKS) < ENOUGH_FORKS:
            return []
        last = began = time.monotonic()
        while True:
            marks = [self.recall(self._mark(host)) for host in others]
            if all(marks) or time.monotonic() - began > most_s:
                return [str(mark.get("ended", "")) for mark in marks]
            if self.stoppable and self.is_to_stop():
                return ["failed"]
            if time.monotonic() - last > every_s:
                meanwhile()
                last = time.monotonic()
            time.sleep(PAUSE_S)

    def _failed_elsewhere(self) -> bool:
        """Say whether this task has failed on another host: what is not over here goes back with it, at once."""
        others = (host for host in self.vars.get("ansible_play_hosts", []) if host != self.host)
        return self.several and any(self.recall(self._mark(str(host))).get("ended") == "failed" for host in others)

    # Being asked to stop

    @property
    def stoppable(self) -> bool:
        """Whether this action is left out once the run is asked to stop, so that the way back begins."""
        return True

    def heed(self) -> None:
        """Stop here where the run is asked to end."""
        if self.stoppable and self.is_to_stop():
            raise Stopped(self.host, {"reason": INTERRUPTED, "refused": True})

    @property
    def is_over(self) -> bool:
        """Whether what is not over here is to go back: somebody wants that, or the task has failed on another host."""
        return self.is_to_stop() or self._failed_elsewhere()

    def is_to_stop(self) -> bool:
        """Say whether whoever runs this wants it to end (`release_stop_file`)."""
        path = str(self.value("stop_file", "") or "")
        return bool(path) and Path(path).exists()

    @contextmanager
    def watching(self, steps: list[str]) -> Iterator[None]:
        """While this host does `steps`, tell it when the run is asked to stop: over a second session, as it is busy."""
        over = threading.Event()

        def watch() -> None:
            twin = self._twin()
            while not over.wait(HEED_S):
                if self.is_over:
                    with suppress(Stopped, AnsibleError):  # a host that cannot be told ends the step that it is in
                        twin.ask("steps", steps=["interrupt"], lease_s=LEASE_S)
                    return

        if names.BEFORE_COMMIT.isdisjoint(steps) or not (self.value("stop_file", "") or self.several):
            yield
            return
        watcher = threading.Thread(target=copy_context().run, args=[watch], daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join(TOLD_S)  # a session that hangs holds up no way back

    def _twin(self) -> ReleaseAction:
        """Return this action with a connection of its own to the same host, for a session beside this one's.

        A connection holds what its one session waits for: the word by which sudo says that it has let it in, which each
        session has anew. Of two that begin at one moment the first would wait for the other's until it gives up.
        """
        twin = copy.copy(self)
        twin._connection = copy.copy(self._connection)
        twin._connection.become = copy.copy(self._connection.become)
        return twin

    # Variables

    def value(self, name: str, default: Any = None) -> Any:
        """Return a variable of the role with its templates resolved; `name` goes without the prefix.

        Resolved once for each task: a template takes a millisecond, and a deploy asked for two hundred.
        """
        if name not in self._resolved:
            self._resolved[name] = self._templar.template(self.vars.get(f"release_{name}", default))
        return self._resolved[name]

    @property
    def unfit(self) -> tuple[str, str]:
        """Why a release cannot be brought to these hosts in these stages, and the way out; nothing where it can."""
        reason = layout.refusal(self.every)
        if reason:
            return reason, layout.WAY_OUT
        told = self.stages
        if self.value("baseline", False) and self.args.get("purpose", "deploy") == "deploy":  # who goes back has none
            reason = stages.baseline_refusal(told)
            if reason:
                return reason, stages.BASELINE_WAY_OUT
        # Both, whichever this run has: nobody looks for a mistake in those of a hotfix when one is needed.
        own = self.value("hotfix_stages", []) or []
        reason = stages.refusal(self.value("stages", []) or []) or stages.refusal(own, option="release_hotfix_stages")
        if told and not reason:
            from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import limits  # few have stages

            return limits.refusal(limits.read(self.value("limits", {}) or {})), limits.WAY_OUT
        return reason, stages.WAY_OUT

    def compares_with_baseline(self, described: Mapping[str, Any]) -> bool:
        """Say whether a release is compared with fresh processes of the one before it; files alone have none."""
        return bool(self.value("baseline", False)) and described["runtime"]["kind"] != "static"

    def refuse(self, reason: str, hint: str) -> NoReturn:
        """Refuse, with nothing touched."""
        raise Stopped(self.host, {"reason": reason, "hint": hint, "refused": True})

    def refuse_unfit(self, purpose: str) -> None:
        """Refuse hosts and stages to which no release can be brought, or not so."""
        reason, hint = self.unfit
        if reason:
            self.refuse(reason, hint)
        if self.detached(purpose):
            for host in {host for hosts in self.every.values() for host in hosts} - {self.arbiter}:
                self.address_of(host, f"{self.arbiter} is to drive this deploy, and does not know where {{}} is")

    def detached(self, purpose: str) -> bool:
        """Say whether the arbiter drives a run for this purpose itself, once it has been built."""
        return purpose == "deploy" and bool(self.value("detach", False))

    def lock(self, purpose: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the lock as this run asks for it; others read what it is for: the purpose, and what is `wanted`."""
        does = "hotfix" if purpose == "deploy" and self.hotfix else purpose
        named = f"{does} {wanted.get('commit', '')[:7]}".rstrip() + (names.DETACHED if self.detached(purpose) else "")
        return {"owner": self.who, "purpose": named, "lease_s": LEASE_S}

    @cached_property
    def app(self) -> str:
        """The application's name."""
        return str(self.value("app"))

    @cached_property
    def environment(self) -> str:
        """The environment's name."""
        return str(self.value("environment"))

    @cached_property
    def site(self) -> str:
        """The application's name on the host."""
        return site_name(self.app, self.environment, shared=bool(self.value("host_shared", False)))

    @cached_property
    def every(self) -> dict[str, list[str]]:
        """The hosts by what they do, as the inventory has them: app, entry, db; arbiter is one of them."""
        given = dict(self.value("hosts"))
        return {kind: [given[kind]] if isinstance(given[kind], str) else list(given[kind]) for kind in given}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The hosts by what they do in this run: as `every`, without those that are left out."""
        out = self.left_out
        return {kind: [host for host in hosts if host not in out] for kind, hosts in self.every.items()}

    @property
    def left_out(self) -> dict[str, str]:
        """The app hosts that this run goes on without, and why (release_leave)."""
        return dict(self.recall("left-out"))

    @property
    def first_app(self) -> str:
        """The app host that stands for all: the first that has what is live, as one that was left out has not."""
        return next((host for host in self.groups["app"] if host not in self.away), self.groups["app"][0])

    @property
    def away(self) -> list[str]:
        """The app hosts that were left out of what is live: entries send them nobody until they get it."""
        return fencing.off_for(self.look_of(self.arbiter).get("fenced", {}), fencing.AWAY)

    @property
    def who_takes_part(self) -> dict[str, list[str]]:
        """The app hosts of this run, as the ledger has them, and those that it goes on without."""
        return {"hosts": self.groups["app"], **({"left_out": [*self.left_out]} if self.left_out else {})}

    def leave_out(self, hosts: Mapping[str, str]) -> None:
        """Go on without app hosts, from now on."""
        self.remember("left-out", {**self.left_out, **hosts})
        self.__dict__.pop("groups", None)

    @cached_property
    def roles(self) -> list[str]:
        """What this host does."""
        return [kind for kind, hosts in self.groups.items() if self.host in hosts]

    @property
    def arbiter(self) -> str:
        """The host that keeps lock and ledger."""
        return self.every["arbiter"][0]

    @property
    def several(self) -> bool:
        """Whether more than one host serves, so that they must agree."""
        return len({*self.every["app"], *self.every["entry"], self.arbiter}) > 1

    @property
    def seal(self) -> dict[str, str]:
        """A new number by which the hosts of a run know its arbiter's word; of one host nobody asks."""
        return {"seal": randomness.token_hex(16)} if self.several else {}

    @property
    def work_dir(self) -> Path:
        """Where the driver keeps what it built and what it was told."""
        return Path(str(self.value("work_dir"))).expanduser().resolve()

    @property
    def head_kept(self) -> Path:
        """Where the driver keeps the head of the ledger that it saw last."""
        return self.work_dir / "heads" / f"{self.environment}-{self.app}"

    @property
    def live_kept(self) -> Path:
        """Where the driver keeps the commit that it saw live last; an empty file where nothing was."""
        return self.work_dir / "live" / f"{self.environment}-{self.app}"

    @property
    def ca(self) -> str:
        """Where the CA bundle is that clients on the driver's machine need; empty where the certificate is public."""
        told = str(self.value("ca", "") or "")
        return os.path.normpath(told) if told else ""

    @property
    def addresses(self) -> dict[str, str]:
        """Where hosts reach each other; worked out once in a run, since that looks into every host's variables."""
        with self.alone():
            known = self.recall("addresses")
            if not known:
                known = {"of": dict(self.value("addresses", {}) or {})}
                self.remember("addresses", known)
        return dict(known["of"])

    def address_of(self, host: str, wrong: str) -> str:
        """Return where other hosts reach one; what is `wrong` without that is said with its name."""
        found = self.addresses.get(host)
        if not found:
            self.refuse(
                wrong.format(host), f"give {host} its `release_address`: the address at which other hosts reach it"
            )
        return str(found)

    @property
    def who(self) -> str:
        """Who runs this."""
        return str(self.value("who", "") or f"{getpass.getuser()}@{socket.gethostname()}")

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets that the application names. The caller puts them into a request and nowhere else."""
        told = self.recall("source").get("description")
        if told and told["name"] != self.app:
            told = None  # of another application of this run, which knows nothing of this one's
        return self._given(None if told is None else render.all_secrets(told))

    def _given(self, names: Iterable[str] | None) -> dict[str, str]:
        """Return those of the inventory's secrets that are called so; all of them for None."""
        given = dict(self.value("secrets", {}) or {})
        return {name: str(value) for name, value in given.items() if names is None or name in names}

    def verification(self, steps: Sequence[expect.Step]) -> dict[str, Any]:
        """What a host is told of `steps` under verify. As with `secrets`, it goes into a request and nowhere else."""
        return {
            "secrets": self._given(expect.secrets(steps)),
            "writes": [] if self._task.check_mode else list(self.value("verify_writes", []) or []),
            "timeout_s": float(self.value("verify_timeout_s", 60)),
        }

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Times and counts of the role, as numbers."""
        return {name: float(self.value(name)) if name.endswith("_s") else int(self.value(name)) for name in SETTINGS}

    @property
    def hotfix(self) -> bool:
        """Whether a deploy of this run is a hotfix; a playbook may be given the word for it."""
        return bool(boolean(self.value("hotfix", False), strict=False))

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The stages that a release of this run goes through."""
        told = [dict(stage) for stage in self.value("stages", []) or []]
        return stages.of_hotfix(told, self.value("hotfix_stages", []) or []) if self.hotfix else told

    @property
    def stages_take_s(self) -> float:
        """How long stages take at most: twice their time where few clients come, and somebody is asked in each."""
        return sum(2 * float(stage["for_s"]) + float(self.value("ask_s", 900)) for stage in self.stages)

    @cached_property
    def entry(self) -> dict[str, Any]:
        """How the entry is asked from its own host."""
        domains = list(self.value("domains"))
        if not domains:
            raise AnsibleError("release_domains names no domain; name at least one")
        return {"domain": str(domains[0]), "port": int(self.value("entry_port", 443))}

    # What the run remembers between its tasks

    @property
    def memory(self) -> Path:
        """This run's directory on the driver; of one that is gone on with, what came along with it."""
        taken_up = str(self.value("run", "") or "")
        return self.work_dir / "runs" / taken_up if taken_up else run_directory(self.work_dir / "runs", unique_id())

    @property
    def run_id(self) -> str:
        """The id of this run, as journals and ledger have it."""
        return self.memory.name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one host's task of this run at a time go on: each has a process of its own."""
        with (self.memory / "lock").open("w", encoding="ascii") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def remember(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep something for the tasks that follow."""
        path = self.memory / f"{name}.json"
        fresh = path.with_name(f".{path.name}-{os.getpid()}")
        fresh.write_text(json.dumps(value, sort_keys=True), encoding="utf-8")
        fresh.rename(path)

    def recall(self, name: str) -> dict[str, Any]:
        """Return what an earlier task kept; empty where there is nothing."""
        try:
            found = json.loads((self.memory / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return dict(found)

    def look_of(self, host: str) -> dict[str, Any]:
        """Return what a host answered when it was looked at."""
        return self.recall(f"look-{host}")

    @property
    def salt(self) -> str:
        """What the entries of this run name clients with; nobody else can compare them."""
        with self.alone():
            known = self.recall("canary-salt").get("salt") or randomness.token_hex(16)
            self.remember("canary-salt", {"salt": known})
        return str(known)

    # The question

    def ask(self, act: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
        """Ask this host and return its answer; a failed one is raised as Stopped."""
        arbiter = self.look_of(self.arbiter)
        request = {
            "act": act,
            "site": self.site,
            "app": self.app,
            "environment": self.environment,
            "run": self.run_id,
            "token": arbiter.get("token", 0),
            "who": self.who,
            "check": bool(self._task.check_mode),
            "roles": self.roles,
            "entry": self.entry,
            **more,
        }
        told = self._told(request, body)
        line = next((line for line in reversed(told["stdout"].splitlines()) if line.startswith(names.ANSWER)), "")
        if not line:
            said = (told.get("stderr") or told["stdout"]).strip().splitlines()[-5:]
            reason = "it did not answer: " + " / ".join(said or [f"exit code {told.get('rc')}"])
            raise Stopped(self.host, {"reason": reason, "refused": False})
        answer: dict[str, Any] = json.loads(line[len(names.ANSWER) :])
        if not answer["ok"]:
            raise Stopped(self.host, {**answer, "hint": self._completed(answer["hint"])})
        return answer

    def _completed(self, hint: str | None) -> str:
        return names.completed(str(hint or ""), environment=self.environment, app=self.app)

    def _told(self, request: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """Send a request; its code goes along only where the host says that it has another version."""
        wants = f"wants-code-{self.host}"
        for code in [True] if request["act"] == "provision" or self.recall(wants) else [False, True]:
            message = pack.message(request, body, code=code)
            told: dict[str, Any] = self._low_level_execute_command(pack.command(), sudoable=True, in_data=message)
            if code or pack.WANTED not in told["stdout"].splitlines():
                break
            self.remember(wants, {"version": pack.version()})
        return told

    @staticmethod
    def outcome(answer: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return a task's result for an answer."""
        return {
            "changed": bool(answer.get("changes")),
            "diff": answer.get("diffs", []),
            "changes": answer.get("changes", []),
            **more,
        }

    @staticmethod
    def short_of(plan: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is told of a release's plan."""
        return {key: plan[key] for key in ("release", "previous", "slot", "migrate", "hotfix") if key in plan}

    def slot(self) -> str:
        """Return the slot that a new release goes to: the one that does not serve."""
        return other(str(self.look_of(self.arbiter).get("shift", {}).get("stable", "blue")))


class Stopped(Exception):
    """A host said no; `answer` says why."""

    def __init__(self, host: str, answer: Mapping[str, Any]) -> None:
        super().__init__(answer.get("reason", ""))
        self.told = answer
        self.answer = {key: answer.get(key) for key in ("reason", "evidence", "hint", "refused", "step")} | {
            "host": host,
            # What was waited for before it failed is part of why it took so long.
            **{key: answer[key] for key in ("drained_s",) if key in answer},
            # What the session had done before: a refusal after that is not one with nothing touched.
            "steps": [{"host": host, **step} for step in answer.get("steps") or []],
        }

    def text(self) -> str:
        """Return what people read: cause, evidence, what to type."""
        said = [
            f"{self.answer['host']}: {self.answer['reason']}",
            *(f"  {line}" for line in self.answer["evidence"] or []),
        ]
        return "\n".join([*said, f"-> {self.answer['hint']}"] if self.answer["hint"] else said)
