"""Plugins are imported by their full names, as Ansible does, through the link that ./invoke makes."""

import importlib
import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "plugins"
NAME = "ansible_collections.ferryman.ops.plugins"

sys.path.insert(0, str(PLUGINS.parent / ".ansible" / "collections"))

# Plugins import some modules only when they need them. By then a test may have had Ansible read an inventory in this
# process, whose own importer takes over, and knows nothing of a collection that came by Python's.
for path in sorted(PLUGINS.glob("*_utils/**/[!_]*.py")):
    importlib.import_module(".".join((NAME, *path.relative_to(PLUGINS).with_suffix("").parts)))
