"""What role postgresql promises, seen from outside.

Requirements: SEC-6.
"""

import base64
import json
import re
from pathlib import Path

import pytest
import yaml

CONVERGE = yaml.safe_load((Path(__file__).parents[1] / "converge.yml").read_text())[0]["roles"][0]["vars"]
PLANTED = CONVERGE["postgresql_databases"][0]["password"]


def conf(host):
    """Where the cluster's files lie: the version is the host's Debian's."""
    return host.check_output("ls -d /etc/postgresql/*/main")


def log(host):
    """What the server wrote down."""
    return host.check_output("cat /var/log/postgresql/postgresql-*-main.log")


def sql(host, query, database="postgres"):
    return host.check_output("runuser -u postgres -- psql -XAtc %s -d %s", query, database)


def log_in(host, password, user="notes", database="notes", place="127.0.0.1"):
    """Try a login over TCP; veiled, since sudo writes the tests' own commands to the journal that they search."""
    veiled = base64.b64encode(password.encode()).decode()
    url = f"host={place} user={user} dbname={database}"
    return host.run("PGPASSWORD=$(echo %s | base64 -d) psql -XAtwc 'select current_user' %s", veiled, url)


def module(host, name, check=True, **words):
    """Run a module of the collection as a play would; return its answer."""
    return host.ansible(f"ferryman.ops.{name}", json.dumps(words), check=check, become=True)


def setup(host, check=False, more=(), passwords=None, settings=None):
    """Run the role's module with the wishes of converge.yml and some more."""
    given = CONVERGE["postgresql_databases"]
    return module(
        host,
        "postgresql_setup",
        check,
        databases=[{k: v for k, v in base.items() if k != "password"} for base in given] + list(more),
        passwords={**{base["name"]: base["password"] for base in given}, **(passwords or {})},
        listen=CONVERGE["postgresql_listen"],
        allow=CONVERGE["postgresql_allow"],
        settings={**CONVERGE["postgresql_settings"], **(settings or {})},
    )


@pytest.mark.parametrize("place", ["127.0.0.1", "::1"])
def test_the_owner_logs_in_with_its_password(host, place):
    assert log_in(host, PLANTED, place=place).stdout == "notes\n"


def test_a_wrong_password_is_refused(host):
    answer = log_in(host, "wrong")
    assert answer.rc == 2
    assert "password authentication failed" in answer.stderr


def test_nobody_gets_into_anothers_database(host):
    answer = log_in(host, "another one", user="notes-staging")
    assert answer.rc == 2
    assert "permission denied for database" in answer.stderr


def test_passwords_are_kept_as_scram_verifiers(host):
    stored = sql(host, "select rolpassword from pg_authid where rolname = 'notes'")
    assert re.fullmatch(r"SCRAM-SHA-256\$4096:[^$]+\$[^:]+:.+", stored)


@pytest.mark.parametrize("part", ["planted", "another one"])
def test_no_log_no_history_and_no_leftover_holds_a_password(host, part):
    pattern = f"{part[:-1]}[{part[-1]}]"  # not found in the line that sudo logs about this search
    assert host.run("grep -rlI %s /var/log /root /run /tmp /etc /home", pattern).stdout == ""
    assert part not in host.check_output("journalctl --no-pager -o cat")
    assert part not in log(host)


def test_the_servers_log_holds_no_verifier(host):
    assert "connection authorized" in log(host)
    assert "SCRAM-SHA-256$" not in log(host)


def test_databases_are_in_utf_8_with_their_extensions(host):
    query = "select pg_encoding_to_char(encoding), pg_get_userbyid(datdba) from pg_database where datname = 'notes'"
    assert sql(host, query) == "UTF8|notes"
    assert "pg_trgm" in sql(host, "select extname from pg_extension", "notes")


def test_the_cluster_has_checksums(host):
    assert sql(host, "show data_checksums") == "on"


