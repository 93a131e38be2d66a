"""A configuration that somebody has broken: refused with the right file and line, whatever it is, and nothing else."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description, fit
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Finding, Reader
from tests.conftest import Soak
from tests.support import histories
from tests.support.configured import KEY, WIDER, Configured
from tests.support.mutations import PLANTED, Mutation, mutate

from ferryman import agreement, check
from ferryman.places import Problem

DESCRIPTION = """\
format: 1
name: shop
runtime: {kind: python}
processes:
  web:
    kind: web
    command: python shop.py {port}
    instances: 1
shared: [media]
env: {TITLE: Shop}
secret_env: [DATABASE_URL]
"""
RIGHT = {**WIDER, "ferryman.yml": DESCRIPTION}
RIGHT["group_vars/all/hidden.yml"] += f"vault_planted: {PLANTED}\n"
SECRETS = (PLANTED, "correct-horse", "battery-staple")
"""What no reader may see: what is planted where it does not belong, and what lies where it does."""
ASKED = "a host was asked"
FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")
_watched: list[str] = []


def _watch(event: str, args: Any) -> None:
    if _watched and event in FORBIDDEN:
        raise AssertionError(f"a host could be asked: {event} {args}")


sys.addaudithook(_watch)


@contextmanager
def alone() -> Iterator[None]:
    """Let nobody out: whoever opens a connection or starts a program is found out."""
    _watched.append("watched")
    try:
        yield
    finally:
        _watched.pop()


def findings(text: str, values: dict[str, Any]) -> list[Finding]:
    """Return what is wrong between a description and an application of the inventory."""
    try:
        told = description.read(text)
    except description.Problems as wrong:
        return wrong.findings
    secrets = values.get("secrets") or {}
    env, text_of = values.get("env") or {}, Reader("ferryman.yml", text)
    found = fit.unfit(told, text_of, "shop", env=env, secrets=secrets, has=lambda name: True)
    found += fit.doubtful(told, text_of, "shop", secrets=secrets, files=[])
    try:
        description.sized(told, values.get("processes") or {}, source="apps.shop.processes")
    except description.Problems as wrong:
        found += wrong.findings
    return found


def everything(project: Configured, text: str) -> list[Problem]:
    """Return all that `check` would tell of a project and its application's description, without starting Ansible."""
    problems, loaded = agreement.survey(project.environment)
    if loaded is None or loaded.partial or not check.can_be_read(loaded, problems):
        return problems
    fields = [
        {
            "keys": [*each.source.split("."), *map(str, each.keys)]
            if each.source.startswith("apps.")
            else [*map(str, each.keys)],
            "file": "" if each.source.startswith("apps.") else each.source,
            "line": each.line,
            "wrong": each.wrong,
        }
        for each in findings(text, loaded.hosts["web1"]["apps"]["shop"])
    ]
    return check.with_descriptions(loaded, problems, {"shop": {"problems": fields}})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    monkeypatch.setenv("FERRYMAN_VAULT_PROD", str(tmp_path / "inventories" / "prod" / KEY))
    return Configured(tmp_path)


def judge(project: Configured, mutations: list[Mutation]) -> tuple[list[str], list[str]]:
    """Hold what is told against what was broken; return what was told beyond that, and what was told with a secret."""
    files = {**RIGHT, **{mutation.file: mutation.text for mutation in mutations}}
    for name, text in files.items():
        if name != "ferryman.yml":
            project.write(name, text)
    with alone():
        problems = everything(project, files["ferryman.yml"])
    told = {place(each) for each in problems}
    said = "\n".join(map(str, problems))
    for mutation in mutations:
        if mutation.places and expected(mutation, mutations, problems):
            where = f"{mutation.kind} in {mutation.file}, one of {sorted(mutation.places)}:\n{mutation.text}"
            assert mutation.places & told, f"{where}\ntold: {said or 'nothing'}"
    known = {each for mutation in mutations for each in mutation.places}
    follows = {key for mutation in mutations for key in mutation.also}
    surplus = [each for each in problems if place(each) not in known and each.key not in follows]
    kinds = ", ".join(mutation.kind for mutation in mutations)
    return [f"{kinds}: {each}" for each in surplus], [str(each) for each in problems if leaks(str(each))]


def place(problem: Problem) -> tuple[str, int]:
    """Return file and line as mutations name them."""
    return str(problem.place.file).removeprefix("inventories/prod/"), problem.place.line


def leaks(text: str) -> bool:
    """Say whether a text holds any of the configuration's secrets."""
    return any(secret in text for secret in SECRETS)


