"""What runs once has the limits and the network of its process, and a migration those of none."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import database, names, steps
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site

RELEASE = "20260101T000000Z-aaaaaaa"
SEED: dict[str, Any] = {
    "kind": "once", "command": "seed", "memory_max": "64M", "cpu_quota": "20%", "stop_timeout_s": 90, "timeout_s": 0,
    "network": "none",
}  # fmt: skip
OWN = {"MemoryMax=64M", "CPUQuota=20%", "TimeoutStopSec=90", "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"}


class Starts(Host):
    """A host that keeps what stood in a unit as it was started, and how long that was waited for; it ends at once."""

    unit: list[str]
    waited: dict[str, float]

    def command(self, *words: str, timeout: float = 60, **_: Any) -> str:
        """Play systemctl."""
        self.waited[words[1]] = timeout
        if words[1] == "start":
            self.unit = (database.RUNTIME_UNITS / words[2]).read_text().splitlines()
            (output,) = (line for line in self.unit if line.startswith("StandardOutput="))
            Path(output.partition(":")[2]).write_text("done\n")
        return ""


@pytest.fixture
def host(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """A host whose live release has a process of kind once."""
    monkeypatch.setattr(database, "RUNTIME_UNITS", tmp_path / "units")
    monkeypatch.setattr(names, "PENDING", tmp_path / "pending")
    host = Starts(site, run="run-1", token=1)
    host.waited = {}
    described(host, SEED)
    host.link(site.root / "current", f"releases/{RELEASE}")
    return host


def described(host: Host, process: dict[str, Any]) -> None:
    told = {"migrations": {"command": "migrate"}, "processes": {"seed": process}}
    record = {"id": RELEASE, "processes": told["processes"], "manifest": {"description": told}}
    place = host.site.release(RELEASE) / "release.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record))


def run(host: Starts) -> str:
    return str(steps._once(host, {"process": "seed"}, io.BytesIO())["output"])


def test_a_process_that_runs_once_has_its_own_limits_and_network(host: Starts) -> None:
    assert run(host) == "done\n"
    assert set(host.unit) >= OWN


@pytest.mark.parametrize(("said", "limit"), [(0, 3600), (20, 20)])
def test_one_that_names_no_limit_of_time_gets_an_hour_and_each_is_waited_for_until_it_has_stopped(
    host: Starts, said: int, limit: int
) -> None:
    described(host, {**SEED, "timeout_s": said})
    run(host)
    assert f"TimeoutStartSec={limit}" in host.unit
    assert host.waited["start"] > limit + SEED["stop_timeout_s"]


def test_a_migration_has_the_limits_of_no_process(host: Starts) -> None:
    database.once(host, "migrate", RELEASE, timeout_s=40)
    assert not OWN & set(host.unit)
    assert "TimeoutStartSec=40" in host.unit
