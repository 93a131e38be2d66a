"""The ready stages as their systems read them: well-formed, and careful with what is secret and what runs at once.

Requirements: CI-1.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.runners import ACTION, GITLAB, PIPELINES, WORKFLOW

FILES = {WORKFLOW: "github-workflows", ACTION: "github-actions", GITLAB: "gitlab-ci"}
JOBS = yaml.safe_load(WORKFLOW.read_text())["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
INNER = yaml.safe_load(ACTION.read_text())["runs"]["steps"]


def test_every_file_of_pipelines_is_known_here() -> None:
    assert set(PIPELINES.rglob("*.yml")) == set(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_written_as_its_system_publishes_that_it_reads(path: Path) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    words: list[Any] = [program, "--builtin-schema", f"vendor.{FILES[path]}", path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", [step["run"] for step in [*STEPS, *INNER] if "run" in step])
def test_no_text_for_the_shell_is_put_together_by_github(script: str) -> None:
    """What somebody may have chosen (a tag's name, an input) reaches the shell as a variable, never as its text."""
    assert "${{" not in script


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_cancelled_and_nothing_traced(path: Path) -> None:
    assert not re.findall(
        r"^[^#\n]*(?:cancel-in-progress|concurrency|resource_group|set -\w*x|CI_DEBUG_TRACE).*",
        path.read_text(),
        re.MULTILINE,
    )


@pytest.mark.parametrize("name", JOBS)
def test_a_job_of_github_takes_its_secrets_from_one_environment_and_forgets_the_key(name: str) -> None:
    job: dict[str, Any] = JOBS[name]
    pairs = job.get("strategy", {}).get("matrix", {}).get("include")
    if pairs:  # whoever runs by night has an environment of GitHub's without reviewers
        assert (job["environment"], job["env"]["ENVIRONMENT"]) == ("${{ matrix.keys }}", "${{ matrix.environment }}")
        assert all(pair["keys"] in (pair["environment"], f"{pair['environment']}-nights") for pair in pairs)
    else:
        assert job["environment"] == job["env"]["ENVIRONMENT"]
    assert job["steps"][0]["with"]["fetch-depth"] == 0
    (last,) = job["steps"][-1:]
    assert ("ssh-agent -k" in last["run"], last["if"]) == (True, "always()")
    outside = [step for step in job["steps"] if step.get("uses") != "./.github/actions/ferryman"]
    assert "secrets." not in yaml.safe_dump(outside)


def test_a_job_of_gitlab_takes_its_variables_from_one_environment() -> None:
    told = yaml.safe_load(GITLAB.read_text())
    jobs = {name: job for name, job in told.items() if "environment" in job and isinstance(job["environment"], dict)}
    assert {"staging", "prod"} <= set(jobs)
    for name, job in jobs.items():
        assert job["environment"]["name"] == job["variables"]["ENVIRONMENT"], name
    assert jobs["prod"]["rules"][0]["when"] == "manual"


def test_what_a_schedule_starts_is_the_patches_alone() -> None:
    told = yaml.safe_load(GITLAB.read_text())
    rules = {name: job["rules"] for name, job in told.items() if isinstance(job, dict) and "rules" in job}
    by_night = {"if": '$CI_PIPELINE_SOURCE == "schedule"'}
    assert [name for name, listed in rules.items() if by_night in listed] == [".patches"]
    branch = {name: listed[0] for name, listed in rules.items() if any("DEFAULT_BRANCH" in r["if"] for r in listed)}
    assert branch == {key: {**by_night, "when": "never"} for key in ("staging", "staging verified", "staging back")}
    conditions = {name: job["if"] for name, job in JOBS.items()}
    assert [name for name, said in conditions.items() if "github.event_name ==" not in said] == []
    assert [name for name, said in conditions.items() if "'schedule'" in said] == ["patches"]
