"""The layout's promises: one word per feature, shared values below an environment's own, nothing of one machine."""

import ast
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import layout

import ferryman.tasks
from ferryman import environments, places, variables

ROOT = Path(__file__).parents[2]
TOOL = Path(sys.executable).parent
ENVIRONMENTS = environments.names(ROOT)
THIS = Path(__file__).resolve()


def tracked() -> list[Path]:
    """The files that git knows or would take, without links and what is not text."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    paths = [ROOT / name for name in listed if name]
    return [
        path for path in paths if path.is_file() and not path.is_symlink() and b"\0" not in path.read_bytes()[:4096]
    ]


def lines(pattern: str, suffixes: tuple[str, ...] = ()) -> list[tuple[str, int, str, str]]:
    """Where a pattern stands in tracked files: name, number, the line, and the line before it."""
    found = []
    for path in tracked():
        if path.resolve() == THIS or (suffixes and path.suffix not in suffixes):
            continue
        listed = path.read_text(errors="replace").splitlines()
        for number, line in enumerate(listed, 1):
            if re.search(pattern, line):
                found.append((str(path.relative_to(ROOT)), number, line, listed[number - 2] if number > 1 else ""))
    return found


# --- one word per feature ---


def features() -> set[str]:
    """The words that a playbook may begin with: a role, a plugin's, or one of the command line."""
    roles = {path.name for path in (ROOT / "roles").glob("*")}
    plugins = {path.stem.split("_")[0] for path in (ROOT / "plugins").glob("*/*.py")}
    commands = {name.split(".")[0] for name in ferryman.tasks.namespace.task_names}
    return roles | plugins | commands


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.y*ml")), ids=lambda path: path.name)
def test_a_playbook_carries_its_features_word(path: Path) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*\.yml", path.name), (
        f"{path.name}: snake_case, or `ansible-playbook ferryman.ops.x` fails"
    )
    known = features()
    assert any(path.stem == word or path.stem.startswith(f"{word}_") for word in known), (
        f"{path.name}: no role, plugin or command has this word, and a feature has one: {', '.join(sorted(known))}"
    )


@pytest.mark.parametrize("name", sorted(found.name for found in pkgutil.iter_modules(ferryman.tasks.__path__)))
def test_a_namespace_is_a_feature_and_its_tasks_make_one_call(name: str) -> None:
    module = importlib.import_module(f"ferryman.tasks.{name}")
    assert (module.__doc__ or "").strip(), f"ferryman.tasks.{name} says nothing about itself"
    tree = ast.parse(Path(str(module.__file__)).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(one) for one in node.decorator_list):
            assert ast.get_docstring(node), f"{name}.{node.name} has no sentence for --help"


def test_positionals_have_defaults_so_that_help_is_not_swallowed() -> None:
    for name in ferryman.tasks.namespace.task_names:
        task = ferryman.tasks.namespace[name]
        for argument in task.get_arguments(True):
            assert not argument.positional or argument.default is not None, f"{name}: give {argument.name} a default"


# --- inventories ---


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_sees_shared_values_first(name: str) -> None:
    directory = ROOT / "inventories" / name / "group_vars" / "all"
    link = directory / "00-shared"
    assert link.is_symlink(), (
        f"{link.relative_to(ROOT)} is missing: ln -s ../../../../group_vars/all {link.relative_to(ROOT)}"
    )
    assert str(link.readlink()) == "../../../../group_vars/all"
    assert min(path.name for path in directory.iterdir()) == "00-shared", (
        "what is read before the link would lose against it"
    )


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_well_formed_and_says_its_name(name: str) -> None:
    environment = environments.resolve(name, project=ROOT)
    assert not [str(problem) for problem in places.malformed(environment)]
    text = "\n".join(path.read_text() for path in environment.variables.glob("*.yml"))
    assert re.findall(r"^environment_name: (\S+)$", text, re.MULTILINE) == [name]


def test_the_example_environment_is_usable() -> None:
    """Of `prod` alone: `local` has secrets of its own, which are this machine's."""
    loaded = variables.load(environments.resolve("prod", project=ROOT))
    assert not [str(problem) for problem in variables.validate(loaded)]


def test_the_examples_are_laid_out_as_a_release_can_be_brought_to() -> None:
    for name in ENVIRONMENTS:
        told = yaml.safe_load((ROOT / "inventories" / name / "hosts.yml").read_text())["all"]["children"]
        groups = {kind: list(told[kind]["hosts"]) for kind in ("entry", "app")}
        assert layout.refusal({**groups, "arbiter": groups["entry"][:1]}) == "", name


def test_ansible_reads_shared_values_an_environments_own_win_and_ssh_config_is_no_inventory(tmp_path: Path) -> None:
    shared, own = tmp_path / "group_vars/all", tmp_path / "inventories/prod/group_vars/all"
    for directory in (shared, own, tmp_path / "playbooks"):
        directory.mkdir(parents=True)
    (own / "00-shared").symlink_to("../../../../group_vars/all")
    (shared / "nginx.yml").write_text("from_shared: shared\nfrom_both: shared\n")
    (own / "nginx.yml").write_text("from_both: own\n")
    (tmp_path / "inventories/prod/hosts.yml").write_text("all: {hosts: {one: {}}}\n")
    (tmp_path / "inventories/prod/ssh_config").write_text("Host jump\n  User ops\n")
    (tmp_path / "ansible.cfg").write_text((ROOT / "ansible.cfg").read_text())
    words = [str(TOOL / "ansible-inventory"), "-i", "inventories/prod", "--host", "one"]
    keep = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(words, cwd=tmp_path, env=keep, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"from_both": "own", "from_shared": "shared"}


