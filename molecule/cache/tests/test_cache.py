"""What role cache promises, seen from outside.

Requirements: BAK-8.
"""

import base64
import json
import re
from pathlib import Path

import pytest
import yaml

CONVERGE = yaml.safe_load((Path(__file__).parents[1] / "converge.yml").read_text())[0]["roles"][0]["vars"]
PLANTED = CONVERGE["cache_password"]
SNAPSHOTS = [{"after_s": 3600, "changes": 1}]
SUM = """
import hashlib, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())
"""


@pytest.fixture(scope="module")
def engine(host):
    return json.loads(host.file("/etc/ferryman/cache.json").content_string)["engine"]


@pytest.fixture(scope="module")
def address(host):
    """The private address of the host's that converge.yml names."""
    return host.check_output("ip -4 -o route get 192.0.2.1").split(" src ")[1].split()[0]


def ask(host, engine, words, password=PLANTED, place="127.0.0.1", port=6379):
    """Ask the cache as an application does; veiled, since sudo writes the tests' own commands to the journal."""
    veiled = base64.b64encode(password.encode()).decode()
    secret = f"REDISCLI_AUTH=$(echo {veiled} | base64 -d)" if password else ""
    return host.check_output(f"{secret} {engine}-cli -h {place} -p {port} {words} 2>&1")


def module(host, module_name, words, check=False):
    """Run a module of the collection as a play would; return its answer."""
    return host.ansible(f"ferryman.ops.{module_name}", json.dumps(words), check=check, become=True)


def setup(host, address, check=False, **other):
    """Run the role's module with the wishes of converge.yml and others."""
    given = {
        "name": "demo", "password": PLANTED,
        "addresses": [address], "port": 6379, "memory_mb": 32, "eviction": "allkeys-lru",
        "snapshots": SNAPSHOTS, "settings": CONVERGE["cache_settings"],
    }  # fmt: skip
    return module(host, "cache_setup", {**given, **other}, check)


def pid(host, engine):
    return host.check_output(f"systemctl show -P MainPID {engine}-server@ferryman.service")


def test_an_application_gets_in_by_the_password_where_it_was_named(host, engine, address):
    for place in ("127.0.0.1", address):
        assert ask(host, engine, "set greeting hello", place=place) == "OK"
    assert ask(host, engine, "get greeting") == "hello"


@pytest.mark.parametrize("password", ["", "another one than that"])
def test_nobody_gets_in_without_the_password(host, engine, password):
    assert re.search("NOAUTH|WRONGPASS", ask(host, engine, "get greeting", password=password))


def test_it_listens_on_loopback_and_on_what_was_named_alone(host, address):
    found = host.check_output("ss -Hltn 'sport = :6379'").splitlines()
    assert {line.split()[3].rpartition(":")[0] for line in found} == {"127.0.0.1", "[::1]", address}


def test_the_password_lies_nowhere_in_clear(host, engine):
    digest = host.run("printf %%s %s | base64 -d | python3 -c %s", base64.b64encode(PLANTED.encode()).decode(), SUM)
    settings = host.file(f"/etc/{engine}/{engine}-ferryman.conf")
    assert digest.stdout.strip() in settings.content_string
    assert (settings.user, settings.mode) == (engine, 0o400)
    host.check_output("printf %%s %s | base64 -d > /run/planted", base64.b64encode(PLANTED.encode()).decode())
    lines = "journalctl --no-pager -o export | grep --count -aFf /run/planted"
    files = "grep -rlaFf /run/planted /etc /var/lib /var/log /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null"
    assert host.run(lines).stdout.strip() == "0"
    assert host.run(files).stdout.split() == []
    host.check_output("rm /run/planted")


def test_what_would_take_more_than_its_memory_goes(host, engine):
    fill = 'eval \'for n = 1, 60 do redis.call("set", "fill:" .. n, string.rep("x", 1000000)) end\' 0'
    ask(host, engine, fill)
    told = dict(line.partition(":")[::2] for line in ask(host, engine, "info").splitlines())
    assert int(told["used_memory"]) <= int(told["maxmemory"]) == 32 * 2**20
    assert int(told["evicted_keys"]) > 20
    ask(host, engine, "flushall")


def test_a_restart_keeps_what_is_in_it(host, engine):
    ask(host, engine, "-n 3 set kept yes")
    host.check_output(f"systemctl restart {engine}-server@ferryman.service")
    assert ask(host, engine, "-n 3 get kept") == "yes"


