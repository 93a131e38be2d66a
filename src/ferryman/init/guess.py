"""How an application is built, started and looked at, guessed from its files. Pure: texts in, a description out."""

from collections.abc import Mapping
from typing import Any

from ferryman.init import dependencies, python
from ferryman.init.dependencies import Missing
from ferryman.init.model import OURS, Files, Guess, begin
from ferryman.init.starts import started

STATIC = ("", "public", "site", "www", "htdocs", "static")
# What else lies in a repository, and is nobody's page.
NOT_SERVED = (*OURS, "tasks.py", "ferryman.yml", ".*", "*.md")
# Programs that build a front end, and where each leaves it.
BUILDERS = {
    "vite": "dist", "react-scripts": "build", "@vue/cli-service": "dist", "astro": "dist", "@11ty/eleventy": "_site",
    "parcel": "dist", "gatsby": "public", "webpack": "dist", "esbuild": "dist", "vitepress": ".vitepress/dist",
}  # fmt: skip
PYTHON = ("pyproject.toml", "requirements.txt", "requirements.in", "manage.py", "setup.py", "Pipfile")


def guess(files: Files, *, directory: str) -> Guess | None:
    """Return how the application in these files (path -> text) runs, or None where nothing tells.

    `directory` is the name of the directory that they lie in, for an application that does not say its own.
    """
    package = dependencies.package_json(files)
    found: Guess | None
    if any(name in files for name in PYTHON):
        found = python.describe(files, directory)
    elif package:
        found = _front_end(files, package, directory)
    else:
        found = _static(files, directory) or _program(files, directory)
    if found is not None and any(path.startswith("docs/") for path in files):
        found.description["build"]["exclude"].append("docs")
    return found


# Files alone, and what is left


def _front_end(files: Files, package: Mapping[str, Any], directory: str) -> Guess | None:
    """Return a site that npm builds; a program for Node is not this one."""
    scripts = dependencies.table(package, "scripts")
    named = package.get("name")
    needs = {**dependencies.table(package, "dependencies"), **dependencies.table(package, "devDependencies")}
    builder = next((name for name in BUILDERS if name in needs), "")
    if "build" not in scripts or ("start" in scripts and not builder):
        return _program(files, directory) or _static(files, directory)
    found = begin(named if isinstance(named, str) else directory, "static", ())
    install = "npm ci" if "package-lock.json" in files else "npm install"
    found.description["build"] = {"commands": [install, "npm run build"], "root": BUILDERS.get(builder, "dist")}
    found.say(
        "build",
        f"package.json has a script `build`{f', and {builder} leaves its result' if builder else ''}: check `root`.",
    )
    if install == "npm install":
        found.missing.append(
            Missing("npm install --package-lock-only", "no package-lock.json says which versions to build with")
        )
    return found


def _static(files: Files, directory: str) -> Guess | None:
    root = next((root for root in STATIC if (f"{root}/index.html" if root else "index.html") in files), None)
    if root is None:
        return None
    found = begin(directory, "static", () if root else NOT_SERVED)
    if root:
        found.description["build"] = {"root": root, "exclude": []}
        found.say("build", f"What lies in {root}/ is served as it is.")
    else:
        found.say("build", "All that is in git is served, but for what `exclude` names.")
    return found


def _program(files: Files, directory: str) -> Guess | None:
    """Return a program of any kind that a Procfile or a Dockerfile starts."""
    found = begin(directory, "binary")
    processes = started(files, found)
    if "web" not in processes:
        return None
    found.description["processes"] = processes
    found.missing.append(Missing("edit ferryman.yml", "what builds the program goes into build.commands"))
    return found