def expected(mutation: Mutation, mutations: list[Mutation], problems: list[Problem]) -> bool:
    """Say whether a mistake can be known beside the others.

    Without the file of hosts there is no host to judge for; what is missing may stand in a file that cannot be read;
    what an inventory and a description say of each other needs both.
    """
    unread = {problem.place.file.name for problem in problems if problem.key in ("the file", "the value")}
    if mutation.file.rpartition("/")[2] in unread:
        return True
    if "hosts.yml" in unread:
        return False
    if mutation.beside:
        return not unread and not any(other.file in mutation.beside for other in mutations)
    return mutation.survives or not unread


def command(project: Configured, mutations: list[Mutation], *, as_json: bool) -> list[str]:
    """Run `check` as people or as pipelines do; return the lines of all that it said or wrote that show a secret.

    The description of the application is the mutations' own: what else it says differs from the inventory's.
    """
    files = {**RIGHT, **{mutation.file: mutation.text for mutation in mutations}}
    for name, text in files.items():
        if name == "ferryman.yml":
            describe(project, text)
        else:
            project.write(name, text)
    argv = [sys.executable, "-m", "ferryman", "check", "--env", "prod", *(["--json"] if as_json else [])]
    env = os.environ | {"FERRYMAN_VAULT_PROD": str(project.path(KEY))}
    done = subprocess.run(argv, cwd=project.root, env=env, capture_output=True, text=True, check=False, timeout=300)
    kinds = ", ".join(mutation.kind for mutation in mutations)
    wrong = any(mutation.places for mutation in mutations)
    assert done.returncode == int(wrong), f"{kinds}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, f"{kinds}: {done.stderr}"
    assert not (project.root / ASKED).exists(), f"{kinds}: a host was asked"
    kept = [path.read_text(errors="replace") for path in (project.root / ".ferryman").rglob("*") if path.is_file()]
    return [line for text in (done.stdout, done.stderr, *kept) for line in text.splitlines() if leaks(line)]


def describe(project: Configured, text: str) -> None:
    """Give the application a description, in a commit."""
    (project.root / "shop" / "ferryman.yml").write_text(text)
    git = ["git", "-C", str(project.root / "shop"), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "commit", "-qam", "Describe it", "--allow-empty"], check=True)


@pytest.fixture
def commanded(tmp_path_factory: pytest.TempPathFactory) -> Configured:
    """Return a project for the command itself: with sources, and with an SSH that leaves a mark if it is called."""
    root = tmp_path_factory.mktemp("commanded")
    configured = Configured(root)
    for app in ("shop", "api"):
        (root / app).rmdir()
        histories.tiny(root / app, histories.good("v1"), name=app)
    ssh = root / "ssh"
    ssh.write_text(f"#!/bin/sh\ntouch '{root / ASKED}'\nexit 255\n")
    ssh.chmod(0o755)
    configured.write("reach.yml", f"ansible_ssh_executable: {ssh}\n")
    return configured


@pytest.mark.soak
def test_soak_check(project: Configured, commanded: Configured, soak: Soak, capfd: pytest.CaptureFixture[str]) -> None:
    """Thousands of broken configurations; `./invoke soak check` counts them in full.

    A few go through the command in a process of its own, as people and pipelines have it.
    """
    random = soak.random()
    kinds: Counter[str] = Counter()
    times, commands = soak.times(sample=240, full=5000), soak.times(sample=4, full=40)
    project.found()  # Ansible asks the linker's cache once, when it is first imported
    surplus, shown = judge(project, [])
    for number in range(times):
        mutations = mutate(RIGHT, random)
        kinds.update(mutation.kind for mutation in mutations)
        beyond, told = judge(project, mutations)
        surplus, shown = surplus + beyond, shown + told
        if number % (times // commands) == 0:
            shown += command(commanded, mutations, as_json=number % 2 == 0)
    seen = capfd.readouterr()
    assert "Traceback" not in seen.out + seen.err
    shown += [line for line in (seen.out + seen.err).splitlines() if leaks(line)]
    soak.record(
        configurations=times,
        commands=commands,
        mutations=dict(sorted(kinds.items())),
        wrongly_told=len(surplus),
        secrets_shown=len(shown),
    )
    assert not surplus, "\n".join(surplus)
    assert not shown, "\n".join(shown)


def test_the_command_finds_nothing_wrong_where_all_is_right_and_a_key_and_settings_of_ssh_lie_beside_it(
    commanded: Configured,
) -> None:
    """Also where a project has settings of its own for Ansible: ours leave out what lies beside an inventory."""
    (commanded.root / "ansible.cfg").write_text("[inventory]\nany_unparsed_is_failed = true\n")
    commanded.write("./ssh_config", "Host jump\n  User ops\n")
    assert not command(commanded, [], as_json=True)
