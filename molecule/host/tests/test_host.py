"""What role host promises, seen on the host, over SSH, and through changes that go wrong.

Requirements: SEC-6, ENV-2.
"""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import testinfra

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[3] / ".ansible" / "collections"))
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import pack
from tests.support import processes

testinfra_hosts = ["ansible://host"]

DROP_IN = "/etc/ssh/sshd_config.d/00-ferryman.conf"
PENDING = "/var/lib/ferryman/trials/sshd/pending"
MARKER = "/etc/ferryman/host.json"


def ad_hoc(module: str, **args: object) -> list[str]:
    """Return the command that runs a module on the host as a task would."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return ["ansible", "host", "-i", inventory, "--become", "-m", f"ferryman.ops.{module}", "-a", json.dumps(args)]


def run(module: str, **args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(ad_hoc(module, **args), capture_output=True, text=True, check=False, timeout=120)


def ssh(user: str, *words: str) -> subprocess.CompletedProcess[str]:
    config = f"{os.environ['MOLECULE_EPHEMERAL_DIRECTORY']}/sandbox/ssh_config"
    command = ["ssh", "-F", config, "-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "ConnectTimeout=3"]
    return subprocess.run(
        [*command, "-l", user, "host", *words], capture_output=True, text=True, check=False, timeout=30
    )


def wait(what, seconds=60):
    """Wait until `what` says yes."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.3)


# --- environment ------------------------------------------------------------------------------------------------------


def test_host_says_which_environment_it_belongs_to(host):
    marker = json.loads(host.file(MARKER).content_string)
    assert (marker["format"], marker["environments"], marker["shared"]) == (1, ["demo"], False)
    assert marker["provisioned_at"].endswith("Z")


@pytest.mark.parametrize("state", ["present", "verified"])
def test_another_environment_is_refused_and_nothing_changes(host, state):
    before = host.file(MARKER).content_string
    answer = run("host_marker", environment="other", state=state)
    assert answer.returncode != 0
    assert "this host belongs to environment demo, not to other: nothing was changed" in answer.stdout
    assert host.file(MARKER).content_string == before


# --- who gets in ------------------------------------------------------------------------------------------------------


def test_operator_gets_in_by_key_and_becomes_root():
    assert ssh("ada", "sudo", "-n", "id", "-u").stdout == "0\n"


def test_operator_without_sudo_stays_himself():
    assert ssh("bob", "id", "-un").stdout == "bob\n"
    assert ssh("bob", "sudo", "-n", "true").returncode != 0


def test_accounts_of_others_stay():
    assert ssh("ops", "id", "-un").stdout == "ops\n"


def test_nobody_gets_in_by_password_and_root_not_at_all(host):
    offered = ssh("nobody", "true")
    assert "Permission denied (publickey)" in offered.stderr
    host.run_test("install -d -m 0700 /root/.ssh && cp /home/ada/.ssh/authorized_keys /root/.ssh/")
    assert ssh("root", "true").returncode != 0


def test_operator_who_left_is_shut_out_and_keeps_his_files(host):
    key = host.file("/home/bob/.ssh/authorized_keys").content_string.splitlines()[1]
    assert run("host_accounts", operators=[{"name": "bob", "state": "absent"}]).returncode == 0
    assert ssh("bob", "true").returncode != 0
    assert host.file("/home/bob").is_directory
    assert run("host_accounts", operators=[{"name": "bob", "keys": [key]}]).returncode == 0
    assert ssh("bob", "true").returncode == 0


# --- changes of SSH that go wrong -------------------------------------------------------------------------------------

# Lets nobody in. Given beside the role's own settings, since sshd_config has one drop-in of ours.
LOCKED_OUT = {"PasswordAuthentication": "no", "AllowUsers": "nobody"}


def test_change_that_locks_out_is_undone_and_said(host):
    before = host.file(DROP_IN).content_string
    # Long enough for more tries than fail2ban forgives: the host takes that ban back too.
    answer = run("host_sshd", settings=LOCKED_OUT, undo_after_s=12)
    assert answer.returncode != 0
    said = " ".join(answer.stdout.split())
    assert "no new connection got through, so the change was undone after 12 s; the host is reached as before" in said
    assert host.file(DROP_IN).content_string == before
    assert ssh("ada", "true").returncode == 0


