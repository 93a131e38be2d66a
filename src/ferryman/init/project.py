"""A project around an application: its files, made where they are missing, and what to type then."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ferryman import paths, places
from ferryman.environments import LOCAL
from ferryman.errors import Stop
from ferryman.init import broken, describe, described, sandboxes, sources
from ferryman.init.dependencies import Missing
from ferryman.init.files import Layout, refusals
from ferryman.init.guess import guess
from ferryman.init.model import Guess, name_from, word

Told = dict[str, Any]

FILE = "ferryman.yml"
TASKS = "from ferryman.tasks import namespace as ns  # where a plain `inv` finds the commands\n"
IGNORED = ["/.ferryman/", f"/inventories/{LOCAL}/group_vars/all/vault.yml", "__pycache__/"]
APPS = f"inventories/{LOCAL}/group_vars/all/apps.yml"
PLACEHOLDER = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}</title>
<h1>{name}</h1>
<p>Nothing is here yet.</p>
"""


@refusals()
def lay_out(root: Path, application: str) -> Told:
    """Lay out a project in `root` for the application in the directory `application` (as seen from there).

    Returns what was made and kept, what to know, and what to type next. Nothing is overwritten; Stop before anything is
    written where the application says too little, or another project is around.
    """
    _refuse_project_around(root)
    directory = (root / Path(application).expanduser()).resolve()
    if not directory.is_dir():
        raise Stop(
            f"no directory {directory}", hint="name the one that holds the application; clone it first if need be"
        )
    layout = Layout(root)
    at = os.path.relpath(directory, root)
    found = _found(directory)
    if found is None:
        found = _placeholder(layout, directory)
    file = FILE if at == "." else f"{at}/{FILE}"
    if not layout.put(file, describe.text(found)):
        found.remarks.clear()
    layout.put("tasks.py", TASKS)
    _local(layout, found, at)
    layout.ignore([*IGNORED, *(["/.venv/"] if (root / ".venv").is_dir() else [])])
    named = _named(layout)
    app = "" if {*named, found.name} == {found.name} else found.name
    missing = [*(_seen_from_here(each, at) for each in found.missing), *_not_named(named, found, at)]
    new = [name.split("/")[0] for name in layout.made] if at == "." else [FILE]
    new += [name for each in found.missing for name in each.writes]
    return {
        "project": str(root),
        "app": found.name,
        "made": layout.made,
        "kept": layout.kept,
        "remarks": [{"about": f"{file}: {remark.key}", "text": remark.text} for remark in found.remarks],
        "missing": [{"command": each.command, "why": each.why} for each in missing],
        "next": [*_git(directory, at, new), paths.command("deploy", "", app)],
    }


def _refuse_project_around(root: Path) -> None:
    around = paths.project_above(root.parent)
    inside = os.path.relpath(root, around or root)
    if around and not (root / "inventories").is_dir():
        raise Stop(
            f"{around} is a project already (it has inventories/), and {root} lies in it",
            hint=f"a project holds several applications: cd {around} && {paths.program()} init {inside}\n"
            "  (`mkdir inventories` here first makes this a project of its own)",
        )


