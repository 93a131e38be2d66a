"""`check`: what files say of one another and of the applications' own descriptions, and no host is asked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import histories
from tests.support.configured import Configured
from tests.support.processes import outlived

from ferryman import check, telling, variables
from ferryman.outcomes import Story
from ferryman.runs import Event

ASKED = "a host was asked"
FIT = {"key": "disk", "state": "good", "said": "9000 MiB free", "right": ""}


@pytest.fixture
def project(tmp_path: Path) -> Configured:
    """Return a project whose applications have sources, and whose SSH leaves a mark if it is ever called."""
    configured = Configured(tmp_path)
    for app in ("shop", "api"):
        (tmp_path / app).rmdir()
        histories.tiny(tmp_path / app, histories.good("v1"), name=app)
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\ntouch '{tmp_path / ASKED}'\nexit 255\n")
    ssh.chmod(0o755)
    configured.change("hosts.yml", "ansible_user: ops", f"ansible_user: ops\n    ansible_ssh_executable: {ssh}")
    return configured


def described(project: Configured, app: str, **values: Any) -> None:
    """Change an application's description, and commit it."""
    file = project.root / app / "ferryman.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **values}, sort_keys=False))
    git = ["git", "-C", str(project.root / app), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "commit", "-qam", "Change it"], check=True)


