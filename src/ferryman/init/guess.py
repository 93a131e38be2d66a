"""How an application is built, started and looked at, guessed from its files. Pure: texts in, a description out."""

from ferryman.init import dependencies, node, python
from ferryman.init.dependencies import Missing
from ferryman.init.model import OURS, Files, Guess, begin
from ferryman.init.starts import started

STATIC = ("", "public", "site", "www", "htdocs", "static")
# What else lies in a repository, and is nobody's page.
NOT_SERVED = (*OURS, "tasks.py", "ferryman.yml", ".git*", ".env*", "README*")
PYTHON = ("pyproject.toml", "requirements.txt", "requirements.in", "manage.py", "setup.py", "Pipfile")


def guess(files: Files, *, directory: str) -> Guess | None:
    """Return how the application in these files (path -> text) runs, or None where nothing tells.

    `directory` is the name of the directory that they lie in, for an application that does not say its own.
    """
    package = dependencies.package_json(files)
    found: Guess | None
    if any(name in files for name in PYTHON):
        found = python.describe(files, directory)
    else:
        found = node.describe(files, package, directory) if package else None
        found = found or _static(files, directory) or _program(files, directory)
    if found is not None and not found.database:
        _by_hand(found)
    if found is not None and any(path.startswith("docs/") for path in files):
        found.description["build"]["exclude"].append("docs")
    return found


def _by_hand(found: Guess) -> None:
    """Make a process to be run by hand of migrations without a database: a deploy takes a dump before each."""
    migrations = found.description.pop("migrations", None)
    if migrations:
        found.description["processes"]["release"] = {"kind": "once", "command": migrations["command"]}
        found.remarks = [remark for remark in found.remarks if remark.key != "migrations"]
        found.say(
            "processes",
            "`release` is run by hand (`run release`): no PostgreSQL driver was found, and `migrations` are for a "
            "database that the environment lays out.",
        )


# Files alone, and what is left


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
