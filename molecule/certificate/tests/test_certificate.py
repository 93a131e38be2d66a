"""Certificates from a real ACME server, judged by what clients are served.

Requirements: CERT-1, CERT-2.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

testinfra_hosts = ["ansible://host"]
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
RENEW = "/usr/bin/python3 /usr/local/lib/ferryman/certificate renew"
HOOK = "/etc/ferryman/certificates.d/nginx"
# One client with one connection, which tries once more on a fresh one, as all clients do when a connection was closed.
CLIENT = """
import http.client, ssl, sys, time
context = ssl._create_unverified_context()
connection, asked, failed, until = None, 0, 0, time.monotonic() + float(sys.argv[1])
def ask():
    global connection
    if connection is None:
        connection = http.client.HTTPSConnection("127.0.0.1", 443, context=context, timeout=5)
    connection.request("GET", "/", headers={"Host": "demo.test"})
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200
context.check_hostname = False
connect = http.client.HTTPSConnection.connect
def named(self):
    import socket
    self.sock = context.wrap_socket(socket.create_connection((self.host, self.port), 5), server_hostname="demo.test")
http.client.HTTPSConnection.connect = named
while time.monotonic() < until:
    asked += 1
    for attempt in (1, 2):
        try:
            if ask():
                break
        except (OSError, http.client.HTTPException):
            pass
        connection = None
    else:
        failed += 1