def run(project: Configured, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the command as a pipeline does; return exit code and answer."""
    argv = [sys.executable, "-m", "ferryman", "check", "--env", "prod", "--json", *words]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    assert not (project.root / ASKED).exists()
    return done.returncode, json.loads(done.stdout)


def vault_key(root: Path) -> Path:
    """Give the project a key for a vault of prod."""
    key = root / ".ferryman" / "vault" / "prod.key"
    key.parent.mkdir(parents=True)
    key.write_text("the vault's key\n")
    return key


def line(project: Configured, app: str, text: str) -> int:
    """Return the number of the last line of an application's description that begins so."""
    lines = (project.root / app / "ferryman.yml").read_text().splitlines()
    return max(number for number, each in enumerate(lines, 1) if each.startswith(text))


@pytest.mark.parametrize("text", ["apps: {}\n", ""])
def test_an_environment_without_an_application_is_told_as_a_deploy_tells_it(project: Configured, text: str) -> None:
    project.write("apps.yml", text)
    code, told = run(project)
    assert (code, told["error"]) == (1, "prod has no application"), told
    assert told["hint"].endswith("apps.yml under `apps`")


def test_a_lock_that_leaves_things_open_and_a_schedule_that_is_none_are_told_by_their_lines(
    project: Configured,
) -> None:
    (project.root / "shop" / "requirements.txt").write_text("# What we need:\nflask\n")
    job = {"kind": "cron", "command": "true", "schedule": "every day"}
    web = {"kind": "web", "command": "python tiny.py web {port}"}
    described(project, "shop", processes={"web": web, "nightly": job}, secret_env=["DATABASE_URL"])
    code, told = run(project)
    found = {(each["file"], each["line"]): each["wrong"] for each in told["problems"]}
    assert code == 1
    place = line(project, "shop", "    schedule:")
    assert found == {
        ("shop/ferryman.yml", place): "'every day' is no time that systemd reads",
    }
    described(project, "shop", processes={"web": web, "nightly": {**job, "schedule": "daily"}})
    code, told = run(project)
    (problem,) = told["problems"]
    assert (code, problem["file"], problem["line"]) == (1, "shop/requirements.txt", 2)
    assert problem["wrong"] == "is no lock: flask has no exact version"
    assert "uv pip compile" in problem["right"]


def test_descriptions_and_inventory_are_held_against_each_other_all_at_once(project: Configured) -> None:
    described(project, "shop", secret_env=["DATABASE_URI"], migrations={"command": "true", "revision": "true"})
    described(project, "shop", shared=["tiny.py/media"])
    described(project, "api", memory_max="128M")
    project.change("apps.yml", "web: {instances", "wbe: {instances")
    project.change("host.yml", "host_timezone", "host_timezoen")
    code, said = run(project)
    assert code == 1
    found = {
        (each["file"].removeprefix("inventories/prod/group_vars/all/"), each["line"], each["key"]): each
        for each in said["problems"]
    }
    assert sorted(found) == [
        ("api/ferryman.yml", line(project, "api", "memory_max"), "memory_max"),
        ("apps.yml", 7, "apps.shop.secrets.DATABASE_URL"),
        ("apps.yml", 9, "apps.shop.processes.wbe"),
        ("host.yml", 1, "host_timezoen"),
        ("shop/ferryman.yml", line(project, "shop", "- tiny.py/media"), "shared.0"),
        ("shop/ferryman.yml", line(project, "shop", "- DATABASE_URI"), "secret_env.0"),
    ]
    assert "did you mean DATABASE_URI?" in found["apps.yml", 7, "apps.shop.secrets.DATABASE_URL"]["right"]
    assert "did you mean web?" in found["apps.yml", 9, "apps.shop.processes.wbe"]["right"]
    assert "correct-horse" not in json.dumps(said)


def test_sql_that_breaks_what_this_machine_saw_live_is_told_by_its_line_and_is_a_note_before_it_has_looked(
    project: Configured,
) -> None:
    shop = project.root / "shop"
    git = ["git", "-C", str(shop)]
    live = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (shop / "sql").mkdir()
    (shop / "sql" / "0001.sql").write_text("-- It is not needed any more.\nalter table users drop column email;\n")
    subprocess.run([*git, "add", "sql"], check=True)
    described(project, "shop", secret_env=["DATABASE_URL"], migrations={"command": "true", "sql": ["sql"]})
    code, said = run(project)
    assert code == 0, said
    (note,) = said["notes"]
    assert note.startswith("ferryman.yml: which SQL migrations are new is not known (this machine has not seen yet")
    assert note.endswith("sql/0001.sql:2 ban-drop-column")
    seen = project.root / ".ferryman" / "live" / "prod-shop"
    seen.parent.mkdir(parents=True, exist_ok=True)
    seen.write_text(live)
    code, said = run(project)
    (problem,) = said["problems"]
    assert (code, problem["file"], problem["line"]) == (1, "shop/sql/0001.sql", 2)
    assert problem["wrong"] == "ban-drop-column: Dropping a column may break existing clients."
    assert "-- squawk-ignore RULE" in problem["right"]
    described(project, "shop", migrations={"command": "true", "sql": ["sql"], "sql_ignore": ["ban-drop-column"]})
    code, said = run(project)
    assert (code, said["problems"], said["notes"]) == (0, [], [])


def test_a_right_project_is_told_with_what_should_be_known(project: Configured) -> None:
    described(project, "shop", secret_env=["DATABASE_URL"])
    code, said = run(project)
    assert code == 0, said
    assert said["problems"] == []
    assert said["applications"] == ["api", "shop"]
    assert said["notes"] == [
        "ferryman.yml: shop has a database and no migrations: nothing changes its schema in a deploy"
    ]


def test_a_project_whose_path_has_a_space_and_whose_vault_has_a_key_is_read(
    project: Configured, tmp_path: Path
) -> None:
    (tmp_path / ".ferryman" / "vault").mkdir(parents=True)
    key = tmp_path / ".ferryman" / "vault" / "prod.key"
    key.write_text("the vault's key\n")
    project.write("hidden.yml", "vault_shop: correct-horse\n")
    project.write("vault.yml", variables.encrypted("vault_ada", "battery-staple", environment="prod", key=key))
    spaced = tmp_path.with_name(f"{tmp_path.name} of mine")
    tmp_path.rename(spaced)
    project.root = spaced
    described(project, "shop", secret_env=["DATABASE_URL"])
    code, said = run(project)
    assert (code, said.get("problems")) == (0, []), said


@pytest.mark.parametrize("text", ["another key\n", ""])
def test_a_key_that_opens_nothing_is_refused_by_its_file_and_nothing_is_touched(
    project: Configured, text: str, tmp_path: Path
) -> None:
    key = vault_key(tmp_path)
    project.write("hidden.yml", "vault_shop: correct-horse\n")
    project.write("vault.yml", variables.encrypted("vault_ada", "battery-staple", environment="prod", key=key))
    key.write_text(text)
    code, said = run(project)
    assert code == 1
    (told,) = said["problems"]
    assert told["file"] == ("inventories/prod/group_vars/all/vault.yml" if text else ".ferryman/vault/prod.key")
    assert ".ferryman/vault/prod.key" in told["wrong"] + told["right"]


@pytest.mark.parametrize("words", ["status", "logs"])
def test_a_look_that_the_wrong_key_stops_leads_to_what_says_so_by_its_line(
    project: Configured, tmp_path: Path, words: str
) -> None:
    key = vault_key(tmp_path)
    project.write("vault.yml", "vault_ada: battery-staple\n")
    vault = project.root / "inventories" / "prod" / "group_vars" / "all" / "vault.yml"
    program = Path(sys.executable).with_name("ansible-vault")
    subprocess.run([program, "encrypt", "--vault-id", f"prod@{key}", vault], check=True, capture_output=True)
    key.write_text("another\n")
    argv = [sys.executable, "-m", "ferryman", words, "--env", "prod", "--app", "shop"]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "check --env prod` says what is wrong in its files" in " ".join(done.stderr.split()), done.stderr
    assert not (project.root / ASKED).exists()


def test_a_missing_secret_hides_no_mistake_in_a_description(project: Configured) -> None:
    project.write("hidden.yml", "vault_ada: battery-staple\n")
    described(project, "api", shared=["../elsewhere"])
    code, said = run(project, "--app", "api")
    assert code == 1
    assert [(each["line"], each["key"]) for each in said["problems"]] == [
        (line(project, "api", "- ../elsewhere"), "shared.0"),
        (7, "vault_shop"),
        (10, "vault_shop"),
    ]


@pytest.mark.parametrize(
    ("file", "text"), [("apps.yml", "apps: [\n"), ("apps.yml", "apps: [shop]\n"), ("hosts.yml", "a: {")]
)
def test_a_broken_file_is_told_and_not_that_the_application_is_not_there(
    project: Configured, file: str, text: str
) -> None:
    project.write(file, text)
    code, said = run(project, "--app", "api")
    assert code == 1
    assert file in [Path(each["file"]).name for each in said["problems"]]


def test_a_description_that_is_no_yaml_is_told_as_a_file_of_the_inventory_is(project: Configured) -> None:
    (project.root / "api" / "ferryman.yml").write_text("format: [\n")
    _, said = run(project, "--app", "api")
    (told,) = said["problems"]
    assert (told["line"], told["key"]) == (2, "the file")
    assert told["wrong"].startswith("is not YAML: ")


def test_an_application_that_is_not_there_is_refused_whatever_else_is_wrong(project: Configured) -> None:
    project.write("hidden.yml", "vault_ada: battery-staple\n")
    code, said = run(project, "--app", "apl")
    assert (code, said["error"]) == (1, "prod has no application 'apl'")


def story(*events: Event) -> Story:
    """Return what a run amounts to."""
    told = Story()
    for event in events:
        told.hear(event)
    return told


def test_every_host_is_told_of_whatever_became_of_it() -> None:
    told = story(
        Event("unreachable", "Check", "web2", {"msg": "Connection refused"}),
        Event("ok", "Check", "web1", {"ferryman": {"checked": {"web1": [FIT]}}}),
        Event("failed", "Check", "web3", {"msg": "Task failed: Missing sudo password"}),
        Event("failed", "Check", "web6", {"msg": "/usr/bin/python3: not found"}),
        Event("ok", "Check", "web5", {"ferryman": {"checked": {"web5": [FIT]}}}),
    )
    found = {
        host: [(each.key, each.state) for each in check.found_of(host, told, f"ssh ops@{host}")]
        for host in ("web1", "web2", "web3", "web4", "web5", "web6")
    }
    fit = [("reach", "good"), ("disk", "good")]
    assert found == {
        "web1": fit,
        "web2": [("reach", "wrong")],
        "web3": [("sudo", "wrong")],
        "web4": [("reach", "wrong")],
        "web5": fit,
        "web6": [("look", "wrong")],
    }
    (lost,) = check.found_of("web3", told, "ssh ops@web3")
    assert lost.said == "Missing sudo password"
    (far,) = check.found_of("web2", told, "ssh -p 2222 ops@web2")
    assert far.right == "`ssh -p 2222 ops@web2` has to get in"


def test_a_drill_that_nobody_asks_for_is_a_note_beside_what_its_host_is() -> None:
    note = {"key": "drill media", "state": "note", "said": "the last drill is 40 days old", "right": "backup.drill"}
    told = story(
        Event("ok", "Check", "archive", {"ferryman": {"checked": {"archive": [FIT]}}}),
        Event("ok", "Drilled", "archive", {"ferryman": {"drilled": {"archive": [note]}}}),
    )
    found = list(check.found_of("archive", told, "ssh"))
    assert [(each.key, each.state) for each in found] == [("reach", "good"), ("disk", "good"), ("drill media", "note")]
    shown = telling.fitness({"hosts": {"archive": [asdict(each) for each in found]}})
    assert shown.splitlines()[1] == "    note    drill media: the last drill is 40 days old -> backup.drill"


def test_drills_that_nobody_could_look_at_are_unknown_and_say_why() -> None:
    told = story(
        Event("ok", "Check", "archive", {"ferryman": {"checked": {"archive": [FIT]}}}),
        Event("failed", "Look at the last drills", "archive", {"msg": "no such archive"}),
    )
    *_, last = check.found_of("archive", told, "ssh")
    assert (last.key, last.state, last.said) == ("drills", "unknown", "no such archive")


def test_what_slots_may_take_is_the_sum_of_all_applications_and_unknown_where_one_has_no_limit() -> None:
    def needing(mib: int, *unlimited: str) -> dict[str, Any]:
        return {"needs": {"memory_bytes": mib * 2**20, "connections": 3, "unlimited": list(unlimited)}}

    assert check.needs({"a": needing(100), "b": needing(50)}) == {"check_memory_mb": 150, "check_connections": 6}
    assert check.needs({"a": needing(100), "b": needing(50, "web")}) == {"check_memory_mb": 0, "check_connections": 6}
    assert check.needs({"a": {"needs": {}}}) == {"check_memory_mb": 0, "check_connections": 0}


# Ctrl-C

CTRL_C_AT_AN_IMPORT = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == at:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000): pass  # here Python heeds it, and not in a callback, which would swallow it
at = sys.argv.pop(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born deaf to it
sys.meta_path.insert(0, Finder())
runpy.run_module("ferryman", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("ferryman.program", ["check", "--json"]),
        ("invoke.program", ["check"]),
        ("ferryman.tasks.check", ["check"]),
        ("ferryman.check", ["check", "--json"]),
        ("ferryman.release", ["status"]),
        ("ansible.vars.manager", ["check"]),
        ("ansible_runner.interface", ["check", "--json"]),
    ],
)
def test_ctrl_c_before_the_first_step_says_that_nothing_was_touched(
    project: Configured, module: str, words: list[str]
) -> None:
    argv = [sys.executable, "-c", CTRL_C_AT_AN_IMPORT, module, *words, "--env", "prod"]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    said: dict[str, Any] = (
        json.loads(done.stdout) if done.stdout else {"error": done.stderr, "hint": done.stderr, "code": 1}
    )
    assert "interrupted" in said["error"]
    assert "nothing was" in said["error"]
    assert "the same command begins again" in said["hint"]
    assert (said["code"], "Traceback" in done.stderr) == (1, False)


