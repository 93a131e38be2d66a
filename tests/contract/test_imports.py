"""Who may know what: the import graph of docs and code is the same one."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ferryman"
# The ground that everything else stands on, and that stands on nothing else.
BASE = {"errors", "paths", "environments", "specs", "wiring", "places", "fitting"}
# One door each to what is large and slow, so that it can be left shut.
DOORS = {"invoke": {"tasks", "program"}, "ansible": {"variables", "ansible_playbook"}, "ansible_runner": {"runs"}}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def part(path: Path) -> str:
    """The word of a module in the package: `sandbox` for sandbox/hosts.py, `tasks` for tasks/test.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def graph() -> dict[str, set[str]]:
    """Which part of the package imports which others."""
    parts = {part(path) for path in PACKAGE.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in parts}
    for path in PACKAGE.rglob("*.py"):
        for name, _ in imports(path):
            words = name.split(".")
            if words[0] == "ferryman" and len(words) > 1 and words[1] in parts:
                found[part(path)].add(words[1])
    return {name: others - {name} for name, others in found.items()}


def test_tasks_py_imports_the_tasks_and_nothing_else() -> None:
    assert {name for name, _ in imports(ROOT / "tasks.py")} == {"ferryman.tasks", "ferryman.tasks.namespace"}


def test_only_the_program_knows_the_tasks() -> None:
    knowing = {name for name, others in graph().items() if "tasks" in others}
    assert knowing <= {"program"}, f"{knowing - {'program'}} import ferryman.tasks: a task is the last to be called"


@pytest.mark.parametrize("name", sorted(BASE))
def test_the_ground_stands_on_nothing_else(name: str) -> None:
    above = graph()[name] - BASE
    assert not above, f"ferryman.{name} imports {sorted(above)}; it may know {sorted(BASE)} alone"


def test_variables_and_runs_know_no_feature() -> None:
    found = graph()
    assert found["variables"] <= BASE
    assert found.get("runs", set()) <= BASE | {"variables", "progress"}


def test_nothing_goes_in_circles() -> None:
    found, done = graph(), set[str]()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle of imports: {' -> '.join([*above, name])}"
        if name not in done:
            for other in found[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in found:
        visit(name, ())


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_large_library_has_one_door(library: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}: only {sorted(DOORS[library])} may"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, line in imports(path)
        if name.split(".")[0] == library and part(path) not in DOORS[library]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_package_never_imports_plugins() -> None:
    wrong = [
        f"{path}:{line}"
        for path in PACKAGE.rglob("*.py")
        for name, line in imports(path)
        if "ansible_collections" in name
    ]
    assert not wrong, f"JSON results are the bridge, not imports: {wrong}"


def test_plugins_never_import_the_package() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / "plugins").rglob("*.py")
        for name, line in imports(path)
        if name.split(".")[0] == "ferryman"
    ]
    assert not wrong, f"a plugin runs where there is no package: {wrong}"


def on_hosts() -> list[Path]:
    """What runs on hosts: modules, and the utilities that they share."""
    return sorted([*(ROOT / "plugins").glob("modules/*.py"), *(ROOT / "plugins").glob("module_utils/**/*.py")])


@pytest.mark.parametrize("path", on_hosts(), ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_what_runs_on_hosts_needs_python_3_9_alone(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 9))
    allowed = sys.stdlib_module_names | {"ansible"}
    wrong = [
        f"{name} (line {line})"
        for name, line in imports(path)
        if name.split(".")[0] not in allowed
        and not name.startswith("ansible_collections.ferryman.ops.plugins.module_utils")
    ]
    wrong += [
        f"{name} (line {line})"
        for name, line in imports(path)
        if name.startswith("ansible.") and not name.startswith("ansible.module_utils")
    ]
    assert not wrong, f"{path.relative_to(ROOT)} imports what hosts do not have: {', '.join(wrong)}"
