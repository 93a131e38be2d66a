"""The command line's words.

Each module here is a namespace of its own name (`backup.py` gives `backup.drill`), or of the one that it says
(`NAMESPACE = "release"`: `release.why`); one that says `AT_ROOT = True` gives its tasks to the root (`deploy`). Modules
are found, not listed: adding a feature edits no hub file.
One that says `OF_A_CHECKOUT = True` is about Ferryman's own sources: an installed Ferryman has none, and does not
name its commands.
"""

import importlib
import inspect
import pkgutil
from typing import Any

from invoke import Collection, Task

from ferryman import paths

EVERYWHERE = {
    "json": "Print one JSON object; progress goes to stderr.",
    "yes": "Ask nothing: every answer is yes.",
}
"""The options of every command."""


def collect(*, checkout: bool) -> Collection:
    """Return the root namespace with every module's tasks in it; those of a `checkout` only where there is one."""
    root = Collection()
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if getattr(module, "OF_A_CHECKOUT", False) and not checkout:
            continue
        name = getattr(module, "NAMESPACE", found.name)
        if getattr(module, "AT_ROOT", False):
            place = root
        elif name in root.collections:
            place = root.collections[name]
        else:
            place = Collection(name)
            root.add_collection(place)
        for task in vars(module).values():
            if isinstance(task, Task):
                place.add_task(task)
    return root


def described(task: Any, about: dict[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """Return what a command does, and its options with their help, as its `--help` and the reference tell them."""
    arguments = task.get_arguments(ignore_unknown_help=True)
    options = [(f"--{arg.names[0]}", about.get(arg.name) or str(arg.help or "")) for arg in arguments]
    return inspect.cleandoc(task.__doc__ or ""), options


namespace = collect(checkout=paths.in_checkout())
# Invoke forgets a task's help texts once it has parsed a command line, and the reference is written after that.
help_texts = {name: dict(namespace[name].help) for name in namespace.task_names}
