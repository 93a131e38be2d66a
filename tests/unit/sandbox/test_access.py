"""How hosts are reached, as texts: keys are checked, passwords are quoted, roots are gathered."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from ferryman.sandbox import access, acme, lock
from ferryman.sandbox.model import Host, Sandbox

JUMP = Host("jump", publish={2322: 2222})
INSIDE = Host("inside", aliases=("inside.internal",), sudo="password")
SANDBOX = Sandbox("demo", Path("/state with space/demo"), (JUMP, INSIDE))
ROOT = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def test_ssh_config_checks_host_keys_and_uses_no_other_identity(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(access.ssh_config(SANDBOX))
    said = subprocess.run(["ssh", "-G", "-F", path, "jump"], check=True, capture_output=True, text=True).stdout
    for wanted in (
        "hostname 127.0.0.1",
        "port 2322",
        "user ops",
        "stricthostkeychecking true",
        "identitiesonly yes",
        "identityfile /state with space/demo/id_ed25519",
        "userknownhostsfile /state with space/demo/known_hosts",
    ):
        assert wanted in said.splitlines()


def test_a_host_that_is_not_published_keeps_its_own_name_for_a_jump() -> None:
    assert "Host inside\n  Port 2222\n" in access.ssh_config(SANDBOX)
    known = access.known_hosts(SANDBOX, {"jump": "ssh-ed25519 AA", "inside": "ssh-ed25519 BB"})
    assert "[127.0.0.1]:2322,[localhost]:2322,[jump]:2222 ssh-ed25519 AA\n" in known
    assert "[inside]:2222,[inside.internal]:2222 ssh-ed25519 BB\n" in known


def test_a_password_reaches_the_shell_as_one_word() -> None:
    script = access.setup_script(INSIDE, "ssh-ed25519 AA", "it's $HOME", "")
    assignments = script.split("# Opens a host")[0]
    said = subprocess.run(["sh", "-c", assignments + 'printf %s "$login"'], check=True, capture_output=True, text=True)
    assert said.stdout == "ops:it's $HOME"
    assert "NOPASSWD" not in assignments
    assert "login=''" in access.setup_script(JUMP, "ssh-ed25519 AA", "", "")


def test_every_root_that_the_sandbox_had_stays_in_the_bundle_once() -> None:
    old, new = ROOT.format("old"), ROOT.format("new")
    assert acme.with_root("", old) == old
    assert acme.with_root(old, old) == old
    assert acme.with_root(old, new) == new + old


def test_a_domain_leads_to_every_address_of_its_host() -> None:
    assert acme.names({"test": ["192.0.2.1", "2001:db8::1"]}) == "address=/test/192.0.2.1\naddress=/test/2001:db8::1"


def test_locks_are_held_one_at_a_time_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with lock.locked("x"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
    assert not list(tmp_path.rglob("*.lock"))
