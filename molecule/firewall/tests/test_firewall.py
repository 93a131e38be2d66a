"""What role firewall promises, seen from another host, and through changes that go wrong.

Requirements: SEC-6.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import testinfra

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.support import processes

testinfra_hosts = ["ansible://host"]

PENDING = "/var/lib/ferryman/trials/firewall/pending"
RULES = "/etc/ferryman/firewall.nft"
ALLOW = [{"port": "8082", "from": ["192.0.2.0/24", "2001:db8::/32"]}]
BRIDGES = ["docker0", "podman*", "cni-podman*", "virbr*", "lxdbr*", "incusbr*"]
SERVER = "python3 -m http.server --bind :: --directory /usr/share/misc"


def ad_hoc(**args: object) -> list[str]:
    """Return the command that loads rules as the role's task would."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return ["ansible", "host", "-i", inventory, "--become", "-m", "ferryman.ops.firewall_rules", "-a", json.dumps(args)]


def run(*options: str, env: dict[str, str] | None = None, **args: object) -> subprocess.CompletedProcess[str]:
    """Load rules; what is not said is as in converge.yml."""
    command = ad_hoc(**{"ports": [8080], "allow": ALLOW, "interfaces": BRIDGES, **args})
    return subprocess.run([*command, *options], env=env, capture_output=True, text=True, check=False, timeout=120)


def ssh(*words: str) -> subprocess.CompletedProcess[str]:
    config = f"{os.environ['MOLECULE_EPHEMERAL_DIRECTORY']}/sandbox/ssh_config"
    command = ["ssh", "-F", config, "-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "ConnectTimeout=3", "host"]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=30)


def wait(what, seconds=60):
    """Wait until `what` says yes."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def guest(host):
    return testinfra.get_host(f"ansible://guest?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}", sudo=True)


@pytest.fixture(scope="module", params=["4", "6"])
def reach(request, host, guest):
    """Say how a port of the host looks from outside, over IPv4 and IPv6: open, refused or silent."""
    for port in (8080, 8081, 8082):
        host.run(f"systemctl is-active -q web{port} || systemd-run -q --unit web{port} {SERVER} {port}")
    address = host.run_test(f"ip -{request.param} -br address show eth0 scope global").stdout.split()[2].split("/")[0]
    wait(lambda: host.run("ss -Hltn 'sport >= 8080 and sport <= 8082'").stdout.count("LISTEN") == 3)

    def look(port: int) -> str:
        script = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
        answer = guest.run(f'python3 -c "{script}"')
        if answer.rc == 0:
            return "open"
        return "refused" if "ConnectionRefusedError" in answer.stderr else "silent"

    look.address = address
    return look


def test_open_port_answers(reach):
    assert reach(8080) == "open"


def test_closed_port_is_silent_though_something_listens_there(reach):
    assert reach(8081) == "silent"


def test_port_for_some_is_closed_for_others(reach):
    assert reach(8082) == "silent"


def test_ssh_stays_open(host, reach):
    assert reach(host.ansible.get_variables()["ansible_port"]) == "open"


def test_host_answers_to_ping(host, guest, reach):
    # ping is not installed: an echo request of our own, ICMP or ICMPv6 by the address.
    script = (
        "import socket,struct;v6=':' in A;"
        "s=socket.socket(socket.AF_INET6 if v6 else socket.AF_INET,socket.SOCK_RAW,58 if v6 else 1);s.settimeout(3);"
        "b=lambda c:struct.pack('!BBHHH',128 if v6 else 8,0,c,7,1);p=b(0);t=sum(struct.unpack('!4H',p));"
        "s.sendto(b(~((t&65535)+(t>>16))&65535),(A,0));r=s.recv(99);"
        "exit(0 if (r[0]==129 if v6 else r[20]==0) else 1)"
    )
    assert guest.run(f"python3 -c \"A='{reach.address}';{script}\"").rc == 0


def test_neighbours_are_found_anew_over_ipv6(host, guest, reach):
    guest.run_test("ip -6 neighbour flush dev eth0")
    assert reach(8080) == "open"


def test_the_host_itself_reaches_out(host, guest):
    guest.run("systemctl is-active -q web8080 || systemd-run -q --unit web8080 " + SERVER + " 8080")
    wait(lambda: host.run("curl -sf -m 2 -o /dev/null http://guest:8080/").rc == 0, seconds=15)


def test_tables_of_others_stay(host):
    host.run_test(
        "nft 'table ip dockerlike { chain forward { type filter hook forward priority 0; policy accept; }; }'"
    )
    assert run(allow=[*ALLOW, {"port": "8081"}]).returncode == 0
    assert run().returncode == 0
    assert "dockerlike" in host.run_test("nft list tables").stdout
    assert host.run("systemctl is-enabled nftables.service").stdout.strip() == "disabled"


def test_rules_changed_by_hand_are_seen_and_put_right(host, reach):
    assert "changed: false" in run().stdout
    host.run_test("nft insert rule inet ferryman input tcp dport 8081 accept")
    assert reach(8081) == "open"
    assert "changed: true" in run("--check").stdout
    assert run().returncode == 0
    assert reach(8081) == "silent"


# --- changes that go wrong --------------------------------------------------------------------------------------------


def test_closing_the_port_that_we_came_by_is_refused(host):
    before = host.file(RULES).content_string
    answer = run(ssh_port=1)
    assert "these rules would close" in answer.stdout
    assert "nothing was changed" in answer.stdout
    assert host.file(RULES).content_string == before


# Rules that close our own way in are refused, so here it is the driver's SSH that cannot come back: once it has dropped
# its first connection, every new one fails for a while.
SSH = """#!/bin/sh
case " $* " in
  *" -O "*) [ -e {mark} ] || date +%s > {mark} ;;
  *) if [ -e {mark} ] && [ $(($(date +%s) - $(cat {mark}))) -lt {seconds} ]; then exit 255; fi ;;
