"""Ports that are given out once, a guard that is due in time, code that is the same bytes for the same code."""

import io
import json
import shlex
import struct
import subprocess
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import agent, guard, names, provision
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.provision import give_ports
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import pack
from hypothesis import given
from hypothesis import strategies as st


def flat(ports: dict[str, dict[str, list[int]]]) -> list[int]:
    return [port for slots in ports.values() for block in slots.values() for port in block]


def test_a_process_gets_a_block_of_ten_in_each_slot() -> None:
    assert give_ports([], {}, ["web"]) == {
        "web": {"blue": list(range(20000, 20010)), "green": list(range(20010, 20020))}
    }


def test_a_baseline_gets_ports_of_its_own_beside_those_that_were_given_out() -> None:
    before = give_ports([], {}, ["web"])
    after = give_ports([], before, ["web"], places=(*names.SLOTS, names.BASELINE))
    assert after == {"web": {**before["web"], "baseline": list(range(20020, 20030))}}
    assert give_ports([], after, ["web"]) == after, "what was given out stays"


@given(
    st.lists(st.integers(20000, 20400), max_size=40),
    st.lists(st.lists(st.sampled_from(["web", "api", "ws", "admin"]), max_size=4), min_size=1, max_size=4),
)
def test_ports_never_overlap_and_never_move(taken: list[int], visits: list[list[str]]) -> None:
    have: dict[str, dict[str, list[int]]] = {}
    for processes in visits:
        given_ = give_ports(taken, have, processes)
        assert {name: given_[name] for name in have} == have
        assert set(given_) == set(have) | set(processes)
        have = given_
    ports = flat(have)
    assert len(ports) == len(set(ports))
    assert not set(ports) & set(taken)
    assert all(port in names.PORTS for port in ports)


def test_sites_of_one_host_never_share_a_port() -> None:
    chance, taken = Random(1), list[int]()
    for _ in range(100):
        mine = flat(give_ports(taken, {}, chance.sample(["web", "api", "ws"], chance.randrange(1, 4))))
        assert not set(mine) & set(taken)
        taken += mine


def test_no_block_left_is_said_before_anything_is_changed() -> None:
    with pytest.raises(Failed, match="no block of ten ports is free") as failed:
        give_ports(range(20005, 30000, 10), {}, ["web"])
    assert failed.value.refused


@pytest.mark.parametrize(
    ("pending", "boottime", "due"),
    [
        ({"boot": "b", "deadline": 100.0}, 99.9, False),
        ({"boot": "b", "deadline": 100.0}, 100.0, True),
        ({"boot": "a", "deadline": 1e9}, 1.0, True),
        ({"boot": "b"}, 1.0, True),
        ({}, 1.0, True),
    ],
)
def test_a_shift_waits_for_its_deadline_in_its_own_boot_alone(
    pending: dict[str, Any], boottime: float, due: bool
) -> None:
    assert guard.due(pending, boot="b", boottime=boottime) is due


def test_equal_code_is_equal_bytes() -> None:
    first, version = pack.packed(), pack.version()
    for each in (pack.packed, pack.version, pack.texts):
        each.cache_clear()
    assert (pack.packed(), pack.version()) == (first, version)
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        found = set(archive.namelist())
    code = {f"{pack.PACKAGE}/{path.relative_to(pack.HERE)}" for path in pack.HERE.rglob("*.py")}
    code |= {f"{pack.PACKAGE.rpartition('/')[0]}/{name}" for name in pack.BESIDE}
    assert code <= found
    assert not [name for name in found - code if not name.endswith("__init__.py") and name != "__main__.py"]


REQUEST = {
    "act": "look",
    "site": "no-such-site",
    "environment": "test",
    "roles": [],
    "bare": True,
    "check": True,
}


def sent(message: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send a message to this machine as a connection does, through two shells; return the last line of what it says."""
    monkeypatch.setattr(names, "CODE", tmp_path)
    words = ["/bin/sh", "-c", f"/bin/sh -c {shlex.quote(pack.command())}"]
    return subprocess.run(words, input=message, capture_output=True, check=True).stdout.decode().splitlines()[-1]


def test_a_host_of_another_version_asks_for_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sent(pack.message(REQUEST), tmp_path, monkeypatch) == pack.WANTED


def test_code_that_is_sent_along_needs_nothing_on_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = sent(pack.message(REQUEST, code=True), tmp_path, monkeypatch)
    assert line.startswith(names.ANSWER)
    answer = json.loads(line[len(names.ANSWER) :])
    assert answer["ok"], answer
    assert answer["changes"] == []


def test_whatever_goes_wrong_is_an_answer() -> None:
    request = json.dumps({"act": "nonsense", "site": "x", "roles": [], "bare": True}).encode()
    answer = agent.serve(io.BytesIO(struct.pack("!Q", len(request)) + request))
    assert not answer["ok"]
    assert answer["reason"]
    assert answer["evidence"]


class Systemd(Host):
    """A host whose systemd has not read its units, and has the guard of boots not enabled."""

    def __init__(self, *, check: bool = False) -> None:
        super().__init__(names.Site("tiny"), check=check)
        self.read = self.enabled = False

    def systemctl(self, *words: str, timeout: float = 90) -> str:
        del timeout
        if words[0] == "show":
            return "NeedDaemonReload=no\n\nNeedDaemonReload=" + ("no\n" if self.read else "yes\n")
        if words[0] == "is-enabled" and not self.enabled:
            raise Failed("disabled")
        self.read |= words[0] == "daemon-reload"
        self.enabled |= words[0] == "enable"
        return "enabled\n"


@pytest.fixture
def provisioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which everything that the guard needs was written, by a run that ended right after."""
    monkeypatch.setattr(provision, "PYZ", tmp_path / "host.pyz")
    monkeypatch.setattr(names, "UNITS", tmp_path)
    monkeypatch.setattr(names, "CODE", tmp_path / "code")
    (tmp_path / "host.pyz").write_bytes(b"code")
    for name, text in provision.GUARD_UNITS.items():
        Host(names.Site("tiny")).write(tmp_path / name, text)
    return tmp_path


@pytest.mark.usefixtures("provisioned")
def test_a_guard_that_was_written_and_never_enabled_is_enabled() -> None:
    host = Systemd()
    provision._guard(host, b"code")
    assert (host.read, host.enabled) == (True, True)
    host.changes.clear()
    provision._guard(host, b"code")
    assert host.changes == []


@pytest.mark.usefixtures("provisioned")
def test_check_mode_says_that_the_guard_is_not_enabled_and_leaves_it() -> None:
    host = Systemd(check=True)
    provision._guard(host, b"code")
    assert (host.read, host.enabled) == (False, False)
    assert "ferryman-boot.service enabled" in host.changes


def test_code_that_lost_its_bytes_is_written_anew(provisioned: Path) -> None:
    host, version = Systemd(), pack.version()
    provision.leave_code(host, pack.packed(), version=version)
    agents = provisioned / "code" / version / pack.PACKAGE / "agent.py"
    whole = agents.read_text()
    agents.write_text("")
    host.changes.clear()
    provision.leave_code(host, pack.packed(), version=version)
    assert (agents.read_text(), len(host.changes)) == (whole, 1)
    provision.leave_code(host, pack.packed(), version=version)
    assert len(host.changes) == 1
