"""Make the repository of the scenario's application: the tests' small one, with a process of every kind.

It names no version of Python, since each Debian has another.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "support"))

import histories

PROCESSES = {
    "worker": {"kind": "worker", "command": "python tiny.py worker"},
    "cleanup": {"kind": "cron", "command": "python tiny.py cleanup", "schedule": "*-*-* 03:15:00"},
    "seed": {"kind": "once", "command": "python tiny.py seed"},
}

histories.tiny(Path(sys.argv[1]), histories.good("v1", processes=PROCESSES, secrets=["TOKEN"]), python="")
