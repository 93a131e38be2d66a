"""Plugins are imported by their full names, as Ansible does, through the link that ./invoke makes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / ".ansible" / "collections"))