def _found(directory: Path) -> Guess | None:
    """Return what the application says of itself, else what its files tell; None where they tell nothing."""
    path, files = directory / FILE, sources.read(directory)
    if not os.path.lexists(path):
        broken.refuse(directory, files)
        return guess(files, directory=directory.name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
        raise Stop(f"{path} cannot be read: {said}", hint=described.ANEW) from error
    return described.read(text, files, place=str(path))


def _placeholder(layout: Layout, directory: Path) -> Guess:
    """Put a page into an empty directory, so that `deploy` has something; Stop where what is there says nothing."""
    there = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    if set(there) - {"tasks.py", "inventories", "group_vars"} or directory != layout.root:
        raise Stop(
            f"nothing in {directory} says how it is started: no pyproject.toml, requirements.txt, package.json, "
            "Procfile, Dockerfile, manage.py, index.html",
            hint=f"describe it in {directory / FILE} (Ferryman's docs/guides/own-app.md), then run this again",
        )
    layout.put("site/index.html", PLACEHOLDER.format(name=name_from(directory.name)))
    found = guess({"site/index.html": ""}, directory=directory.name)
    assert found is not None
    found.say("build", "A first page, since nothing was here: put your own in its place.")
    return found


def _local(layout: Layout, found: Guess, at: str) -> None:
    """Lay out the environment `local`: real hosts on this machine, on ports of their own."""
    files = sandboxes.files(sandboxes.SINGLE, env=LOCAL, name=name_from(found.name))
    layout.environment(LOCAL, {**files, "group_vars/all/apps.yml": apps_text(found, at)})


def apps_text(found: Guess, at: str) -> str:
    """Return the environment's apps.yml with this application."""
    app: dict[str, Any] = {"repository": at, "domains": [f"{name_from(found.name)}.localhost"]}
    if found.secrets:
        app["secrets"] = found.secrets
    if found.database:
        own = word(found.name)
        app["database"] = {"name": own, "owner": own, "password": f"{{{{ vault_{own}_database_password }}}}"}
    made = "# Values called vault_... are made by themselves for this environment, and lie encrypted in vault.yml.\n"
    return f"---\n{made if found.secrets else ''}" + describe.dump({"apps": {found.name: app}})


def _named(layout: Layout) -> list[str]:
    """Return the applications that the environment has."""
    path = layout.root / APPS
    try:
        told = places.values(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []  # the check says what is wrong with it
    apps = told.get("apps") if isinstance(told, dict) else None
    return [str(name) for name in apps] if isinstance(apps, dict) else []


def _not_named(named: list[str], found: Guess, at: str) -> list[Missing]:
    """Return what to add where the environment's applications were listed before, without this one."""
    if found.name in named:
        return []
    lines = "".join(f"  {line}\n" for line in apps_text(found, at).partition("apps:\n")[2].splitlines())
    return [Missing(f"edit {APPS}", f"it does not name {found.name}; add below `apps:`\n{lines.rstrip()}")]


def _seen_from_here(each: Missing, at: str) -> Missing:
    """Return what is to be typed in the application's directory as it is typed in the project's."""
    if at == ".":
        return each
    what, _, file = each.command.partition(" ")
    return Missing(f"edit {at}/{file}" if what == "edit" else f"(cd {at} && {each.command})", each.why)


def _git(directory: Path, at: str, new: list[str]) -> list[str]:
    """Return what brings these files into a commit: a deploy takes nothing else."""
    git = "git" if at == "." else f"git -C {at}"
    known = _said(directory, "rev-parse", "--verify", "--quiet", "HEAD")
    if known and not _said(directory, "status", "--porcelain", "--", "."):
        return []
    what = " ".join(dict.fromkeys(new)) if known and new else "--all"
    begin = [] if _said(directory, "rev-parse", "--git-dir") else [f"{git} init --quiet"]
    return [*begin, f"{git} add {what}", f'{git} commit --quiet --message "Describe how this is deployed"']


def _said(directory: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(directory), *words], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise Stop(
            "git is not installed, and a deploy takes commits", hint="install git, then run this again"
        ) from None
    return done.stdout.strip()


def words(told: Mapping[str, Any]) -> str:
    """Say what was laid out, what to know about it, and what to type next."""
    lines = [
        f"{told['app']}: {len(told['made'])} files made in {told['project']}"
        if told["made"]
        else f"{told['app']}: all is there, nothing was changed"
    ]
    lines += [f"  made  {name}" for name in told["made"]]
    lines += [f"  kept  {name}" for name in told["kept"]]
    lines += [f"  {remark['about']}: {remark['text']}" for remark in told["remarks"]]
    lines += ["", "next:"]
    for each in told["missing"]:
        lines += [f"  {each['command']}", f"      # {each['why']}"]
    return "\n".join([*lines, *(f"  {command}" for command in told["next"])])
