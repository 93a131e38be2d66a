"""What judges TLS from outside: sslyze, in an environment of its own, made once for each lock."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from ferryman import paths

LOCK = paths.CHECKOUT / "requirements" / "tls.txt"
JUDGE = Path(__file__).with_name("tls_judge.py")


def python() -> Path:
    """Return the Python that has sslyze: it needs a cryptography that is older than Ansible's."""
    place = paths.state_directory(paths.CHECKOUT) / "tls" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if not (place / ".complete").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
        install = ("pip", "sync", "--quiet", "--require-hashes", "--python", place / "bin" / "python", LOCK)
        subprocess.run([uv, *install], check=True)
        (place / ".complete").touch()
    return place / "bin" / "python"


def against_intermediate(name: str, address: str, port: int) -> dict[str, str]:
    """Scan a server and return what Mozilla's intermediate profile has against it, by sslyze's words for each."""
    words = [str(python()), "-W", "ignore", str(JUDGE), name, address, str(port)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
