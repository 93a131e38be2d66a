"""The ready stages for GitHub Actions and GitLab CI: their shell, run as a runner runs it, on what the newcomer has.

Requirements: CI-1.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml
from tests.support.driving import Answer
from tests.support.histories import good
from tests.support.newcomer import Newcomer
from tests.support.runners import Runner

pytestmark = pytest.mark.at_times(journey="pipelines")

HERE = {"ENVIRONMENT": "local"}
"""The jobs' environments are servers that nobody here has: each is done to this one."""


@pytest.fixture(scope="module")
def runner(newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner that has nothing but what its jobs are given: no key of the vault, no key and no known host of SSH."""
    home = tmp_path_factory.mktemp("runner")
    key = newcomer.root / ".ferryman" / "vault" / "local.key"
    files = newcomer.root / ".ferryman" / "sandbox" / newcomer.name
    settings = files / "ssh_config"
    before = settings.read_text()
    identity = next(files.glob("*.pub")).with_suffix("")
    found = Runner(newcomer, home, key.read_text().strip(), identity.read_text(), (files / "known_hosts").read_text())
    bare = before.replace(f'"{identity}"', "none").replace("IdentitiesOnly yes", "IdentitiesOnly no")
    settings.write_text(bare.replace(str(files / "known_hosts"), str(home / ".ssh" / "known_hosts")))
    key.rename(key.with_suffix(".away"))
    try:
        yield found
    finally:
        key.with_suffix(".away").rename(key)
        settings.write_text(before)


def deployed(runner: Runner, job: str, text: str, by: Callable[[str, str], Any]) -> dict[str, Any]:
    """Commit a version, have a job deploy it, and return its answer as the job keeps it."""
    commit = runner.clone.repository.commit(good(text))
    tag = f"v-{commit[:12]}"
    runner.clone.repository.git("tag", tag)
    by(commit, tag)
    kept: dict[str, Any] = json.loads((runner.clone.root / "deploy.json").read_text())
    assert (kept["status"], kept["release"][-7:]) == ("live", commit[:7]), (job, kept)
    assert kept["release"] == runner.clone.served()
    return kept


def verified(runner: Runner) -> None:
    """A job left a report of what the application says of itself, as a client saw it."""
    report = runner.clone.root / "verify.xml"
    (suite,) = Xml.fromstring(report.read_text())
    steps = yaml.safe_load((runner.clone.repository.path / "ferryman.yml").read_text())["verify"]
    assert str(suite.get("name")).endswith(".driver")
    assert [case.get("name") for case in suite.iter("testcase")] == [step["name"] for step in steps]
    assert not list(suite.iter("failure"))
    report.unlink()


def well(answers: dict[str, Answer]) -> None:
    assert {name: answer.code for name, answer in answers.items()} == dict.fromkeys(answers, 0), answers


def test_github_checks_deploys_a_branch_to_staging_a_tag_to_prod_and_goes_back(runner: Runner) -> None:
    def staging(commit: str, _: str) -> None:
        well(runner.on_github("staging", inputs={}, GITHUB_SHA=commit, **HERE))

    def prod(_: str, tag: str) -> None:
        well(runner.on_github("prod", inputs={}, GITHUB_REF_NAME=tag, **HERE))

    well(runner.on_github("check", inputs={}, GITHUB_SHA="HEAD", **HERE))
    assert json.loads((runner.clone.root / "plan.json").read_text())
    first = deployed(runner, "staging", "By GitHub, from the branch", staging)
    verified(runner)
    second = deployed(runner, "prod", "By GitHub, by its tag", prod)
    verified(runner)
    assert second["previous"] == first["release"]
    well(runner.on_github("rollback", inputs={"environment": "local", "to": ""}))
    assert runner.clone.served() == first["release"]


def test_gitlab_checks_deploys_a_branch_to_staging_a_tag_to_prod_and_goes_back(runner: Runner) -> None:
    def staging(commit: str, _: str) -> None:
        well({job: runner.on_gitlab(job, CI_COMMIT_SHA=commit, **HERE) for job in ("staging", "staging verified")})

    def prod(_: str, tag: str) -> None:
        well({job: runner.on_gitlab(job, CI_COMMIT_TAG=tag, **HERE) for job in ("prod", "prod verified")})

    well({"check": runner.on_gitlab("check", CI_COMMIT_SHA="HEAD", **HERE)})
    first = deployed(runner, "staging", "By GitLab, from the branch", staging)
    verified(runner)
    second = deployed(runner, "prod", "By GitLab, by its tag", prod)
    verified(runner)
    assert second["previous"] == first["release"]
    well({"back": runner.on_gitlab("prod back", **HERE)})
    assert runner.clone.served() == first["release"]


def test_a_night_in_no_window_fails_its_job_and_its_answer_is_kept(runner: Runner) -> None:
    clone = runner.clone
    kept, own = clone.root / "patches.json", clone.root / "inventories" / "local" / "group_vars" / "all" / "night.yml"
    now = datetime.now(UTC)
    own.write_text(f"host_updates_window: {now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=4):%H:%M}\n")
    try:
        by_github = runner.on_github("patches", inputs={}, **HERE)
        assert (by_github["Patch"].code, by_github["Forget the key"].code) == (1, 0)
        assert f"opens {now + timedelta(hours=2):%a %Y-%m-%d %H:%M}" in json.loads(kept.read_text())["shut"]["local1"]
        kept.unlink()
        assert runner.on_gitlab("prod patched", **HERE).code == 1
        assert [*json.loads(kept.read_text())["shut"]] == ["local1"]
        own.write_text("host_updates_window: 00:00-00:00\n")
        answer = runner.on_gitlab("prod patched", **HERE)
        told = json.loads(kept.read_text())
        assert answer.code == bool(told.get("unasked")), "its one host is patched by nobody who was not asked"
        assert "shut" not in told or not told["shut"]
    finally:
        own.unlink()


def test_a_deploy_that_is_refused_fails_its_job_and_its_answer_is_kept(runner: Runner) -> None:
    answers = runner.on_github("staging", inputs={}, GITHUB_SHA="0" * 40, **HERE)
    assert (answers["Deploy"].code, answers["Forget the key"].code) == (1, 0)
    assert json.loads((runner.clone.root / "deploy.json").read_text())["status"] == "refused"
    assert runner.on_gitlab("staging", CI_COMMIT_SHA="0" * 40, **HERE).code == 1


def test_a_server_with_another_host_key_is_not_deployed_to(runner: Runner) -> None:
    *_, other = [line.split(" ", 1)[1] for line in runner.known_hosts.splitlines()]
    wrong = "".join(f"{line.split(' ', 1)[0]} {other}\n" for line in runner.known_hosts.splitlines())
    shutil.rmtree(runner.home / ".ansible" / "cp", ignore_errors=True)  # connections that are still open ask for no key
    mallory = Runner(runner.clone, runner.home, runner.vault_key, runner.deploy_key, wrong)
    answer = mallory.on_gitlab("staging back", **HERE)
    assert answer.code != 0
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in answer.out + answer.err


def test_no_job_printed_a_secret_and_none_left_an_agent_or_a_key_behind(runner: Runner) -> None:
    assert len(runner.said) > 10
    body = [line for line in runner.deploy_key.splitlines() if line and not line.startswith("-----")]
    for secret in [runner.vault_key, *body]:
        assert not [text for text in runner.said if secret in text]
        assert not [path for path in cached(runner.clone.root) if secret.encode() in path.read_bytes()]
    agents = [line for line in (runner.home / "environment").read_text().splitlines() if "SSH_AUTH_SOCK" in line]
    assert agents
    assert not Path(agents[0].partition("=")[2]).exists()


def cached(root: Path) -> list[Path]:
    """The files of `.ferryman` that a runner keeps from run to run, without keys that are the test's own."""
    away = {root / ".ferryman" / name for name in ("vault", "sandbox")}
    found = [path for path in (root / ".ferryman").rglob("*") if not away & set(path.parents)]
    return [path for path in found if path.is_file()]
