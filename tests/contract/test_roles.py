"""What every role keeps to, so that each can be used alone and read at a glance.

Requirements: CI-2.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ferryman import fitting, reference, specs

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in (ROOT / "roles").glob("*") if path.is_dir())
every_role = pytest.mark.parametrize("name", NAMES)


def role(name: str) -> specs.Role:
    path = ROOT / "roles" / name / "meta" / "argument_specs.yml"
    assert path.is_file(), f"role {name} has no meta/argument_specs.yml: the spec is the truth about a role"
    return specs.read(path.parents[1])


def sources(name: str, *kinds: str) -> Iterator[Path]:
    """The files of a role that Ansible reads, of the kinds said."""
    for kind in kinds or ("tasks", "handlers", "templates", "vars"):
        yield from sorted(path for path in (ROOT / "roles" / name / kind).rglob("*") if path.is_file())


def tasks(path: Path) -> Iterator[dict[str, Any]]:
    """Every task of a file, in blocks too."""

    def walk(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for task in listed or []:
            yield task
            for key in ("block", "rescue", "always"):
                yield from walk(task.get(key) or [])

    yield from walk(yaml.safe_load(path.read_text()) or [])


def places(name: str, pattern: str, *kinds: str) -> list[str]:
    """Where a pattern stands in a role, outside of comments."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources(name, *kinds)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.search(pattern, line.split(" #")[0]) and not line.lstrip().startswith(("#", "{#"))
    ]


@every_role
def test_defaults_are_written_from_the_spec(name: str) -> None:
    spec = role(name)
    path = spec.directory / "defaults" / "main.yml"
    if not spec.defaults:
        assert not path.exists(), f"{path.relative_to(ROOT)}: the spec has no defaults, so there is nothing to write"
        return
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing: ./invoke docs.defaults writes it"
    assert path.read_text() == reference.defaults(spec), f"{path.relative_to(ROOT)} is stale: ./invoke docs.defaults"


@every_role
def test_every_option_says_what_it_is(name: str) -> None:
    wrong: list[str] = []

    def look(option: specs.Option, path: str, *, inner: bool) -> None:
        if not option.get("description"):
            wrong.append(f"{path} has no description")
        if "type" not in option:
            wrong.append(f"{path} has no type")
        if not inner and bool(option.get("required")) == ("default" in option):
            wrong.append(f"{path} must be either required or have a default")
        if option.get("type") == "list" and "elements" not in option:
            wrong.append(f"{path} is a list of what? (elements)")
        for key, part in (option.get("options") or {}).items():
            look(part, f"{path}.{key}", inner=True)

    for entry, spec in role(name).entries.items():
        if not spec.get("short_description"):
            wrong.append(f"{entry} has no short_description")
        for key, option in (spec.get("options") or {}).items():
            look(option, f"{entry}: {key}", inner=False)
    assert not wrong, "\n".join(wrong)


def parts(option: specs.Option, path: str) -> Iterator[tuple[str, specs.Option]]:
    """An option and what lies in it, by path as the reference has them."""
    yield path, option
    between = "[]." if option.get("type") == "list" else "."
    for key, part in (option.get("options") or {}).items():
        yield from parts(part, f"{path}{between}{key}")


@every_role
def test_every_number_has_its_bounds_and_every_default_is_within(name: str) -> None:
    spec = role(name)
    found = dict(each for key, option in spec.options.items() for each in parts(option, key))
    file = spec.directory / "meta" / "bounds.yml"
    lost = (yaml.safe_load(file.read_text()) if file.is_file() else {}).keys() - found.keys()
    assert not lost, f"{file.relative_to(ROOT)} names what is no option: {sorted(lost)}"
    numbers = [path for path, option in found.items() if {option["type"], option.get("elements")} & {"int", "float"}]
    without = [path for path in numbers if "bounds" not in found[path]]
    assert not without, f"{file.relative_to(ROOT)} must say between which bounds these are: {without}"
    for path, option in found.items():
        given = option["default"] if isinstance(option.get("default"), list) else [option.get("default")]
        wrong = [each for each in given if each is not None and fitting.outside(option.get("bounds") or {}, each)]
        assert not wrong, f"{path}: its own default {wrong} is not {fitting.allowed(option['bounds'])}"


