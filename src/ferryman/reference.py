"""What is written from its source and never by hand: a role's defaults, the reference, figures, the locks.

`files()` is the whole answer as a map of path to text, so that a test can compare it with what is there.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ferryman import fitting, plots, records, required, specs
from ferryman.errors import Stop

Command = tuple[str, str, list[tuple[str, str]]]  # name, what it does, its options with their help


class Dumper(yaml.SafeDumper):
    """YAML as this project writes it: lists indented, no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def text(value: object) -> str:
    """Represent text as a block where it has lines, else plain or quoted."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)


def multiline(dumper: Dumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, multiline)


def defaults(role: specs.Role) -> str:
    """Return a role's defaults/main.yml."""
    lines = [
        "---",
        f"# Written from roles/{role.name}/meta/argument_specs.yml by `./invoke docs.defaults`: change it there.",
    ]
    for name, value in role.defaults.items():
        lines.append(text({name: value}).rstrip())
    return "\n".join(lines) + "\n"


def role_page(role: specs.Role) -> str:
    """Return a role's page of the reference."""
    lines = [f"# Role `ferryman.ops.{role.name}`", "", written_from(f"roles/{role.name}/meta/argument_specs.yml")]
    lines += [f"[What it promises, and an example](../../../roles/{role.name}/README.md)", ""]
    for entry, spec in role.entries.items():
        lines += [f"## Entry `{entry}`", "", sentence(spec.get("short_description"))]
        lines += ["", sentence(spec["description"])] if spec.get("description") else []
        lines += ["", *options_table(spec.get("options") or {}), ""]
    return "\n".join(lines).rstrip() + "\n"


def options_table(options: dict[str, specs.Option]) -> list[str]:
    """Return a table of options, those inside of maps and lists below them with their path."""
    if not options:
        return ["It takes no options."]
    rows = ["| option | type | default | what it is |", "|---|---|---|---|"]
    return rows + [row for name, option in options.items() for row in option_rows(name, option)]


def option_rows(path: str, option: specs.Option) -> list[str]:
    """Return the row of an option, and of what lies in it."""
    kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
    choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if option.get("choices") else ""
    choices += f" Allowed: {cell(fitting.allowed(option['bounds']))}." if "bounds" in option else ""
    secret = " Secret." if option.get("no_log") else ""
    default = "required" if option.get("required") else f"`{inline(option['default'])}`" if "default" in option else ""
    row = f"| `{path}` | {kind} | {default} | {cell(sentence(option.get('description')))}{choices}{secret} |"
    inner = (option.get("options") or {}).items()
    between = "[]." if kind.startswith("list") else "."
    return [row, *(below for name, part in inner for below in option_rows(f"{path}{between}{name}", part))]


