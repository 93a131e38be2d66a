"""What judges TLS from outside: sslyze."""

import json
import subprocess
from pathlib import Path

from tests.support import locked

from ferryman import paths

LOCK = paths.CHECKOUT / "requirements" / "tls.txt"
JUDGE = Path(__file__).with_name("tls_judge.py")


def against_intermediate(name: str, address: str, port: int) -> dict[str, str]:
    """Scan a server and return what Mozilla's intermediate profile has against it, by sslyze's words for each.

    sslyze has an environment of its own: it needs a cryptography that is older than Ansible's.
    """
    words = [str(locked.python(LOCK)), "-W", "ignore", str(JUDGE), name, address, str(port)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
