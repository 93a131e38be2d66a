"""What the role leaves on a host, and what its acts do there: checks that change nothing, walls, and the guard.

Requirements: REL-2, SEC-6, REL-7.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

STATE = "/var/lib/ferryman/sites/tiny"
SLOT_URL = "https://127.0.0.1/.well-known/ferryman/slot"
MOST_EXPOSED = 2.5  # of 10, as `systemd-analyze security` counts
CODE = "ansible_collections.ferryman.ops.plugins.module_utils.release"


def act(name: str, *words: str) -> dict[str, Any]:
    """Run an act of the role as a playbook does, and return what the host's play came to."""
    here = Path(__file__).parents[1]
    place = os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]
    command = ["ansible-playbook", "-i", f"{place}/inventory", str(here / "act.yml"), "-e", f"act={name}", *words]
    more = {"ANSIBLE_CONFIG": f"{place}/ansible.cfg", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, env={**os.environ, **more, "PATH": tools}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = next(line for line in done.stdout.splitlines() if line.startswith("host ") and "changed=" in line)
    return {key: int(value) for key, _, value in (word.partition("=") for word in recap.split()[2:])}


def everything(host: Any) -> str:
    """Return what lies where a release may leave something: every path with its time, size and mode."""
    places = "/srv /etc /var/lib/ferryman /var/backups /usr/local/lib/ferryman /run/systemd/system"
    found: str = host.check_output(f"find {places} -printf '%p %T@ %s %m %l\\n' | sort")
    return found


def slot(host: Any) -> str:
    """Return where the entry sends a client, as it says itself."""
    told = json.loads(host.check_output(f"curl -skf --retry 10 --retry-connrefused --retry-delay 1 {SLOT_URL}"))
    return str(told["slot"])


def state(host: Any) -> dict[str, Any]:
    """Return the entry's shift state."""
    return dict(json.loads(host.check_output(f"cat {STATE}/shift.json")))


def begin_shift(host: Any, *, confirm_s: float) -> tuple[str, str]:
    """Do to this host what a driver does that then vanishes: begin a shift, move everyone; return both slots."""
    stable = state(host)["stable"]
    other = "green" if stable == "blue" else "blue"
    code = (
        "import sys; sys.path.insert(0, '/usr/local/lib/ferryman/host.pyz')\n"
        f"from {CODE} import shift\nfrom {CODE}.host import Host\nfrom {CODE}.names import Site\n"
        "host = Host(Site('tiny'), run='20261122T000000Z-abcdef', token=99)\n"
        f"shift.begin(host, slot='{other}', release='20261122T000000Z-1234567', confirm_s={confirm_s})\n"
        f"shift.set_share(host, shift.full('{other}'))\n"
    )
    host.check_output(f"/usr/bin/python3 -I - <<'END'\n{code}END")
    return stable, other


def eventually(good: Any, *, within_s: float = 30) -> bool:
    """Return whether something comes true in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if good():
            return True
        time.sleep(0.3)
    return bool(good())


@pytest.fixture(scope="module")
def bare(host: Any) -> dict[str, Any]:
    """What a check of the first deploy said and changed, taken before there was one."""
    before, live = everything(host), host.file("/srv/tiny/current").exists
    recap = act("deploy", "--check")
    return {"recap": recap, "live": live, "before": before, "after": everything(host)}


@pytest.fixture(scope="module")
def deployed(bare: dict[str, Any]) -> dict[str, Any]:
    """The host with a release that serves."""
    del bare  # only that it came first
    return act("deploy")


def test_the_service_account_can_neither_log_in_nor_own_code(host: Any) -> None:
    account = host.user("app-tiny")
    assert account.exists
    assert account.shell == "/usr/sbin/nologin"
    assert account.uid < 1000
    assert host.check_output("find /srv/tiny -path /srv/tiny/shared -prune -o ! -user root -print") == ""


@pytest.mark.parametrize("name", ["", "/releases", "/slots", "/shared", "/environments"])
def test_directories_of_the_site_are_roots_and_readable(host: Any, name: str) -> None:
    found = host.file(f"/srv/tiny{name}")
    assert found.is_directory
    assert (found.user, found.mode) == ("root", 0o755)


def test_lock_and_ledger_are_for_root_alone(host: Any) -> None:
    assert host.file(f"{STATE}/arbiter").mode == 0o700


def test_ports_are_given_to_both_slots_below_those_of_outgoing_connections(host: Any) -> None:
    given = json.loads(host.file("/etc/ferryman/sites/tiny/ports.json").content_string)
    assert given["format"] == 1
    blue, green = given["ports"]["web"]["blue"], given["ports"]["web"]["green"]
    first_outgoing = int(host.check_output("cat /proc/sys/net/ipv4/ip_local_port_range").split()[0])
    assert len({*blue, *green}) == 20
    assert all(20000 <= port < first_outgoing for port in (*blue, *green))


def test_the_guard_comes_up_with_the_host_before_the_entry(host: Any) -> None:
    assert host.service("ferryman-guard.service").is_valid
    assert host.service("ferryman-boot.service").is_enabled
    assert "nginx.service" in host.check_output("systemctl show -P Before ferryman-boot.service")


def test_the_guards_code_runs_with_the_hosts_own_python_alone(host: Any) -> None:
    host.check_output("/usr/bin/python3 -I /usr/local/lib/ferryman/host.pyz guard")


def test_a_check_of_the_first_deploy_changes_nothing(bare: dict[str, Any]) -> None:
    assert bare["after"] == bare["before"]
    assert bare["recap"]["failed"] == 0
    # On a host that is looked at again (`molecule verify` twice) the release is live, and nothing would be done.
    assert (bare["recap"]["changed"] > 0) != bare["live"], "it says what it would do"


def test_the_release_serves(host: Any, deployed: dict[str, Any]) -> None:
    assert deployed["failed"] == 0
    live = host.file("/srv/tiny/current").linked_to.rsplit("/", 1)[1]
    assert json.loads(host.check_output("curl -skf https://127.0.0.1/version"))["release"] == live
    assert slot(host) == state(host)["stable"]


def test_a_secret_reaches_the_process_and_nothing_else(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    place = host.file("/etc/ferryman/sites/tiny/secrets")
    assert (place.user, place.mode) == ("root", 0o700)
    told = json.loads(host.check_output("curl -skf https://127.0.0.1/env"))
    assert list(told["secrets"]) == ["TOKEN"]
    assert "TOKEN" not in told["names"]
    pattern = "planted-[t]oken-of-the-scenario"  # sudo logs the search itself, which must not find itself
    found = host.run(f"grep -rl {pattern} /srv /var/lib/ferryman /var/log /etc /run/systemd/system")
    assert found.stdout.split() == ["/etc/ferryman/sites/tiny/secrets/TOKEN"]
    assert host.run(f"journalctl --no-pager | grep {pattern}").stdout == ""
    driver = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "driver"
    leaks = [path for path in driver.rglob("*") if path.is_file() and b"planted-token" in path.read_bytes()]
    assert not leaks


def test_code_is_out_of_reach_of_the_process(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    assert host.check_output("find /srv/tiny/releases ! -user root -print") == ""
    assert host.check_output("find /srv/tiny/releases -perm /022 ! -type l -print") == ""


def test_units_are_walled_in(host: Any, deployed: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    del deployed
    units = host.check_output("cd /etc/systemd/system && ls | grep '^tiny-.*service$'").split()
    assert {unit.split("@")[0] for unit in units} == {"tiny-web", "tiny-worker", "tiny-cleanup"}
    scores = {}
    for unit in units:
        last = host.check_output(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
        scores[unit] = float(last.split(": ")[1].split()[0])
    with capsys.disabled():
        print("\nexposure:", ", ".join(f"{unit} {score}" for unit, score in scores.items()))
    assert max(scores.values()) <= MOST_EXPOSED, scores


def test_a_check_on_a_live_host_changes_nothing(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    before = everything(host)
    same = act("deploy", "--check")
    other = act("deploy", "--check", "-e", json.dumps({"release_env": {"GREETING": "hello"}}))
    assert everything(host) == before
    assert same["changed"] == 0, "what is live is asked for again"
    assert other["changed"] > 0, "another configuration is another release"


def test_deploying_what_is_live_changes_nothing(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    since = host.check_output("systemctl show -P ActiveEnterTimestampMonotonic 'tiny-web@*'")
    assert act("deploy")["changed"] == 0
    assert host.check_output("systemctl show -P ActiveEnterTimestampMonotonic 'tiny-web@*'") == since


def test_a_shift_that_nobody_confirms_is_undone_in_time(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    stable, _ = begin_shift(host, confirm_s=2)
    assert eventually(lambda: state(host)["phase"] == "stable")
    assert slot(host) == stable
    assert not host.file("/var/lib/ferryman/pending/tiny").exists


def test_a_shift_that_a_reboot_came_into_is_undone_before_the_entry_serves(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    stable, other = begin_shift(host, confirm_s=3600)
    assert slot(host) == other
    before = host.check_output("systemctl show -P UserspaceTimestamp")
    host.run("systemctl reboot")
    # A connection that a reboot cuts fails with 255, and testinfra raises: that is an answer of "not yet" here.
    assert eventually(lambda: up(host) not in ("", before), within_s=90)
    assert slot(host) == stable
    assert state(host)["phase"] == "stable"
    assert not host.file("/var/lib/ferryman/pending/tiny").exists
    guard, entry = (
        int(host.check_output(f"systemctl show -P {when} {unit}"))
        for when, unit in (
            ("ExecMainExitTimestampMonotonic", "ferryman-boot"),
            ("ActiveEnterTimestampMonotonic", "nginx"),
        )
    )
    assert guard < entry
    live = host.file("/srv/tiny/current").linked_to.rsplit("/", 1)[1]
    assert eventually(lambda: f'"{live}"' in host.run("curl -sk https://127.0.0.1/version").stdout)


def up(host: Any) -> str:
    """Return when the host was booted; nothing while it is away."""
    try:
        told = host.run("systemctl is-system-running --wait >/dev/null; systemctl show -P UserspaceTimestamp")
    except RuntimeError:
        return ""
    return str(told.stdout.strip())


def test_a_release_whose_list_of_files_was_edited_is_seen_and_replaced(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    before = host.file("/srv/tiny/current").linked_to
    host.check_output("echo nonsense >> /srv/tiny/current/files.txt")
    assert act("deploy")["failed"] == 0
    assert host.file("/srv/tiny/current").linked_to != before
    assert act("deploy")["changed"] == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rollback", {}),
        ("maintenance", {"release_maintenance": True}),
        ("unlock", {}),
        ("once", {"release_process": "seed"}),
    ],
    ids=["rollback", "maintenance", "unlock", "once"],
)
def test_a_check_of_what_may_be_done_to_a_live_release_changes_nothing(
    host: Any, deployed: dict[str, Any], name: str, values: dict[str, Any]
) -> None:
    del deployed
    if name == "rollback":
        act("deploy", "-e", json.dumps({"release_env": {"GREETING": "hello"}}))
    before, serves = everything(host), slot(host)
    assert act(name, "--check", "-e", json.dumps(values))["failed"] == 0
    assert everything(host) == before
    assert slot(host) == serves


def test_what_a_check_of_a_rollback_has_announced_is_then_done(host: Any, deployed: dict[str, Any]) -> None:
    del deployed
    before = state(host)
    assert act("rollback")["changed"] > 0
    after = state(host)
    assert after["stable"] != before["stable"]
    assert after["release_stable"] != before["release_stable"]
