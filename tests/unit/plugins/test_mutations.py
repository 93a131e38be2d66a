"""A configuration that somebody has broken: refused with the right file and line, whatever it is, and nothing else."""

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


def judge(project: Configured, mutations: list[Mutation]) -> None:
    """Hold what is told against what was broken."""
    files = {**RIGHT, **{mutation.file: mutation.text for mutation in mutations}}
    for name, text in files.items():
        if name != "ferryman.yml":
            project.write(name, text)
    with alone():
        problems = everything(project, files["ferryman.yml"])
    told = {(str(each.place.file).removeprefix("inventories/prod/"), each.place.line) for each in problems}
    said = "\n".join(map(str, problems))
    assert PLANTED not in said, said
    for mutation in mutations:
        if mutation.places and expected(mutation, mutations, problems):
            where = f"{mutation.kind} in {mutation.file}, one of {sorted(mutation.places)}:\n{mutation.text}"
            assert mutation.places & told, f"{where}\ntold: {said or 'nothing'}"
    if not any(mutation.places for mutation in mutations):
        assert not problems, said


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


@pytest.mark.soak
def test_soak_check(project: Configured, soak: Soak, capfd: pytest.CaptureFixture[str]) -> None:
    """Thousands of broken configurations; `./invoke soak check` counts them in full."""
    random = soak.random()
    kinds: Counter[str] = Counter()
    times = soak.times(sample=500, full=5000)
    project.found()  # Ansible asks the linker's cache once, when it is first imported
    judge(project, [])
    for _ in range(times):
        mutations = mutate(RIGHT, random)
        kinds.update(mutation.kind for mutation in mutations)
        judge(project, mutations)
    shown = capfd.readouterr()
    assert PLANTED not in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err
    soak.record(configurations=times, mutations=dict(sorted(kinds.items())), wrongly_told=0, secrets_shown=0)