def lock_out_and_die(host, seconds):
    """Begin a change that locks out, and kill its driver before it could confirm or see anything."""
    # We knock until somebody opens; that must not look like guessing.
    client = ssh("ada", "echo $SSH_CONNECTION").stdout.split()[0]
    host.run_test(f"fail2ban-client set sshd addignoreip {client}")
    driver = subprocess.Popen(
        ad_hoc("host_sshd", settings=LOCKED_OUT, undo_after_s=seconds),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait(lambda: ssh("ada", "true").returncode != 0)
    processes.end(driver)


def test_change_is_undone_when_the_driver_dies(host):
    lock_out_and_die(host, seconds=10)
    wait(lambda: ssh("ada", "true").returncode == 0)
    assert not host.file(DROP_IN).contains("AllowUsers")
    assert not host.file(PENDING).exists


def test_change_is_undone_by_a_reboot(host):
    started = host.run_test("systemctl show -P UserspaceTimestamp").stdout
    # Given in advance, since nobody gets in to say so later.
    host.run_test("systemd-run -q --on-active=15 --timer-property=AccuracySec=200ms systemctl reboot")
    lock_out_and_die(host, seconds=3600)
    wait(lambda: ssh("ada", "true").returncode == 0)
    assert host.run_test("systemctl show -P UserspaceTimestamp").stdout != started
    assert not host.file(DROP_IN).contains("AllowUsers")
    assert not host.file(PENDING).exists


def test_broken_settings_are_refused_before_they_are_in_place(host):
    before = host.file(DROP_IN).content_string
    answer = run("host_sshd", settings={"PasswordAuthentication": "perhaps"})
    assert "sshd would not start with these settings, so nothing was changed" in answer.stdout
    assert host.file(DROP_IN).content_string == before


# --- updates ----------------------------------------------------------------------------------------------------------

GATE = "/usr/local/lib/ferryman/updates-gate"
ALWAYS = "--window 00:00-00:00"  # the whole day: up to 23:59 it would be shut for a minute


def test_updates_run_in_the_window_alone(host):
    timer = host.run_test("systemctl cat apt-daily-upgrade.timer").stdout
    assert "OnCalendar=*-*-* 02:00" in timer
    assert host.service("apt-daily-upgrade.timer").is_enabled
    gate = host.run_test("systemctl show -P ExecCondition apt-daily-upgrade.service").stdout
    assert f"{GATE} --window 02:00-05:00 " in gate
    assert "unattended-upgrade" in host.run_test("apt-config dump APT::Periodic").stdout.lower()


SOURCE = """
set -eu
mkdir -p /srv/trial && cd /srv/trial
for version in 1 2; do
    mkdir -p build/DEBIAN
    printf '%s\\n' 'Package: ferryman-trial' "Version: $version" 'Architecture: all' 'Maintainer: N <n@example.org>' \
        'Description: trial' > build/DEBIAN/control
    dpkg-deb --root-owner-group -b build $version.deb >/dev/null
done
cp build/DEBIAN/control Packages
printf '%s\\n' 'Filename: ./2.deb' "Size: $(stat -c %s 2.deb)" "SHA256: $(sha256sum < 2.deb | cut -c1-64)" >> Packages
. /etc/os-release
printf 'Origin: Debian\\nLabel: %s\\nCodename: %s\\nSuite: stable\\nSHA256:\\n %s %s Packages\\n' \
    "$LABEL" "$VERSION_CODENAME" $(sha256sum < Packages | cut -c1-64) $(stat -c %s Packages) > Release
echo 'deb [trusted=yes] file:/srv/trial ./' > /etc/apt/sources.list.d/trial.list
dpkg -i 1.deb >/dev/null
"""


def test_a_patch_installs_what_the_hosts_own_policy_allows_and_says_whether_it_wants_a_reboot(host):
    """A source on the host itself that calls itself Debian's for security; of anybody else's nothing is taken."""
    version = "dpkg-query -W -f '${Version}' ferryman-trial"
    patch = ad_hoc("host_patch", host="host")

    def patched(*words: str) -> dict[str, object]:
        plain = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
        run_with = {
            "capture_output": True,
            "text": True,
            "check": False,
            "timeout": 300,
            "env": {**os.environ, **plain},
        }
        done = subprocess.run([*patch, *words], **run_with)
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout.partition("=> ")[2])

    try:
        host.run_test(f"LABEL=Somebody bash -c {shlex.quote(SOURCE)}")
        assert "ferryman-trial" not in patched("--check")["packages"]
        host.run_test("rm -rf /var/lib/apt/lists/*trial*")  # apt takes no source that changes its name
        host.run_test(f"LABEL=Debian-Security bash -c {shlex.quote(SOURCE)}")
        assert "ferryman-trial" in patched("--check")["packages"]
        assert host.run_test(version).stdout == "1", "check mode installs nothing"
        host.run_test("touch /run/reboot-required")
        told = patched()
        assert "ferryman-trial" in told["packages"]
        assert (told["changed"], told["reboot"], host.run_test(version).stdout) == (True, True, "2")
        host.run_test("rm /run/reboot-required")
        told = patched()
        assert (told["changed"], told["packages"], told["reboot"]) == (False, [], False)
    finally:
        host.run("dpkg -P ferryman-trial; rm -rf /srv/trial /etc/apt/sources.list.d/trial.list /run/reboot-required")
        host.run("apt-get -q update")


def test_what_is_there_for_others_alone_stays_once_a_role_wants_it(host):
    host.run_test("apt-mark auto sudo")
    try:
        assert run("host_packages", names=["sudo"]).returncode == 0
        assert host.run_test("apt-mark showmanual sudo").stdout.split() == ["sudo"]
    finally:
        host.run("apt-mark manual sudo")


