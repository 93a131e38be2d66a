"""`./invoke bench check`: what the configuration part of a check costs on a large environment.

    python -m tests.bench.check [--hosts 100] [--roles 20] [--rounds 5] [--record]

The collection has few roles, so its specs are copied under further names into a temporary collection, until there are
as many as asked for; the environment's hosts are in the groups of every one, and set every option that has a default.
What is timed is the whole survey of a new process: Ansible's start and reading, all specs, all rules. Nothing is
asserted: a benchmark that fails on a busy day teaches nobody.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from tests.bench import _record

from ferryman import paths, specs

ROOT = paths.CHECKOUT
SURVEY = """
import json, sys, time
began = time.monotonic()
from pathlib import Path
from ferryman import agreement, environments, paths
root, collection = map(Path, sys.argv[1:])
paths.collection_root = lambda: collection
problems, loaded = agreement.survey(environments.resolve("prod", project=root))
values = sum(len(set(each) & set(loaded.defaults)) for each in loaded.hosts.values())
print(json.dumps({"seconds": time.monotonic() - began, "cpu": time.process_time(), "hosts": len(loaded.hosts),
                  "values": values, "problems": list(map(str, problems))}))
"""


def lay_out_roles(collection: Path, count: int) -> int:
    """Copy the roles' specs, each under new names until there are `count`; every option carries its role's name."""
    shutil.copytree(ROOT / "playbooks", collection / "playbooks")
    known = specs.roles(ROOT)
    plays = []
    for number in range(count):
        role = list(known.values())[number % len(known)]
        name = role.name if number < len(known) else f"{role.name}{chr(ord('a') + number // len(known))}"
        target = collection / "roles" / name
        for part in ("meta", "defaults"):
            shutil.copytree(role.directory / part, target / part, dirs_exist_ok=True)
        for path in target.rglob("*.yml"):
            path.write_text(re.sub(rf"\b{role.name}_", f"{name}_", path.read_text()))
        plays.append(
            {"hosts": "all", "tasks": [{"import_role": {"name": f"ferryman.ops.{name}", "tasks_from": "check"}}]}
        )
    (collection / "playbooks" / "host_bench.yml").write_text(yaml.safe_dump(plays))
    return len(specs.roles(collection))


def lay_out_hosts(root: Path, collection: Path, count: int) -> None:
    """Write an environment of `count` hosts, each with values of its own beside those that all share."""
    where = root / "inventories" / "prod"
    variables = where / "group_vars" / "all"
    variables.mkdir(parents=True)
    hosts = {f"web{number}": {"ansible_host": f"10.0.0.{number}", "release_keep": 5} for number in range(1, count + 1)}
    groups = {group: {"hosts": dict.fromkeys(hosts)} for group in ("entry", "app", "db")}
    (where / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": groups}}))
    for name, role in specs.roles(collection).items():
        values = {key: value for key, value in role.defaults.items() if "{{" not in str(value) and value is not None}
        values["certificate_terms_agreed"] = True
        kept = {key: value for key, value in values.items() if key.startswith(f"{name}_")}
        (variables / f"{name}.yml").write_text(yaml.safe_dump(kept))
    (variables / "environment.yml").write_text("environment_name: prod\n")
    app = {"repository": ".", "domains": ["shop.test"], "env": {"TITLE": "{{ environment_name }}"}}
    (variables / "apps.yml").write_text(yaml.safe_dump({"apps": {"shop": app}}))


def main() -> None:
    """Lay out, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--roles", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-check.json")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferryman-bench-") as name:
        root, collection = Path(name) / "project", Path(name) / "collection"
        roles = lay_out_roles(collection, words.roles)
        lay_out_hosts(root, collection, words.hosts)
        told, wall = [], []
        for _ in range(words.rounds):
            began = time.monotonic()
            argv = [sys.executable, "-c", SURVEY, str(root), str(collection)]
            told.append(json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, cwd=root).stdout))
            wall.append(time.monotonic() - began)
    one = told[0]
    for problem in one["problems"]:
        print(f"not as laid out: {problem}")
    print(
        f"{one['hosts']} hosts, {roles} roles, {one['values']} values of roles, {len(one['problems'])} problems found"
    )
    for what, seconds in (
        ("survey, in a new process", [each["seconds"] for each in told]),
        ("of it this process's own CPU", [each["cpu"] for each in told]),
        ("with the start of Python", wall),
    ):
        each = " ".join(f"{one:.2f}" for one in seconds)
        print(f"{what:<30} {statistics.median(seconds):6.2f} s   ({each})")
    if words.record:
        what = f"configuration part of a check, {one['hosts']} hosts, {roles} roles, in a new process"
        rows = [(what, f"{statistics.median(each['seconds'] for each in told):.2f} s", "at most 3 s")]
        _record.write("bench-check", rows, rounds=words.rounds, seconds=[round(each["seconds"], 3) for each in told])


if __name__ == "__main__":
    main()