print(asked, failed)
"""


def play(*words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the scenario's playbook again with other values, as an operator does."""
    return subprocess.run(
        ["ansible-playbook", "-i", INVENTORY, "converge.yml", "-e", json.dumps(variables), *words],
        cwd=os.environ["MOLECULE_SCENARIO_DIRECTORY"],
        env={**os.environ, "ANSIBLE_CONFIG": str(EPHEMERAL / "ansible.cfg"), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def record(host: Any, name: str = "demo") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output(f"cat /var/lib/ferryman/certificates/{name}.json"))
    return found


def served(host: Any, domain: str) -> str:
    words = f"openssl s_client -connect 127.0.0.1:443 -servername {domain} </dev/null 2>/dev/null"
    return (
        str(host.check_output(f"{words} | openssl x509 -noout -fingerprint -sha256"))
        .partition("=")[2]
        .replace(":", "")
        .lower()
    )


@pytest.fixture(scope="module")
def acme() -> Any:
    return testinfra.get_host("ansible://acme", ansible_inventory=INVENTORY, sudo=True)


@pytest.fixture
def short_lived(acme: Any) -> Iterator[None]:
    """The authority issues for 30 seconds; started anew, it has forgotten all accounts."""
    path = "/etc/sandbox-acme/pebble.json"
    wait = "for i in $(seq 50); do curl -sko /dev/null https://localhost:14000/dir && exit 0; sleep 0.1; done; exit 1"
    restart = f"systemctl restart sandbox-pebble && {wait}"
    before = acme.check_output(f"cat {path}")
    settings = json.loads(before)
    settings["pebble"]["certificateValidityPeriod"] = 30
    acme.check_output(f"echo '{json.dumps(settings)}' > {path}; {restart}")
    yield
    acme.check_output(f"echo '{before}' > {path}; {restart}")


def test_every_name_is_served_with_a_certificate_that_the_authoritys_root_vouches_for(host: Any) -> None:
    # Asked for now: the authority has a new root after every start, and another test starts it anew.
    host.check_output("curl -sfko /tmp/ca.pem https://acme:15000/roots/0")
    for name in ("demo.test", "www.demo.test"):
        url = f"https://{name}/.well-known/ferryman/health"
        assert (
            json.loads(host.check_output(f"curl -s --cacert /tmp/ca.pem --resolve {name}:443:127.0.0.1 {url}"))["site"]
            == "demo"
        )


@pytest.mark.parametrize(("name", "domain"), [("demo", "demo.test"), ("own", "own.test"), ("given", "given.test")])
def test_the_record_names_what_is_served(host: Any, name: str, domain: str) -> None:
    found = record(host, name)
    assert found["fingerprint"] == served(host, domain)
    assert found["served"]["state"] == "same"
    assert domain in found["names"]
    assert not found["near_expiry"]
    assert found["last_renewal"] <= found["last_attempt"]["at"]


def test_the_issuer_is_in_the_record(host: Any) -> None:
    assert "Pebble" in record(host)["issuer"]


def test_keys_are_roots_alone(host: Any) -> None:
    for name in ("demo", "own", "given"):
        assert host.check_output(f"stat -Lc %U:%a /etc/ferryman/certificates/{name}/privkey.pem") == "root:600"


def test_the_timer_runs_and_survives_a_boot(host: Any) -> None:
    assert host.service("ferryman-certificate.timer").is_running
    assert host.service("ferryman-certificate.timer").is_enabled


def test_what_is_not_due_is_left_alone(host: Any) -> None:
    before = record(host)["fingerprint"]
    host.check_output("systemctl start ferryman-certificate.service")
    found = record(host)
    assert (found["fingerprint"], found["last_attempt"]["result"]) == (before, "not due")


def test_a_renewal_is_served_without_a_failed_request(host: Any) -> None:
    before = record(host)["fingerprint"]
    host.check_output("mkdir -p /srv/demo && echo home > /srv/demo/index.html")
    host.check_output(f"cat > /tmp/client.py <<'END'\n{CLIENT}\nEND")
    done = host.check_output(
        f"python3 /tmp/client.py 9 > /tmp/client.out & {RENEW} --name demo --force; wait; cat /tmp/client.out"
    )
    asked, failed = done.splitlines()[-1].split()
    assert int(asked) > 100
    assert int(failed) == 0
    assert served(host, "demo.test") == record(host)["fingerprint"] != before


def test_a_short_lived_certificate_is_renewed_in_time_by_an_authority_that_forgot_our_account(
    host: Any, short_lived: None
) -> None:
    host.check_output(f"{RENEW} --name demo --force")
    first = record(host)
    assert first["last_attempt"]["result"] == "renewed"
    time.sleep(17)  # certbot renews the short-lived when half of their time is over
    host.check_output("systemctl start ferryman-certificate.service")
    second = record(host)
    assert second["last_attempt"]["result"] == "renewed"
    assert second["fingerprint"] == served(host, "demo.test") != first["fingerprint"]


def test_it_gets_a_long_one_again(host: Any) -> None:
    host.check_output(f"{RENEW} --name demo --force")
    assert not record(host)["near_expiry"]


def test_a_renewal_that_is_not_taken_up_is_a_failure_and_heals_by_itself(host: Any) -> None:
    old = served(host, "demo.test")
    host.check_output(
        f"mv {HOOK} /tmp/hook && printf '#!/bin/sh\\necho reload refused; exit 1\\n' > {HOOK} && chmod 755 {HOOK}"
    )
    try:
        done = host.run(f"{RENEW} --name demo --force")
        assert done.rc == 1
        assert "reload refused" in done.stdout
        found = record(host)
        assert (found["served"]["state"], found["last_attempt"]["result"]) == ("other", "failed")
        assert served(host, "demo.test") == old != found["fingerprint"]
    finally:
        host.check_output(f"mv /tmp/hook {HOOK}")
    host.check_output(RENEW)
    assert record(host)["served"]["state"] == "same"


def test_a_hook_that_lies_is_found_out(host: Any) -> None:
    host.check_output(f"mv {HOOK} /tmp/hook && ln -s /bin/true {HOOK}")
    try:
        assert host.run(f"{RENEW} --name demo --force").rc == 1
        assert record(host)["served"]["state"] == "other"
    finally:
        host.check_output(f"rm {HOOK} && mv /tmp/hook {HOOK}")
    host.check_output(RENEW)


def test_a_name_that_does_not_lead_here_fails_with_the_authoritys_reason_and_the_old_one_stays(host: Any) -> None:
    before = served(host, "demo.test")
    wanted = [{"name": "demo", "domains": ["demo.test", "demo.nowhere.example"]}]
    done = play(certificate_list=wanted)
    assert done.returncode != 0
    assert "demo.nowhere.example" in done.stdout
    assert "Detail:" in done.stdout
    assert served(host, "demo.test") == before
    assert record(host)["last_attempt"]["result"] == "failed"


def test_other_names_make_another_certificate(host: Any) -> None:
    before = served(host, "demo.test")
    done = play(certificate_list=[{"name": "demo", "domains": ["demo.test"]}])
    assert done.returncode == 0, done.stdout
    assert record(host)["names"] == ["demo.test"]
    assert served(host, "demo.test") != before
    assert play().returncode == 0
    assert record(host)["names"] == ["demo.test", "www.demo.test"]


def test_without_agreement_to_the_terms_nothing_is_asked_of_an_authority() -> None:
    done = play(certificate_terms_agreed=False)
    assert done.returncode != 0
    assert "certificate_terms_agreed must be true" in done.stdout


def test_a_key_is_never_printed(host: Any) -> None:
    key = (EPHEMERAL / "given.key").read_text().splitlines()[1]
    done = play("-vvv", "--diff")
    assert done.returncode == 0, done.stdout
    assert key not in done.stdout
    assert key not in host.check_output("journalctl --no-pager -o cat"), "a module's arguments are logged on its host"


def test_the_environment_is_built_anew_when_its_python_is_gone(host: Any) -> None:
    host.check_output("ln -sfn /usr/bin/python3.0 $(ls -d /usr/local/lib/ferryman/certbot/[0-9]*)/bin/python3")
    assert host.run("/usr/local/lib/ferryman/certbot/[0-9]*/bin/certbot --version").rc != 0
    host.check_output(RENEW)
    assert host.run("/usr/local/lib/ferryman/certbot/[0-9]*/bin/certbot --version").rc == 0