def test_a_host_says_by_its_own_clock_whether_its_window_is_open_and_when_it_opens(host):
    """Beside one that is open all day, one that began an hour ago and has another left, and one in two hours."""
    now = datetime.fromisoformat(host.run_test("date +%FT%T").stdout.strip())
    clock = [f"{now + timedelta(hours=hours):%H:%M}" for hours in (-1, 1, 2, 3)]
    for window, room_s, is_open in (
        ("00:00-00:00", 86400, True),
        ("-".join(clock[:2]), 1800, True),
        ("-".join(clock[:2]), 4000, False),
        ("-".join(clock[2:]), 0, False),
    ):
        done = run("host_window", host="host", window=window, room_s=room_s)
        assert re.search(rf'^ +"?open"?: {str(is_open).lower()}\b', done.stdout, re.MULTILINE), done.stdout
    assert f"{now + timedelta(hours=2):%a %Y-%m-%d %H:%M} WE" in done.stdout, "Lisbon's time, by its name"


def test_no_update_begins_outside_the_window(host):
    """The unit as it is, but for its window, which is put half a day from now: this test runs at any hour."""
    begin, end = (host.run_test(f"date -d '+{hours} hours' +%H:%M").stdout.strip() for hours in (11, 13))
    unit = host.file("/etc/systemd/system/apt-daily-upgrade.service.d/ferryman.conf").content_string
    moved = unit.replace("--window 02:00-05:00", f"--window {begin}-{end}").replace(
        "[Service]\n", "[Service]\nExecCondition=\n"
    )
    assert moved.count(begin) == 1
    place = "/run/systemd/system/apt-daily-upgrade.service.d"
    code = base64.b64encode(moved.encode()).decode()
    host.run_test(f"mkdir -p {place} && echo {code} | base64 -d > {place}/zz-moved.conf && systemctl daemon-reload")
    try:
        assert host.run("systemctl start apt-daily-upgrade.service").rc == 0
        assert host.run_test("systemctl show -P Result apt-daily-upgrade.service").stdout.strip() == "exec-condition"
    finally:
        host.run_test(f"rm -r {place} && systemctl daemon-reload")


# Takes the lock as a deploy does: a lock that were written here by hand could not show that the gate knows a real one.
TAKE = """\
import json, pathlib, sys
sys.path.insert(0, "/run/ferryman-test.pyz")
from ansible_collections.ferryman.ops.plugins.module_utils.release import host, lock
held = lock.take({}, host.now(), run="r1", owner="ada@desk", purpose="deploy", lease_s=600.0)
path = pathlib.Path(sys.argv[1])
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(held))
"""


WORD_MAX = 90_000  # the kernel takes no word of a command that is longer than 131,072 bytes


def test_updates_wait_for_a_deploy(host):
    lock = "/var/lib/ferryman/sites/demo/arbiter/lock.json"
    code = base64.b64encode(pack.packed()).decode()
    for at in range(0, len(code), WORD_MAX):
        host.run_test(f"printf %s {code[at : at + WORD_MAX]} >> /run/ferryman-test.b64")
    host.run_test("base64 -d < /run/ferryman-test.b64 > /run/ferryman-test.pyz; rm /run/ferryman-test.b64")
    host.run_test(f"/usr/bin/python3 -B -c '{TAKE}' {lock}")
    refused = host.run(f"{GATE} {ALWAYS}")
    assert refused.rc == 1
    assert lock in refused.stdout
    host.run_test(f"rm {lock} /run/ferryman-test.pyz")
    assert host.run(f"{GATE} {ALWAYS}").rc == 0


def test_host_does_not_reboot_by_itself(host):
    dump = host.run_test("apt-config dump Unattended-Upgrade::Automatic-Reboot").stdout
    assert 'Automatic-Reboot "false"' in dump


# --- time -------------------------------------------------------------------------------------------------------------


def test_clock_is_kept_and_zone_is_the_one_asked_for(host):
    # In a container the service's own condition keeps it from running: enabled is all that can be seen.
    assert host.service("systemd-timesyncd").is_enabled
    assert host.run_test("date +%Z").stdout.strip() in ("WET", "WEST")


# --- guessing ---------------------------------------------------------------------------------------------------------


def test_guesser_is_banned_for_a_while(host):
    guest = testinfra.get_host(f"ansible://guest?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}", sudo=True)
    port = host.ansible.get_variables()["ansible_port"]
    trusting = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    # A connection that is cut by the ban itself would hang until TCP gives up.
    guess = f"timeout 5 ssh -6 -p {port} -o BatchMode=yes -o ConnectTimeout=2 {trusting}"

    def says(user: str) -> str:
        # Testinfra takes exit status 255 for its own SSH that failed.
        return guest.run(f"{guess} {user}@host true || true").stderr

    assert "Permission denied" in says("guess1")
    for number in range(2, 5):
        says(f"guess{number}")
    wait(lambda: "refused" in says("guess"), seconds=20)
    assert "f2b-table" in host.run_test("nft list tables").stdout
    host.run_test("fail2ban-client unban --all")
    assert "Permission denied" in says("guess5")