esac
exec ssh "$@"
"""


@pytest.fixture
def cut_off(tmp_path):
    """Return the environment of a driver that cannot come back for some seconds."""

    def make(seconds: int) -> dict[str, str]:
        program = tmp_path / "ssh"
        program.write_text(SSH.format(mark=tmp_path / "dropped", seconds=seconds))
        program.chmod(0o755)
        return {**os.environ, "ANSIBLE_SSH_EXECUTABLE": str(program)}

    return make


def test_rules_that_nobody_confirms_are_undone_and_said(host, cut_off):
    before = host.file(RULES).content_string
    answer = run(allow=[{"port": "9999"}], undo_after_s=10, env=cut_off(14))
    assert answer.returncode != 0
    said = " ".join(answer.stdout.split())
    assert "no new connection got through, so the change was undone after 10 s; the host is reached as before" in said
    assert host.file(RULES).content_string == before
    assert "9999" not in host.run_test("nft list table inet ferryman").stdout


@pytest.mark.parametrize("end", ["timer", "reboot"])
def test_rules_are_undone_when_the_driver_dies(host, cut_off, end):
    seconds = 15 if end == "timer" else 3600
    command = ad_hoc(allow=[{"port": "9999"}], undo_after_s=seconds)
    driver = subprocess.Popen(command, env=cut_off(3600), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait(lambda: host.file(PENDING).exists and "9999" in host.run("nft list table inet ferryman").stdout)
    processes.end(driver)
    if end == "reboot":
        reboot(host)
    wait(lambda: not host.file(PENDING).exists, seconds=27)
    assert "9999" not in host.run_test("nft list table inet ferryman").stdout
    assert "policy drop" in host.run_test("nft list table inet ferryman").stdout


def reboot(host):
    """Boot the host anew. A container keeps its network's rules over that; a machine begins with none."""
    started = host.run_test("systemctl show -P UserspaceTimestamp").stdout
    host.run_test("systemd-run -q --on-active=1 /bin/sh -c 'nft flush ruleset; systemctl reboot'")
    wait(lambda: ssh("systemctl", "show", "-P", "UserspaceTimestamp").stdout not in ("", started))
    wait(lambda: ssh("systemctl", "is-active", "--quiet", "ferryman-firewall.service").returncode == 0)


def test_rules_survive_a_reboot(host):
    reboot(host)
    assert "policy drop" in host.run_test("nft list table inet ferryman").stdout


def test_rules_come_back_when_another_service_flushes_them(host):
    for act in ("start", "restart", "reload", "stop"):
        host.run_test(f"systemctl {act} nftables.service")
        wait(lambda: "policy drop" in host.run("nft list table inet ferryman").stdout, seconds=10)


def test_a_firewall_of_somebody_else_is_not_taken_over(host):
    host.run_test(
        "nft 'table inet theirs { chain input { type filter hook input priority 0; policy drop; accept; }; }'"
    )
    answer = run(allow=[{"port": "9999"}])
    assert (
        "this host has a firewall of its own (chain input of table inet theirs drops what it does not know)"
        in answer.stdout
    )
    assert run(adopt=True).returncode == 0
    assert "theirs" in host.run_test("nft list tables").stdout
    host.run_test("nft delete table inet theirs")


def test_ufw_is_refused_and_taken_over_when_asked(host):
    port = host.ansible.get_variables()["ansible_port"]
    host.run_test("apt-get install -y -q --no-install-recommends ufw")
    host.run_test(f"ufw allow {port}/tcp && ufw --force enable && systemctl start ufw")
    assert "ufw.service is active" in run().stdout
    assert run(adopt=True).returncode == 0
    assert "inactive" in host.run_test("ufw status").stdout
    assert "changed: false" in run().stdout
