"""What the machine has decides what the engine is told."""

from pathlib import Path
from typing import Any

import pytest

from ferryman.errors import Stop
from ferryman.sandbox import probing

HARD = {"nofile": 20000, "nproc": 96365}


def info(**host: Any) -> dict[str, Any]:
    usual = {"cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"], "ociRuntime": {"name": "crun"}}
    return {"host": usual | host}


def podman(about: dict[str, Any], *, has_runc: bool = True, may_raise: bool = True) -> probing.Engine:
    return probing.podman(about, has_runc=has_runc, may_raise_limits=may_raise, hard=HARD)


def test_a_current_machine_needs_nothing() -> None:
    assert podman(info()) == probing.Engine("podman")


def test_cgroup_v1_wants_runc_and_the_groups_of_memory_and_pids() -> None:
    engine = podman(info(cgroupVersion="v1"))
    assert (engine.runtime, engine.legacy_cgroups) == ("runc", ("memory", "pids"))
    assert podman(info(cgroupVersion="v1"), has_runc=False).runtime == ""


def test_limits_that_cannot_be_raised_are_kept_to() -> None:
    assert podman(info(), may_raise=False).limits == (("nofile", 20000), ("nproc", 32768))


def test_rootless_podman_keeps_its_limits_by_itself_and_owns_no_cgroups() -> None:
    engine = podman(info(cgroupVersion="v1", security={"rootless": True}), may_raise=False)
    assert (engine.rootless, engine.limits, engine.legacy_cgroups) == (True, (), ())


def test_docker_on_cgroup_v1_is_refused_since_it_would_change_the_machine() -> None:
    with pytest.raises(Stop, match="cgroup v1") as stop:
        probing.docker({"CgroupVersion": "1"})
    assert "podman" in stop.value.hint


def test_docker_on_cgroup_v2_is_taken() -> None:
    engine = probing.docker({"CgroupVersion": "2", "SecurityOptions": ["name=seccomp", "name=rootless"]})
    assert (engine.name, engine.rootless) == ("docker", True)


@pytest.mark.parametrize(("effective", "able"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_the_capability_to_raise_limits_is_read_from_the_kernel(effective: str, able: bool) -> None:
    assert probing.may_raise_limits(f"Name:\tx\nCapEff:\t{effective}\n") is able


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(Stop) as stop:
        probing.wanted({"FERRYMAN_ENGINE": "lxc"})
    assert "podman, docker" in stop.value.hint


def test_an_engine_finds_what_it_calls_where_an_ordinary_users_path_does_not_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "podman").write_text("#!/bin/sh\necho $PATH\n")
    (tmp_path / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin:/sbin")
    found = probing.Engine("podman").run("info").strip()
    assert found == f"{tmp_path}:/usr/bin:/bin:/sbin:/usr/local/sbin:/usr/sbin"
