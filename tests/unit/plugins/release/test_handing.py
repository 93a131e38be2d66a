"""What an arbiter is sent that is to drive a run: of the lock what Ansible needs there, of values no template."""

import json
import re
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.ferryman.ops.plugins.action import release_hand_over
from ansible_collections.ferryman.ops.plugins.module_utils.release import driving
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import action, handing
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

HERE = {"python": "3.11", "python_version": "3.11.2", "platform": "linux-x86_64", "libc": "glibc-2.36"}
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["{{ 6 * 7 }}", "{% if x %}", "yes", "~"]
)
values = st.recursive(
    words | st.booleans() | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_whatever_is_told_arrives_as_it_was_and_nothing_in_it_is_a_template(value: Any) -> None:
    text = handing.text({"release_value": value})
    assert text.isascii()
    loaded = DataLoader().load(text)
    assert json.loads(json.dumps(loaded)) == {"release_value": value}
    assert Templar(DataLoader()).template(loaded["release_value"]) == value


def closure(name: str, found: set[str]) -> set[str]:
    """Return a package and all that it needs on the hosts' platform, as it is installed here."""
    if name not in found:
        found.add(name)
        for line in requires(name) or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                closure(re.sub(r"[-_.]+", "-", wanted.name).lower(), found)
    return found


def test_what_is_taken_of_the_lock_is_what_ansible_needs_and_no_more() -> None:
    assert closure("ansible-core", set()) == {*handing.TOOLS}


@pytest.mark.parametrize(("python", "series"), [("3.11", "2.19."), ("3.13", "2.21.")])
def test_the_lock_is_read_for_the_hosts_python_and_every_line_has_its_hashes(python: str, series: str) -> None:
    lines = handing.lock({**HERE, "python": python, "python_version": f"{python}.5"}).text.splitlines()
    assert {line.partition("==")[0] for line in lines} == {*handing.TOOLS}
    (core,) = (line for line in lines if line.startswith("ansible-core=="))
    assert core.startswith(f"ansible-core=={series}")
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", line) for line in lines), lines


def test_the_toolkit_has_the_playbook_and_changes_its_name_with_any_of_its_files() -> None:
    files = handing.toolkit()
    assert "ansible_collections/ferryman/ops/playbooks/release_drive.yml" in files
    assert not [name for name in files if "__pycache__" in name]
    name = next(iter(files))
    assert handing.version(files) == handing.version(dict(reversed(files.items())))
    assert handing.version(files) != handing.version({**files, name: files[name] + b"x"})


class Handing(release_hand_over.ActionModule):
    """The action with values of the test's own, and without Ansible around it."""

    def __init__(self, place: Path) -> None:
        hosts = {"app": ["web1"], "entry": ["web1"], "db": [], "arbiter": "web1"}
        self.host, self.vars, self.place = "web1", {}, place
        self.told: dict[str, Any] = {"app": "shop", "environment": "prod", "hosts": hosts, "work_dir": str(place)}

    def value(self, name: str, default: Any = None) -> Any:
        return self.told.get(name, default)

    @property
    def memory(self) -> Path:
        return self.place / "runs" / "20260101T000000Z-abcdef"


def test_what_a_run_remembers_goes_along_and_no_mark_of_a_task_that_is_over(tmp_path: Path) -> None:
    """Who drives from there on has tasks of its own, whose marks would be taken to be there already."""
    for name in ("app.tar", "files.txt", "manifest.json"):
        (tmp_path / name).write_text("")
    handing_over = Handing(tmp_path)
    handing_over.memory.mkdir(parents=True)
    plan = {"artifact": str(tmp_path), "record": {"environment_key": "", "manifest": {"runtime": {"kind": "binary"}}}}
    handing_over.remember("plan", plan)
    handing_over.remember("look-web1", {})
    handing_over.remember(f"{action.ENDED}-0000-web1", {"ended": "done"})
    sent = {Path(name).name for name, _ in handing_over._run({})}
    assert sent == {"hosts.yml", "plan.json", "look-web1.json", "app.tar", "files.txt", "manifest.json"}


def test_no_value_that_means_this_machine_is_handed_on() -> None:
    assert not {*handing.MINE} & {*handing.options()}
    assert {"secrets", "hosts", "soak_s", "stages", "hotfix", "hotfix_stages"} <= {*handing.options()}


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=40), max_size=6),
    st.integers(0, 300),
)
def test_lines_are_told_once_each_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cut: int
) -> None:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    text = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    path.write_bytes(text[:cut])
    first, at = driving.lines_of(path, 0)
    path.write_bytes(text)
    second, end = driving.lines_of(path, at)
    assert [json.loads(line) for line in first + second] == lines
    assert end == len(text)


def test_a_line_that_is_longer_than_an_answer_is_told_whole(tmp_path: Path) -> None:
    line = "x" * (driving.LINES_BYTES + 10)
    (tmp_path / "events.jsonl").write_text(f"{line}\nnext\n")
    lines, at = driving.lines_of(tmp_path / "events.jsonl", 0)
    assert lines[0] == line
    assert at == len(line) + 1 + (len("next\n") if len(lines) == 2 else 0)


def test_what_another_application_has_removed_since_is_never_taken_for_there(tmp_path: Path) -> None:
    place, sent = tmp_path / "environments" / "key", tmp_path / "wheels"
    with pytest.raises(Failed, match="has just been removed"):
        driving.room(place, sent)
    sent.mkdir()
    assert driving.room(place, sent)
    place.mkdir()
    (place / "half").touch()
    assert driving.room(place, sent)
    assert not place.exists(), "what was cut off is made anew"
    place.mkdir()
    (place / driving.WHOLE).touch()
    assert not driving.room(place, sent)
