"""What the role does on a server that already carries something, and when something is wrong."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
HAND_MADE = "/etc/nginx/sites-enabled/hand-made"
TLS = "ssl_certificate {0}/certificate.pem; ssl_certificate_key {0}/key.pem;".format("/etc/nginx/ferryman-tls/plain")
OTHERS = [{"name": "other", "domains": ["other.test"], "root": "/srv/other"}]


def play(*words: str, **variables: Any) -> tuple[int, str]:
    """Run the scenario's playbook again with other values, as an operator does."""
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            os.environ["MOLECULE_INVENTORY_FILE"],
            "converge.yml",
            "-e",
            json.dumps(variables),
            *words,
        ],
        cwd=os.environ["MOLECULE_SCENARIO_DIRECTORY"],
        env={**os.environ, "ANSIBLE_CONFIG": str(EPHEMERAL / "ansible.cfg"), "NO_COLOR": "1", "COLUMNS": "1000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, " ".join(done.stdout.split())


def health(host: Any, name: str = "demo.test") -> dict[str, str]:
    url = f"https://{name}/.well-known/ferryman/health"
    done = host.run(f"curl -ks --resolve {name}:443:127.0.0.1 {url}")
    found: dict[str, str] = json.loads(done.stdout) if done.rc == 0 else {}
    return found


def in_place(host: Any) -> tuple[str, ...]:
    """Everything of nginx's configuration, and which workers run with it."""
    return (
        host.check_output("find /etc/nginx -not -name '.placeholder*' | sort; readlink /etc/nginx/ferryman"),
        host.check_output("pgrep -P $(cat /run/nginx.pid) | sort"),
    )


@pytest.fixture
def hand_made(host: Any) -> Iterator[Any]:
    """Somebody's own site, put there after ours."""

    def write(text: str) -> None:
        host.check_output(f"cat > {HAND_MADE} <<'END'\n{text}\nEND")

    yield write
    host.check_output(f"rm -f {HAND_MADE} && systemctl reload nginx")


def test_a_broken_configuration_of_somebody_else_is_named_and_nothing_changes(host: Any, hand_made: Any) -> None:
    hand_made("server { listen 8081; lisen 8082; }")
    before = in_place(host)
    code, said = play(nginx_hsts_seconds=100)
    assert code != 0
    assert "not by Ferryman" in said
    assert 'unknown directive "lisen" in /etc/nginx/sites-enabled/hand-made:1' in said
    assert in_place(host) == before
    assert health(host)["site"] == "demo-app"


def test_a_broken_configuration_is_named_even_if_ours_is_in_place(hand_made: Any) -> None:
    hand_made("server { listen 8081; lisen 8082; }")
    code, said = play()
    assert code != 0
    assert "not by Ferryman" in said


def test_a_name_that_somebody_else_serves_is_refused_and_the_old_configuration_serves_on(
    host: Any, hand_made: Any
) -> None:
    hand_made("server { listen 80; server_name taken.test; }")
    hand_made(f"server {{ listen 443 ssl; server_name taken.test; {TLS} return 200 mine; }}")
    host.check_output("systemctl reload nginx")
    before = health(host)["configuration"]
    code, said = play(nginx_owner="other", nginx_sites=[{"name": "taken", "domains": ["taken.test"], "root": "/srv/x"}])
    assert code != 0
    assert "another site answers for taken.test" in said
    assert "The previous configuration was put back and serves." in said
    assert health(host)["configuration"] == before
    assert host.check_output("curl -ks --resolve taken.test:443:127.0.0.1 https://taken.test/") == "mine"


def test_the_site_that_was_there_before_stays_the_default_one(host: Any, hand_made: Any) -> None:
    assert "Welcome to nginx" in host.check_output("curl -s http://127.0.0.1/")
    hand_made(f"server {{ listen 443 ssl; server_name mine.test; {TLS} return 200 mine; }}")
    host.check_output("systemctl reload nginx")
    assert host.check_output("for i in 1 2 3 4 5; do curl -ks https://127.0.0.1/ && break; sleep 0.2; done") == "mine"


def test_a_foreign_listener_is_refused_by_name(host: Any) -> None:
    host.check_output("systemctl stop nginx && systemd-run --unit=foreign python3 -m http.server 443")
    host.check_output(
        "for i in $(seq 50); do curl -so /dev/null http://127.0.0.1:443/ && exit 0; sleep 0.1; done; exit 1"
    )
    try:
        code, said = play()
        assert code != 0
        assert "port 443: python3 (process" in said
        assert "foreign.service" in said
    finally:
        host.check_output("systemctl stop foreign && systemctl start nginx")


def test_a_run_that_was_cut_off_before_the_reload_is_finished_by_the_next(host: Any) -> None:
    assert play(nginx_hsts_seconds=100)[0] == 0
    live, other = host.check_output("readlink /etc/nginx/ferryman"), health(host)["configuration"]
    assert play()[0] == 0
    host.check_output(f"ln -sfn {live} /etc/nginx/ferryman")
    assert health(host)["configuration"] != other
    assert play(nginx_hsts_seconds=100)[0] == 0
    assert health(host)["configuration"] == other
    assert play()[0] == 0


def test_a_stopped_nginx_is_started(host: Any) -> None:
    host.check_output("systemctl stop nginx")
    assert play()[0] == 0
    assert host.service("nginx").is_running


def test_sites_of_another_owner_stay_and_go_with_their_owner_alone(host: Any) -> None:
    assert play(nginx_owner="other", nginx_sites=OTHERS)[0] == 0
    assert health(host, "other.test")["site"] == "other"
    assert health(host, "demo.test")["site"] == "demo-app"
    code, said = play()
    assert (code, "changed=0" in said) == (0, True)
    code, said = play(nginx_owner="third", nginx_sites=[{**OTHERS[0], "name": "again"}])
    assert code != 0
    assert "other.test is served for site other of 'other' already" in said
    assert play(nginx_owner="other", nginx_sites=[])[0] == 0
    assert health(host, "other.test") == {}
    assert not host.file("/etc/nginx/ferryman-tls/other").exists


def test_a_new_configuration_is_served_when_the_role_has_ended(host: Any) -> None:
    before = health(host)["configuration"]
    assert play(nginx_hsts_seconds=0)[0] == 0
    assert health(host)["configuration"] != before
    assert (
        "strict-transport"
        not in host.check_output("curl -kis --resolve demo.test:443:127.0.0.1 https://demo.test/").lower()
    )
    assert play()[0] == 0
    assert health(host)["configuration"] == before


def test_check_mode_shows_the_difference_and_changes_nothing(host: Any) -> None:
    before = in_place(host)
    code, said = play("--check", "--diff", nginx_hsts_seconds=100)
    assert code == 0
    assert "max-age=100" in said
    assert "changed=1" in said
    assert in_place(host) == before


def test_all_that_is_wrong_is_said_at_once_and_before_anything_changes(host: Any) -> None:
    before = in_place(host)
    code, said = play(
        nginx_sites=[
            {"name": "Bad", "domains": ["UPPER.test"], "root": "/srv/x; evil"},
            {"name": "two", "domains": ["demo.test"], "upstreams": ["127.0.0.1"], "root": "/x"},
        ]
    )
    assert code != 0
    for part in ("name must be", "'UPPER.test'", "'/srv/x; evil'", "exactly one of", "'127.0.0.1' is no address"):
        assert part in said
    assert in_place(host) == before


def test_maintenance_is_one_act_and_looked_at(host: Any) -> None:
    host.check_output("mkdir -p /srv/pages && echo home > /srv/pages/index.html")
    for shown, status in ((True, "503"), (False, "200")):
        words = ["-m", "ferryman.ops.nginx_maintenance", "-a", f"site=pages shown={shown}", "--become", "host"]
        done = subprocess.run(
            ["ansible", "-i", os.environ["MOLECULE_INVENTORY_FILE"], *words],
            env={**os.environ, "ANSIBLE_CONFIG": str(EPHEMERAL / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        url = "--resolve pages.test:443:127.0.0.1 https://pages.test/"
        assert host.check_output(f"curl -ks -o /dev/null -w '%{{http_code}}' {url}") == status


# Limits, of a site that another playbook provisions on the same host


@pytest.fixture(scope="module")
def limited(host: Any) -> Any:
    """A site with a large file, which lets a client ask five times a second and hold two connections."""
    site = {"name": "limited", "domains": ["limited.test"], "root": "/srv/limited"}
    host.check_output("mkdir -p /srv/limited && truncate -s 40M /srv/limited/large")
    limits = {"nginx_requests_per_second": 5, "nginx_connections_per_client": 2}
    code, said = play(nginx_owner="limited", nginx_sites=[site], **limits)
    assert code == 0, said
    return host


def many(host: Any, count: int, client: str, *, rounds: int = 1) -> list[str]:
    """Return the statuses of so many requests of a client at once, `rounds` times; a trusted proxy tells who it is."""
    ask = f"curl -ksSo /dev/null -w '%{{http_code}}\\n' --interface 127.0.0.2 -H 'X-Forwarded-For: {client}'"
    ask += " --resolve limited.test:443:127.0.0.1 -r 0-9 https://limited.test/large"
    told: str = host.check_output(f"for r in $(seq {rounds}); do for n in $(seq {count}); do {ask} & done; wait; done")
    return sorted(told.split())


def test_a_client_that_asks_too_often_is_told_to_wait_and_no_other_one_is(limited: Any) -> None:
    told = many(limited, 2, "192.0.2.1", rounds=15)
    assert {*told} == {"206", "429"}
    assert told.count("206") >= 11, "the first one, and a burst of ten"
    assert many(limited, 2, "192.0.2.2") == ["206", "206"]
    time.sleep(2)
    assert many(limited, 1, "192.0.2.1") == ["206"]


def test_a_client_that_holds_too_many_connections_gets_no_more_until_they_have_ended(limited: Any) -> None:
    slow = "curl -ksSo /dev/null --limit-rate 4M --interface 127.0.0.2 -H 'X-Forwarded-For: 192.0.2.3'"
    slow += " --resolve limited.test:443:127.0.0.1 https://limited.test/large"
    limited.check_output(f"for n in 1 2; do systemd-run --quiet --unit=slow-$n {slow}; done; sleep 1")
    assert many(limited, 1, "192.0.2.3") == ["429"]
    assert many(limited, 1, "192.0.2.4") == ["206"]
    ended = "for n in $(seq 300); do systemctl is-active --quiet slow-1 slow-2 || exit 0; sleep 0.1; done; exit 1"
    limited.check_output(ended)
    assert many(limited, 1, "192.0.2.3") == ["206"]