def modules_page(root: Path) -> str:
    """Return the page of the modules and plugins, from their own documentation."""
    lines = ["# Modules and plugins", "", written_from("the DOCUMENTATION and RETURN of each")]
    for path in sorted((root / "plugins").glob("*/*.py")):
        said = documentation(path)
        if not said:
            continue
        kind = path.parent.name
        lines += [f"## `ferryman.ops.{path.stem}`" + ("" if kind == "modules" else f" ({kind})"), ""]
        lines += [sentence(said.get("short_description")), "", sentence(said.get("description")), ""]
        lines += [*options_table(said.get("options") or {}), ""]
        if said["RETURN"]:
            lines += ["It answers:", "", "| key | type | what it is |", "|---|---|---|"]
            lines += [
                f"| `{key}` | {part.get('type', '')} | {cell(sentence(part.get('description')))} |"
                for key, part in said["RETURN"].items()
            ]
            lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def documentation(path: Path) -> dict[str, Any]:
    """Return DOCUMENTATION of a plugin with its RETURN, read without importing it; empty if it has none."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.targets[0], ast.Name)
        ):
            found[node.targets[0].id] = node.value.value
    said = yaml.safe_load(found.get("DOCUMENTATION") or "") or {}
    return {**said, "RETURN": yaml.safe_load(found.get("RETURN") or "") or {}} if said else {}


def commands_page(commands: Iterable[Command], everywhere: Mapping[str, str]) -> str:
    """Return the page of the command line; the options `everywhere` are those of every command."""
    lines = ["# Commands", "", written_from("the tasks' own help"), "Every command takes", ""]
    lines += typed_table((f"--{name}", about) for name, about in everywhere.items())
    for name, what, options in commands:
        lines += [f"## `./invoke {name}`", "", what, "", *typed_table(options)]
    return "\n".join(lines).rstrip() + "\n"


def typed_table(options: Iterable[tuple[str, str]]) -> list[str]:
    """Return a table of options as they are typed; nothing of none."""
    rows = [f"| `{option}` | {cell(about)} |" for option, about in options]
    return ["| option | what it is |", "|---|---|", *rows, ""] if rows else []


def decisions_page(directory: Path) -> str:
    """Return the page that lists the decisions, by their own headings."""
    lines = ["# Decisions", "", written_from("the heading of each")]
    lines += ["One page for each choice: what was chosen, why, and what was tried and left.", ""]
    for path in sorted(directory.glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def files(root: Path, commands: Iterable[Command], everywhere: Mapping[str, str]) -> dict[Path, str]:
    """Return everything that is written from its source, by path."""
    there = specs.roles(root)
    made = {
        root / "roles" / role.name / "defaults" / "main.yml": defaults(role) for role in there.values() if role.defaults
    }
    pages = root / "docs" / "reference"
    made |= {pages / "roles" / f"{role.name}.md": role_page(role) for role in there.values()}
    listed = [
        f"- [{name}](roles/{name}.md): {sentence(role.entries.get('main', {}).get('short_description'))}"
        for name, role in there.items()
    ]
    index = [
        "# Reference",
        "",
        "- [Commands](commands.md)",
        "- [Modules and plugins](modules.md)",
        "",
        "Roles:",
        "",
        *listed,
    ]
    made[pages / "README.md"] = "\n".join(index).rstrip() + "\n"
    made[root / "docs" / "decisions" / "README.md"] = decisions_page(root / "docs" / "decisions")
    made[pages / "commands.md"] = commands_page(commands, everywhere)
    made[pages / "modules.md"] = modules_page(root)
    proof = root / "docs" / "proof.md"
    if proof.is_file():
        made[proof] = required.page(records.page(proof.read_text(encoding="utf-8"), root), root)
    drawn = root / "docs" / "records" / "canary.json"
    if drawn.is_file():
        made[root / "docs" / "pictures" / "canary.svg"] = plots.canary(json.loads(drawn.read_text(encoding="utf-8")))
    return made


def stale(root: Path, made: dict[Path, str]) -> list[Path]:
    """Return what differs from its source, and pages whose source has gone."""
    differs = [path for path, wanted in made.items() if not path.is_file() or path.read_text() != wanted]
    gone = [path for path in (root / "docs" / "reference").rglob("*.md") if path not in made]
    return sorted([*differs, *gone])


def write(root: Path, made: dict[Path, str], *, only: str = "") -> list[Path]:
    """Write what is stale (of it, files called `only`, where that is said) and return what changed."""
    changed = [path for path in stale(root, made) if not only or path.name == only]
    for path in changed:
        if path not in made:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path])
    return changed


def locks(root: Path, *, upgrade: bool = False) -> list[Path]:
    """Write requirements/*.txt from their .in files: for every platform and Python, hashed, without index addresses.

    Return those that changed.
    """
    made = [root / "requirements" / f"{name}.txt" for name in ("run", "dev", "tls")]
    before = {path: path.read_bytes() if path.exists() else b"" for path in made}
    for name in (path.stem for path in made):
        words = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-emit-index-url"]
        words += ["--no-emit-find-links", "--custom-compile-command", "./invoke docs.locks", "--quiet"]
        words += ["--upgrade"] if upgrade else []
        # The small lock binds the large one: a package has one version in both.
        words += ["--constraint", "run.txt"] if name == "dev" else []
        command = [
            str(Path(sys.executable).with_name("uv")),
            "pip",
            "compile",
            *words,
            f"{name}.in",
            "--output-file",
            f"{name}.txt",
        ]
        done = subprocess.run(
            command, cwd=root / "requirements", env=dict(os.environ), check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            raise Stop(f"requirements/{name}.in could not be locked", hint="uv says why above")
    return [path for path in made if path.read_bytes() != before[path]]


def written_from(source: str) -> str:
    """Return the line that says where a page comes from."""
    return f"Written from {source} by `./invoke docs.reference`.\n"


def sentence(value: object) -> str:
    """Return a description, which may be a list of sentences, as text in which a `<name>` stays to be read."""
    said = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or r"\<", re.sub(r"\s+", " ", said).strip())


def inline(value: object) -> str:
    """Return a value in one line, as YAML writes it."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
        .removesuffix("\n")
        .removesuffix("\n...")
    )


def cell(value: str) -> str:
    """Return text that keeps a table's cell whole."""
    return value.replace("|", "\\|")
