"""The command line's words.

Each module here is a namespace of its own name (`backup.py` gives `backup.drill`); one that says `AT_ROOT = True`
gives its tasks to the root (`deploy`). Modules are found, not listed: adding a feature edits no hub file.
"""

import importlib
import pkgutil

from invoke import Collection, Task


def collect() -> Collection:
    """Return the root namespace with every module's tasks in it."""
    root = Collection()
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if getattr(module, "AT_ROOT", False):
            for task in vars(module).values():
                if isinstance(task, Task):
                    root.add_task(task)
        else:
            root.add_collection(Collection.from_module(module), name=found.name)
    return root


namespace = collect()
# Invoke forgets a task's help texts once it has parsed a command line, and the reference is written after that.
help_texts = {name: dict(namespace[name].help) for name in namespace.task_names}
