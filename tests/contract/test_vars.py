"""What playbooks tell roles of one another is what those say of themselves."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.action import nginx_configure
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import site_name

ROOT = Path(__file__).parents[2]
APPS: dict[str, Any] = {"notes": {}, "my-shop": {}}
# Tests import the collection as plain modules; Ansible's own way to its filters wants a process without them.
FILL = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
init_plugin_loader()
path, name, given = json.load(sys.stdin)
loader = DataLoader()
values = {**loader.load_from_file(path, trusted_as_template=True), **given}
print(json.dumps(Templar(loader=loader, variables=values).template(values[name])))
"""


def wired(file: str, name: str, **inventory: Any) -> Any:
    """Return what a variable of playbooks/vars comes to with an inventory's values."""
    given = json.dumps([str(ROOT / "playbooks" / "vars" / f"{file}.yml"), name, inventory])
    done = subprocess.run(
        [sys.executable, "-c", FILL], cwd=ROOT, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("shared", [{}, {"host_shared": True}])
def test_every_role_calls_a_site_by_the_same_name(shared: dict[str, bool]) -> None:
    known = {"apps": APPS, "environment_name": "staging", **shared}
    names = {site_name(app, "staging", shared=shared.get("host_shared", False)): app for app in APPS}
    assert wired("logs", "logs_sites", **known) == names
    site = wired("release", "release_site", **known, release_app="my-shop")
    assert names[site] == "my-shop"


def test_logs_watches_what_nginx_writes_and_rotates_for_as_long() -> None:
    spec = yaml.safe_load((ROOT / "roles/nginx/meta/argument_specs.yml").read_text())
    path, days = (
        spec["argument_specs"]["main"]["options"][f"nginx_log_{name}"]["default"] for name in ("path", "keep_days")
    )
    assert wired("logs", "logs_watched") == [{"path": path, "rotation": nginx_configure.ROTATION, "keep_days": days}]
    other = wired("logs", "logs_watched", nginx_log_path="/srv/logs", nginx_log_keep_days=3)
    assert (other[0]["path"], other[0]["keep_days"]) == ("/srv/logs", 3)


REPEATED = re.compile(r"\b(\w+) \| default\(('[^']*'|[^()]*)\)")


def test_a_default_that_playbooks_repeat_is_the_one_of_the_role() -> None:
    """Outside of a role its defaults are not known: who needs a value there writes it once more."""
    files = ROOT.glob("roles/*/defaults/main.yml")
    roles = {name: value for path in files for name, value in (yaml.safe_load(path.read_text()) or {}).items()}
    told = {
        (path.name, name, said)
        for path in ROOT.glob("playbooks/**/*.yml")
        for name, said in REPEATED.findall(path.read_text())
        if name in roles
    }
    assert ("maintenance.yml", "release_patch_s", "1800") in told
    assert [each for each in sorted(told) if yaml.safe_load(each[2]) != roles[each[1]]] == []