def test_settings_are_in_effect_and_sized_by_memory(host):
    text = host.file(f"{conf(host)}/conf.d/ferryman.conf").content_string
    written = dict(re.findall(r"^(\w+) = '(.*)'$", text, re.MULTILINE))
    for name in ("shared_buffers", "work_mem", "effective_cache_size", "maintenance_work_mem"):
        assert sql(host, f"select pg_size_bytes(current_setting('{name}')) / 1048576") + "MB" == written[name]
    assert sql(host, "show max_connections") == written["max_connections"]
    assert sql(host, "show log_statement") == "all"
    assert sql(host, "select count(*) from pg_settings where pending_restart") == "0"
    megabytes = int(host.check_output("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    assert 16 <= int(written["shared_buffers"].removesuffix("MB")) <= megabytes / 8 + 1


def test_from_elsewhere_only_over_tls(host):
    rules = host.file(f"{conf(host)}/pg_hba.conf").content_string
    assert 'hostssl "notes" "notes" 192.0.2.0/24 scram-sha-256' in rules
    assert "local   all             postgres                                peer" in rules
    assert rules.startswith("# BEGIN FERRYMAN")


def test_settings_that_the_server_refuses_are_never_in_place(host):
    before = host.file(f"{conf(host)}/conf.d/ferryman.conf").content_string
    assert "invalid value for parameter" in setup(host, settings={"work_mem": "lots"})["msg"]
    assert host.file(f"{conf(host)}/conf.d/ferryman.conf").content_string == before


def test_settings_that_the_server_does_not_start_with_are_taken_back(host):
    before = host.file(f"{conf(host)}/conf.d/ferryman.conf").content_string
    assert "shared memory" in setup(host, settings={"shared_buffers": "900GB"})["msg"]
    assert host.file(f"{conf(host)}/conf.d/ferryman.conf").content_string == before
    assert log_in(host, PLANTED).rc == 0


def test_a_password_is_rotated_once_and_others_stay(host):
    wish = [{"name": "rotating", "owner": "rotating"}]
    assert "create database rotating" in setup(host, more=wish, passwords={"rotating": "the first"})["steps"]
    verifier = sql(host, "select rolpassword from pg_authid where rolname = 'notes'")
    second = setup(host, more=wish, passwords={"rotating": "the second"})
    assert second["steps"] == ["set the password of rotating"]
    assert log_in(host, "the first", "rotating", "rotating").rc == 2
    assert log_in(host, "the second", "rotating", "rotating").rc == 0
    assert not setup(host, more=wish, passwords={"rotating": "the second"})["changed"]
    assert sql(host, "select rolpassword from pg_authid where rolname = 'notes'") == verifier
    assert "the second" not in host.check_output("journalctl --no-pager -o cat")
    sql(host, "drop database rotating")
    sql(host, "drop role rotating")
    assert setup(host)["steps"] == [f"write {conf(host)}/pg_hba.conf"]


def test_check_mode_changes_nothing(host):
    answer = setup(host, check=True, more=[{"name": "dry", "owner": "dry"}], settings={"work_mem": "3MB"})
    assert "create database dry" in answer["steps"]
    assert sql(host, "select count(*) from pg_roles where rolname = 'dry'") == "0"
    assert sql(host, "show work_mem") != "3MB"


def test_what_belongs_to_others_is_refused(host):
    assert "belongs to 'postgres', not to 'notes'" in setup(host, more=[{"name": "postgres", "owner": "notes"}])["msg"]
    assert "is a superuser" in setup(host, more=[{"name": "x", "owner": "postgres"}])["msg"]


def test_a_setting_made_by_hand_wins_over_a_computed_one(host):
    host.check_output("echo 'work_mem = 7MB' > %s/conf.d/aa-own.conf", conf(host))
    try:
        assert "work_mem" not in setup(host, check=True)["settings"]
    finally:
        host.check_output("rm %s/conf.d/aa-own.conf", conf(host))


def test_a_foreign_listener_is_named(host):
    host.check_output("systemd-run -q --unit squatter python3 -m http.server 5544")
    try:
        host.check_output("timeout 5 sh -c 'until ss -Hltn | grep -q :5544; do sleep 0.1; done'")
        answer = module(host, "postgresql_prepare", port=5544)
        assert "port 5544 is taken by python3" in answer["msg"]
    finally:
        host.check_output("systemctl stop squatter")