@pytest.mark.parametrize("ps", ["ps", "none"], ids=["as it comes", "without a ps that says who is at work"])
def test_ctrl_c_in_a_playbook_that_only_asks_is_no_change(project: Configured, ps: str) -> None:
    slow, begun = project.root / "slow", project.root / "git was asked"
    slow.mkdir()
    seen = f"{shutil.which('ps')} -o sid= $$ >'{begun}.new'; mv '{begun}.new' '{begun}'"
    programs = {"git": f"{seen}\nexec sleep {300 if ps == 'ps' else 5}", **({} if ps == "ps" else {"ps": "exit 127"})}
    for name, text in programs.items():
        (slow / name).write_text(f"#!/bin/sh\n{text}\n")
        (slow / name).chmod(0o755)
    argv = [sys.executable, "-m", "ferryman", "check", "--env", "prod", "--json"]
    environment = os.environ | {"PATH": f"{slow}:{os.environ['PATH']}"}
    with subprocess.Popen(argv, cwd=project.root, env=environment, stdout=subprocess.PIPE, text=True) as driver:
        while not begun.exists():
            assert driver.poll() is None
            time.sleep(0.05)
        driver.send_signal(signal.SIGINT)
        said = json.loads(driver.communicate(timeout=120)[0])
    assert (driver.returncode, said["error"]) == (1, "interrupted: nothing was changed")
    assert said["hint"] == "the same command begins again"
    assert ps == "none" or outlived(int(begun.read_text())) == []
