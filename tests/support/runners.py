"""The runners of GitHub Actions and GitLab CI, as far as a pipeline's shell sees them: its texts, run in their order.

What they fetch and keep (`uses`, `cache`, `artifacts`) is theirs; that a file to be kept is there is looked at.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.support.driving import READY_S, Answer
from tests.support.newcomer import Newcomer

from ferryman import paths

PIPELINES = paths.CHECKOUT / "examples" / "pipelines"
WORKFLOW = PIPELINES / "github" / "workflows" / "ferryman.yml"
ACTION = PIPELINES / "github" / "actions" / "ferryman" / "action.yml"
GITLAB = PIPELINES / "gitlab-ci.yml"
EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # as both say that they call it


@dataclass(frozen=True)
class Step:
    """A text for the shell with the environment that it is given; `always`: also after one that failed."""

    name: str
    script: str
    environment: dict[str, str]
    always: bool = False


def told(values: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Fill in a mapping's expressions; one that is not given is an error here, and empty on a runner."""
    return {
        name: EXPRESSION.sub(lambda found: given[found[1]], str(value)) if isinstance(value, str) else str(value)
        for name, value in values.items()
    }


def first(job: str) -> dict[str, str]:
    """Return the first of the matrix that a job is run for."""
    said = yaml.safe_load(WORKFLOW.read_text())["jobs"][job].get("strategy", {"matrix": {"include": [{}]}})
    return dict(said["matrix"]["include"][0])


def github(job: str, given: Mapping[str, str]) -> Iterator[Step]:
    """Return a job's steps; the project's own action is taken apart into its own."""
    said = yaml.safe_load(WORKFLOW.read_text())["jobs"][job]
    around = told(said.get("env", {}), given)
    for step in said["steps"]:
        if step.get("uses") == "./.github/actions/ferryman":
            inputs = {f"inputs.{name}": value for name, value in told(step["with"], given).items()}
            for inner in yaml.safe_load(ACTION.read_text())["runs"]["steps"]:
                if "run" in inner:
                    yield Step(inner["name"], inner["run"], around | told(inner.get("env", {}), inputs))
        elif "run" in step:
            own = told(step.get("env", {}), given)
            yield Step(step["name"], step["run"], around | own, always=step.get("if") == "always()")


def gitlab(job: str) -> Step:
    """Return a job as the one text that it is run as."""
    said = yaml.safe_load(GITLAB.read_text())
    merged: dict[str, Any] = {}
    while job:
        merged = said[job] | merged
        job = merged.pop("extends", "")
    lines = [*merged["before_script"], *merged["script"]]
    return Step("script", "\n".join(lines), {**said["variables"], **merged["variables"]})


@dataclass
class Runner:
    """A machine that runs jobs in a clone, with what the project's owner has set for them."""

    clone: Newcomer
    home: Path
    vault_key: str
    deploy_key: str
    known_hosts: str
    said: list[str] = field(default_factory=list)
    """All that the jobs printed."""

    def run(self, step: Step, environment: Mapping[str, str]) -> Answer:
        """Run one text without a terminal."""
        script = self.home / "step.sh"
        script.write_text(step.script)
        own = {"HOME": str(self.home), "CI": "true"}
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=self.clone.root,
            env=self.clone.environment() | own | step.environment | dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S,
        )
        self.said += [done.stdout, done.stderr]
        return Answer(done.returncode, done.stdout, done.stderr)

    def on_github(self, job: str, *, inputs: Mapping[str, str], **variables: str) -> dict[str, Answer]:
        """Run a job's steps in order, and return their answers by name; of a matrix, its first."""
        given = {"secrets.VAULT_KEY": self.vault_key, "secrets.DEPLOY_KEY": self.deploy_key}
        given |= {"vars.KNOWN_HOSTS": self.known_hosts} | {f"inputs.{name}": value for name, value in inputs.items()}
        given |= {f"matrix.{name}": value for name, value in first(job).items()}
        grown, answers, failed = self.home / "environment", dict[str, Answer](), False
        grown.write_text("")
        runners = {"GITHUB_ENV": str(grown), "RUNNER_TEMP": str(self.home), **variables}
        for step in github(job, given):
            if step.always or not failed:
                more = dict(line.split("=", 1) for line in grown.read_text().splitlines())
                answers[step.name] = self.run(step, runners | more)
                failed = failed or answers[step.name].code != 0
        return answers

    def on_gitlab(self, job: str, **variables: str) -> Answer:
        """Run a job; secrets are variables of the type File."""
        files = {"VAULT_KEY": self.vault_key, "DEPLOY_KEY": self.deploy_key, "KNOWN_HOSTS": self.known_hosts}
        for name, text in files.items():
            (self.home / name).write_text(text)
        return self.run(gitlab(job), variables | {name: str(self.home / name) for name in files})
