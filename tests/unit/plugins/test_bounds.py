"""What a role's meta/bounds.yml asks: `check` and the role itself judge alike, and the role alone refuses."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils import bounds
from hypothesis import given
from hypothesis import strategies as st

from ferryman import fitting, paths

NUMBERS = st.integers() | st.floats()
BOUNDS = st.builds(lambda least, more: {"least": least, "most": least + more}, st.integers(-9, 9), st.integers(0, 9))


@given(BOUNDS | st.builds(lambda least: {"least": least}, st.integers(-9, 9)), NUMBERS)
def test_a_number_is_judged_alike_in_the_files_and_in_the_role(bound: dict[str, int], value: float) -> None:
    assert bounds.outside(bound, value) == fitting.outside(bound, value)
    assert bounds.allowed(bound) == fitting.allowed(bound)


@given(st.text(alphabet="0123456789kmz;\n -"))
def test_a_text_is_judged_alike_in_the_files_and_in_the_role(value: str) -> None:
    bound = {"pattern": "[0-9]+[km]?", "means": "a size"}
    assert bounds.outside(bound, value) == fitting.outside(bound, value)
    assert bounds.allowed(bound) == fitting.allowed(bound) == "a size"


@pytest.mark.parametrize("value", [0, 65536, -1, float("nan"), float("inf"), "99999"])
def test_what_is_no_port_is_outside(value: Any) -> None:
    assert bounds.outside({"least": 1, "most": 65535}, value)


@pytest.mark.parametrize("value", [1, 65535, "443", None])
def test_what_is_a_port_or_not_given_is_not(value: Any) -> None:
    assert not bounds.outside({"least": 1, "most": 65535}, value)


def test_all_are_told_at_once_each_by_its_name_and_not_by_its_value() -> None:
    told: dict[str, Any] = {
        "web_port": {"least": 1, "most": 65535},
        "web_sites[].name": {"pattern": "[a-z]+", "means": "a name"},
        "web_ports": {"least": 1},
        "web_not_given": {"least": 1},
    }
    values = {"web_port": 0, "web_sites": [{"name": "shop"}, {"name": "sh op"}, {}], "web_ports": [80, -1]}
    assert bounds.misfits(told, values) == [
        "web_port must be from 1 to 65535",
        "web_sites[1].name must be a name",
        "web_ports[1] must be 1 or more",
    ]


def test_a_role_alone_refuses_before_anything_is_done(tmp_path: Path) -> None:
    """In check mode, so that nothing is installed here should the role go on."""
    (tmp_path / "play.yml").write_text(
        """\
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    postgresql_port: 99999
    postgresql_memory_percent: "{{ 25 * 100 }}"
    postgresql_databases: [{name: "sh op;--", owner: shop, password: correct-horse}]
  roles: [ferryman.ops.postgresql]
"""
    )
    program = [str(Path(sys.executable).with_name("ansible-playbook")), "--check", str(tmp_path / "play.yml")]
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(paths.collections_path()), "ANSIBLE_FORCE_COLOR": "0"}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    for sentence in (
        "postgresql_port must be from 1 to 65535",
        "postgresql_memory_percent must be from 1 to 100",
        "postgresql_databases[0].name must be a name of at most 63 letters",
    ):
        assert sentence in said, said
    assert [line for line in said.splitlines() if line.startswith("TASK")][1:] == [
        line for line in said.splitlines() if "Main | Refuse values out of bounds]" in line and line.startswith("TASK")
    ]
    assert "correct-horse" not in said