def test_no_other_group_has_shared_values() -> None:
    assert [path.name for path in (ROOT / "group_vars").iterdir()] == ["all"], (
        "a group's value would beat an environment's"
    )
    assert not (ROOT / "playbooks" / "group_vars").exists(), "Ansible would read it after every inventory"
    assert not (ROOT / "playbooks" / "host_vars").exists()


def test_no_inventory_is_a_default() -> None:
    assert not re.search(r"^inventory\s*=", (ROOT / "ansible.cfg").read_text(), re.MULTILINE)


# --- locks ---


def locked(name: str) -> dict[str, str]:
    """The packages of a lock, each with its line (version and marker)."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in entries:
        assert "--hash=sha256:" in line, f"requirements/{name}.txt: {line.split()[0]} has no hash"
    return {line.split("--hash")[0].strip(): line for line in entries}


@pytest.mark.parametrize("name", ["run", "dev", "tls"])
def test_a_lock_has_hashes_and_no_addresses(name: str) -> None:
    locked(name)
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|-f ", text), (
        "an address belongs to the machine, not to the project"
    )


def test_the_large_lock_holds_the_small_one() -> None:
    small, large = ({line.split(" ;")[0] for line in locked(name)} for name in ("run", "dev"))
    assert small <= large, f"./invoke docs.locks makes both together: {small - large}"


def test_the_small_lock_has_the_hashes_of_the_large_one_which_every_pipeline_installs() -> None:
    small, large = (
        {line.split(" ;")[0]: set(re.findall(r"sha256:\w+", whole)) for line, whole in locked(name).items()}
        for name in ("run", "dev")
    )
    assert {line: hashes for line, hashes in small.items() if hashes != large[line]} == {}


def test_the_pipeline_types_the_readmes_test_command_and_nothing_else() -> None:
    typed = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("exec ")]
    assert typed == ["exec ./invoke test --yes < /dev/null"]
    assert "\n./invoke test" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["run", "dev", "tls"])
def test_every_bound_is_locked(name: str) -> None:
    listed = [line.split("#")[0].strip() for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines()]
    wanted = {re.split(r"[><=;\s]", line)[0].lower() for line in listed if line and not line.startswith("-")}
    have = {line.split("==")[0].lower() for line in locked(name)}
    assert wanted <= have, f"not in requirements/{name}.txt: {wanted - have}; ./invoke docs.locks"


def test_neither_paramiko_nor_the_large_ansible_came_along() -> None:
    assert not {"paramiko", "ansible"} & {line.split("==")[0] for line in locked("dev")}


# --- nothing of one machine, nothing without its reason ---


def test_nothing_names_one_machine_or_a_registry() -> None:
    found = lines(
        r"/root/\.pyenv|(?<![\w.}])/work/|/opt/wheels|/opt/pypi|/tmp/w/|pypi\.org|pythonhosted|deb\.debian\.org|npmjs\.org"
    )
    assert not found, "\n".join(f"{name}:{number}: {line.strip()}" for name, number, line, _ in found)


def test_an_exception_to_a_rule_says_why() -> None:
    patterns = {
        r"#\s*noqa|#\s*nosec|#\s*pragma: no cover": r"(noqa|nosec): [A-Z0-9, ]+\W+\w+ \w+|no cover - \w",
        r"#\s*type: ignore": r"type: ignore\[[^]]+\]\s+# \w",
    }
    wrong = [
        f"{name}:{number}: {line.strip()}"
        for pattern, reason in patterns.items()
        for name, number, line, _ in lines(pattern, (".py",))
        if not re.search(reason, line)
    ]
    wrong += [
        f"{name}:{number}: {line.strip()}"
        for name, number, line, before in lines(
            r"failed_when:\s*false|ignore_errors:\s*true|#\s*yamllint disable|#\s*noqa", (".yml",)
        )
        if not before.lstrip().startswith("#") and not re.search(r":.*# \w+ \w+", line)
    ]
    assert not wrong, "say the reason beside it, or do without:\n" + "\n".join(wrong)


def test_no_test_is_skipped() -> None:
    found = lines(r"pytest\.(mark\.)?(skip|xfail)|unittest\.skip|importorskip", (".py",))
    assert not found, "\n".join(f"{name}:{number}: {line.strip()}" for name, number, line, _ in found)


def test_no_log_is_rotated_by_copying_it() -> None:
    """What is written between the copy and the cut is lost: logs are renamed, and their writer opens a new one."""
    found = [place for place in lines(r"copytruncate") if not place[0].endswith((".md", ".yml"))]
    found += [place for place in lines(r"copytruncate", (".yml",)) if not place[0].startswith("changelogs/")]
    assert not found, "\n".join(f"{name}:{number}: {line.strip()}" for name, number, line, _ in found)