def test_it_begins_with_the_host(host, engine):
    assert host.service(f"{engine}-server@ferryman.service").is_enabled


def test_a_new_bound_is_in_force_at_once_and_nobody_is_sent_away(host, engine, address):
    before = pid(host, engine)
    pretended = setup(host, address, check=True, memory_mb=48)
    assert (pretended["changed"], pretended["steps"][0]) == (True, "set maxmemory")
    assert ask(host, engine, "config get maxmemory").split()[1] == str(32 * 2**20)
    assert setup(host, address, memory_mb=48)["changed"]
    assert ask(host, engine, "config get maxmemory").split()[1] == str(48 * 2**20)
    assert not setup(host, address, memory_mb=48)["changed"]
    setup(host, address)
    assert pid(host, engine) == before


def test_what_needs_a_restart_keeps_what_is_in_it_also_without_any_rule_for_snapshots(host, engine, address):
    setup(host, address, snapshots=[])
    ask(host, engine, "set kept here")
    more = {**CONVERGE["cache_settings"], "databases": 6}
    assert f"restart {engine}-server@ferryman.service" in setup(host, address, snapshots=[], settings=more)["steps"]
    assert ask(host, engine, "-n 5 ping") == "PONG"
    assert ask(host, engine, "get kept") == "here"
    setup(host, address)


def test_another_password_and_another_port_are_in_force_at_once(host, engine, address):
    before = pid(host, engine)
    setup(host, address, password="of another day, and long", port=6380)
    assert "WRONGPASS" in ask(host, engine, "ping", port=6380)
    assert ask(host, engine, "ping", password="of another day, and long", port=6380) == "PONG"
    setup(host, address)
    assert ask(host, engine, "ping") == "PONG"
    assert pid(host, engine) == before


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"settings": {"no-such-word": "1"}}, "has no no-such-word"),
        ({"settings": {"hz": "often"}}, "refuses hz often"),
        ({"settings": {"appendonly": "yes"}}, "cache_settings.appendonly: is Ferryman's own"),
        ({"settings": {"maxmemory": "1gb"}}, "cache_settings.maxmemory: say it by cache_memory_mb"),
        ({"addresses": ["0.0.0.0"]}, "0.0.0.0 is no private address"),
        ({"addresses": ["8.8.8.8"]}, "8.8.8.8 is no private address"),
        ({"memory_mb": 10**7}, "cache_memory_mb: 10000000 MB of a host with"),
        ({"name": "staging"}, "this host's cache is that of demo, and not of staging"),
        ({"password": "short"}, "cache_password: at least 16 characters"),
    ],
)
def test_what_cannot_be_is_refused_and_it_serves_as_before(host, engine, address, wish, said):
    before = host.file(f"/etc/{engine}/{engine}-ferryman.conf").content_string
    assert said in setup(host, address, **wish)["msg"]
    assert host.file(f"/etc/{engine}/{engine}-ferryman.conf").content_string == before
    assert ask(host, engine, "ping") == "PONG"


def test_settings_that_it_does_not_start_with_are_taken_back(host, engine, address):
    ask(host, engine, "set kept still")
    told = setup(host, address, settings={**CONVERGE["cache_settings"], "databases": 0})
    assert "did not start" in told["msg"]
    assert "databases" in told["msg"]
    assert ask(host, engine, "get kept") == "still"
    assert not setup(host, address)["changed"]


def test_the_packages_own_server_never_ran(host, engine):
    unit = f"{engine}-server.service"
    assert host.check_output(f"systemctl show -P LoadState {unit}") == "masked"
    assert host.check_output(f"systemctl show -P ExecMainStartTimestampMonotonic {unit}") in ("", "0")


def test_a_port_that_somebody_has_is_refused_with_the_name(host, engine):
    host.check_output(f"systemd-run --quiet --unit theirs /usr/bin/{engine}-server --port 6390 --save ''")
    host.check_output("timeout 10 sh -c 'until ss -Hltn sport = :6390 | grep -q 6390; do sleep 0.1; done'")
    try:
        told = module(host, "cache_prepare", {"port": 6390})["msg"]
        assert "theirs.service" in told
        assert "choose another port (cache_port)" in told
        assert not module(host, "cache_prepare", {"port": 6379})["changed"]
    finally:
        host.check_output("systemctl stop theirs.service")
