"""Which container engine this machine has, and what it must be told here that it needs not be told elsewhere."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ferryman.errors import Stop

ENGINES = ("podman", "docker")
SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
CAP_SYS_RESOURCE = 24  # linux/capability.h
LEGACY_CGROUPS = ("memory", "pids")
DEVICES = ("/dev/fuse",)  # an archive that is encrypted is shown by it
# Podman's own default (containers.conf). It lowers itself to that, so that more can't be had from it either.
PODMAN_NPROC = 32768


@dataclass(frozen=True)
class Engine:
    """A container engine as it is on this machine.

    `runtime` is "" for the engine's own choice. `limits` are the most that this machine lets anyone have of
    nofile and nproc, where the engine would ask for more and fail. `legacy_cgroups` are directories of cgroup v1
    without which MemoryMax= and TasksMax= do nothing in a host. `devices` are those of this machine that a host gets.
    """

    name: str
    rootless: bool = False
    selinux: bool = False
    cgroup: int = 2
    runtime: str = ""
    limits: tuple[tuple[str, int], ...] = ()
    legacy_cgroups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    def argv(self, *words: str) -> list[str]:
        """Return the command line of the engine for `words`."""
        return [self.name, *(["--runtime", self.runtime] if self.runtime else []), *words]

    def run(self, *words: str, stdin: str | None = None, check: bool = True, timeout: float = 600) -> str:
        """Run the engine and return what it printed; Stop with its own words if it fails and `check` is on."""
        try:
            done = subprocess.run(
                self.argv(*words),
                input=stdin,
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout,
                env=environment(),
                stdin=subprocess.DEVNULL if stdin is None else None,
            )
        except subprocess.TimeoutExpired:
            raise Stop(f"{self.name} {words[0]} gave no answer within {timeout:.0f} s") from None
        if check and done.returncode:
            told = f"{self.name} {' '.join(words[:2])} failed: {last_lines(done.stderr or done.stdout)}"
            raise Stop(told, hint=f"`{self.name} info` says whether it works at all")
        return done.stdout


def environment() -> dict[str, str]:
    """Return what an engine is told by its environment: what it calls itself (nft, iptables, mmdebstrap's helpers) lies
    where an ordinary user's PATH does not lead."""
    known = os.environ.get("PATH", os.defpath)
    return os.environ | {"PATH": os.pathsep.join([known, *(path for path in SYSTEM if path not in known.split(":"))])}


def last_lines(text: str, count: int = 8) -> str:
    """Return the end of an output, where the cause usually stands."""
    return "\n".join(text.strip().splitlines()[-count:])


def podman(
    info: dict[str, Any], *, has_runc: bool, may_raise_limits: bool, hard: dict[str, int], devices: tuple[str, ...] = ()
) -> Engine:
    """Return Podman as `podman info` and the machine describe it. Pure: all that was looked at comes in."""
    about = info["host"]
    rootless = bool(about.get("security", {}).get("rootless"))
    cgroup = 1 if about.get("cgroupVersion") == "v1" else 2
    legacy = tuple(name for name in LEGACY_CGROUPS if name in about.get("cgroupControllers", []))
    return Engine(
        name="podman",
        rootless=rootless,
        selinux=bool(about.get("security", {}).get("selinuxEnabled")),
        cgroup=cgroup,
        # crun asks cgroup v1 and the limits for more than it gets on locked-down machines.
        runtime="runc" if cgroup == 1 and has_runc and about.get("ociRuntime", {}).get("name") != "runc" else "",
        # Podman's defaults lie above a hard limit that nobody here may raise.
        limits=() if rootless or may_raise_limits else attainable(hard),
        legacy_cgroups=legacy if cgroup == 1 and not rootless else (),
        devices=devices,
    )


def attainable(hard: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """Return the limits that a Podman without CAP_SYS_RESOURCE can give, from this machine's hard ones."""
    ceilings = {"nproc": PODMAN_NPROC}
    return tuple((name, min(limit, ceilings.get(name, limit))) for name, limit in sorted(hard.items()))


def docker(info: dict[str, Any]) -> Engine:
    """Return Docker as `docker info` describes it."""
    options = info.get("SecurityOptions") or []
    if str(info.get("CgroupVersion")) == "1":
        raise Stop(
            "Docker with cgroup v1 can't hold the sandbox: its hosts' systemd would change this machine's own groups",
            hint="install podman, or boot with systemd.unified_cgroup_hierarchy=1",
        )
    return Engine(name="docker", rootless=any("rootless" in str(one) for one in options))


def may_raise_limits(status: str) -> bool:
    """Say from /proc/self/status whether this process may go beyond hard limits."""
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def _info(name: str) -> dict[str, Any] | None:
    if not shutil.which(name):
        return None
    form = "json" if name == "podman" else "{{json .}}"
    try:
        done = subprocess.run([name, "info", "--format", form], check=False, capture_output=True, text=True, timeout=60)
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None
    # Docker's client answers without its server, too: with an error in place of an answer.
    return found if isinstance(found, dict) and not found.get("ServerErrors") else None


def _hard_limits() -> dict[str, int]:
    kinds = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    found = {name: resource.getrlimit(kind)[1] for name, kind in kinds.items()}
    return {name: hard for name, hard in found.items() if hard != resource.RLIM_INFINITY}


def wanted(environment: dict[str, str]) -> Iterable[str]:
    """Return the engines to look for: the one that FERRYMAN_ENGINE names, or those that we know."""
    named = environment.get("FERRYMAN_ENGINE")
    if named and named not in ENGINES:
        raise Stop(f"FERRYMAN_ENGINE is {named!r}", hint=f"one of: {', '.join(ENGINES)}")
    return (named,) if named else ENGINES


def has_ipv6() -> bool:
    """Say whether this machine's kernel does IPv6; where nobody can say (macOS), the engine's own machine does."""
    return not Path("/proc/net").exists() or Path("/proc/net/if_inet6").exists()


@cache
def probe() -> Engine:
    """Return the engine to use on this machine, or stop and say what to install."""
    names = list(wanted(dict(os.environ)))
    for name in names:
        if (info := _info(name)) is None:
            continue
        if name == "docker":
            return docker(info)
        status = Path("/proc/self/status")
        # Podman on macOS runs in a machine of its own, where it is root.
        able = may_raise_limits(status.read_text()) if status.exists() else True
        devices = tuple(path for path in DEVICES if Path(path).exists())
        has_runc = bool(shutil.which("runc"))
        return podman(info, has_runc=has_runc, may_raise_limits=able, hard=_hard_limits(), devices=devices)
    raise Stop(
        f"the sandbox needs a container engine, and none answers here (looked for: {', '.join(names)})",
        hint="install podman, or start docker; any other environment works without one",
    )