# They look, or act on what a deploy has judged; a session more would be felt in each of them.
LOOKING = {
    *"plan compare diff check look health verify unlock maintenance once why word attach judge fence patch_end".split()
}


@every_role
def test_an_entry_with_bounded_options_begins_by_judging_them(name: str) -> None:
    spec = role(name)
    for entry, said in spec.entries.items():
        bounded = any("bounds" in part for key, each in said["options"].items() for _, part in parts(each, key))
        if bounded and not (name == "release" and entry in LOOKING):
            first = yaml.safe_load((spec.directory / "tasks" / f"{entry}.yml").read_text())[0]
            assert "ferryman.ops.host_bounds" in first, (
                f"{name}/tasks/{entry}.yml must begin with ferryman.ops.host_bounds"
            )


@every_role
def test_options_carry_the_roles_name(name: str) -> None:
    wrong = [option for option in role(name).options if not option.startswith(f"{name}_")]
    assert not wrong, f"role {name}: {wrong} must begin with {name}_"


@every_role
def test_an_option_means_the_same_in_every_entry(name: str) -> None:
    spec = role(name)
    meaning = ("type", "elements", "choices", "default", "options", "no_log")
    wrong = [
        f"{entry}: {key}"
        for entry, said in spec.entries.items()
        for key, option in (said.get("options") or {}).items()
        # An act may demand what `main` has a default for, and may say it in other words.
        if any(option[word] != spec.options[key].get(word, option[word]) for word in meaning if word in option)
    ]
    assert not wrong, f"role {name} describes these in two ways (a YAML anchor keeps them one): {wrong}"


@every_role
def test_every_entry_has_its_tasks_and_a_main(name: str) -> None:
    spec = role(name)
    assert "main" in spec.entries, f"role {name} has no entry `main`, which brings a host to its state"
    missing = [entry for entry in spec.entries if not (spec.directory / "tasks" / f"{entry}.yml").is_file()]
    assert not missing, f"role {name} describes entries without tasks/<entry>.yml: {missing}"


@every_role
def test_internals_are_marked(name: str) -> None:
    wrong: list[str] = []
    for path in sources(name, "tasks", "handlers"):
        for task in tasks(path):
            made = [task.get("register"), (task.get("loop_control") or {}).get("loop_var")]
            facts = task.get("ansible.builtin.set_fact") or {}
            made += [key for key in facts if key != "cacheable"] if isinstance(facts, dict) else []
            wrong += [
                f"{path.relative_to(ROOT)}: {word}" for word in made if word and not word.startswith(f"__{name}_")
            ]
    assert not wrong, f"registered and looped variables begin with __{name}_:\n" + "\n".join(wrong)


@every_role
def test_no_role_reads_anothers_variables(name: str) -> None:
    others = {
        key
        for other in NAMES
        if other != name and (ROOT / "roles" / other / "meta" / "argument_specs.yml").is_file()
        for key in role(other).options
    }
    others -= set(role(name).options)
    found = places(name, rf"(?<![\w.-])({'|'.join(map(re.escape, sorted(others)))})(?![\w-])") if others else []
    assert not found, "a playbook passes values from one role to another:\n" + "\n".join(found)


@every_role
def test_no_role_knows_groups_environments_or_secrets_by_name(name: str) -> None:
    # A host's results through `hostvars` are a role's own; a host or a group by its name is not.
    words = [
        r"\bgroups\s*[\[.]",
        r"\bgroup_names\b",
        r"\bhostvars\s*\[\s*[\x22\x27]",
        r"\benvironment_name\b",
        r"\bvault_\w+\s*[}|]",
    ]
    found = places(name, "|".join(words))
    assert not found, "roles take values, inventories and playbooks know names:\n" + "\n".join(found)


def catching(listed: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Every list of tasks, however deep, of whose failures its block has more to do (`rescue`, `always`)."""
    for task in listed or []:
        more = {"block": {"rescue", "always"}, "rescue": {"always"}, "always": set[str]()}
        for key, after in more.items():
            if after & task.keys():
                yield task.get(key) or []
            yield from catching(task.get(key) or [])


def test_a_task_that_runs_once_stands_in_no_block_that_catches_its_failure() -> None:
    """Ansible has all other hosts fail twice over, the second time out of the rescue: a block of its own takes that."""
    lists = [(path, yaml.safe_load(path.read_text())) for name in NAMES for path in sources(name, "tasks")]
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        plays = yaml.safe_load(path.read_text())
        lists += [(path, play.get(key)) for play in plays for key in ("pre_tasks", "tasks", "post_tasks")]
    caught = [(path, task) for path, told in lists for listed in catching(told) for task in listed]
    assert caught
    wrong = [f"{path.relative_to(ROOT)}: {task['name']}" for path, task in caught if task.get("run_once")]
    assert not wrong, "give each a block of its own, without a rescue:\n" + "\n".join(wrong)


@every_role
def test_no_task_that_may_run_once_is_held_up_by_throttle(name: str) -> None:
    """Ansible takes no account of `throttle` where `run_once` is anything but false, a template that is false, too."""
    both = [
        task["name"] for path in sources(name, "tasks") for task in tasks(path) if {"run_once", "throttle"} <= {*task}
    ]
    assert not both, f"include a file that has the throttle: {both}"


@pytest.mark.parametrize(("own", "rescued"), [(True, {"one", "two", "three"}), (False, {"one"})])
def test_of_a_task_that_runs_once_all_hosts_come_to_the_rescue_where_it_has_a_block_of_its_own(
    tmp_path: Path, own: bool, rescued: set[str]
) -> None:
    once: dict[str, Any] = {"name": "Once", "ansible.builtin.fail": {"msg": "no"}, "run_once": True}
    came = {"name": "Back", "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} came"}}
    block = {"name": "All", "block": [{"name": "Own", "block": [once]} if own else once], "rescue": [came]}
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "any_errors_fatal": True, "tasks": [block]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"name": "Try", **play}]))
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", "one,two,three,", str(tmp_path / "play.yml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert set(re.findall(r"(\w+) came", done.stdout)) == rescued, done.stdout + done.stderr


@every_role
def test_tasks_are_named_after_their_file(name: str) -> None:
    wrong: list[str] = []
    entries = set(role(name).entries)
    for path in sources(name, "tasks"):
        stem = path.stem.replace("_", " ")
        for task in tasks(path) if path.stem != "main" else ():
            said = str(task.get("name", "")).lower().replace("_", " ")
            # A part of an entry (deploy_one of deploy) is that entry to whoever watches.
            if not any(
                said.startswith(f"{word} | ") for word in {stem, *(e for e in entries if stem.startswith(f"{e} "))}
            ):
                wrong.append(
                    f"{path.relative_to(ROOT)}: {task.get('name')!r} should begin with '{stem.capitalize()} | '"
                )
    assert not wrong, "\n".join(wrong)


@every_role
def test_a_role_is_tested_alone(name: str) -> None:
    scenario = ROOT / "molecule" / name
    assert (scenario / "molecule.yml").is_file(), f"role {name} has no scenario molecule/{name}/molecule.yml"
    assert list(scenario.rglob("test_*.py")), f"molecule/{name} looks at nothing: it has no tests/test_{name}.py"


def test_a_default_that_a_playbook_repeats_is_the_roles() -> None:
    """A playbook does not see the defaults of a role that another play uses."""
    defaults: dict[str, Any] = {}
    for name in NAMES:
        defaults |= yaml.safe_load((ROOT / "roles" / name / "defaults/main.yml").read_text()) or {}
    repeated = [
        (path.name, name, yaml.safe_load(value))
        for path in sorted((ROOT / "playbooks").rglob("*.yml"))
        for name, value in re.findall(r"\b([a-z_]+) \| default\(([^()]+)\)", path.read_text())
        if name in defaults
    ]
    assert {name for _, name, _ in repeated} >= {"nginx_log_path", "certificate_acme_directory"}
    for file, name, value in repeated:
        assert value == defaults[name], f"{file} takes {value!r} for {name}, its role takes {defaults[name]!r}"
