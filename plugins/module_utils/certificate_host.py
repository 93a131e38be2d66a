"""Where certificates, settings and records lie on a host, and how files there are changed.

These modules certificate_* need the standard library of Python 3.9 alone: besides Ansible's modules, a program on the
host uses them, which a timer runs.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import glob
import json
import os
import shutil
from typing import Any, Iterator

from ansible_collections.ferryman.ops.plugins.module_utils.host import program

SETTINGS = "/etc/ferryman/certificate"  # <owner>.json, <owner>-ca.pem
PUBLISHED = "/etc/ferryman/certificates"  # <name>/{fullchain,privkey}.pem: what servers are pointed at
HOOKS = "/etc/ferryman/certificates.d"  # programs that make servers take up what has changed
ACME = "/etc/ferryman/acme"  # certbot's own files, apart from those of a certbot that may be there already
VERSIONS = "/var/lib/ferryman/certificate-versions"
RECORDS = "/var/lib/ferryman/certificates"
WORK = "/var/lib/ferryman/certbot"
CERTBOT = "/usr/local/lib/ferryman/certbot"
REQUIREMENTS = f"{CERTBOT}/requirements.txt"
LOGS = "/var/log/ferryman/certbot"
LOCK = "/run/ferryman-certificate.lock"
run = program.run


class Problem(Exception):
    """What is wrong, and what to do about it, in one text for people."""


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let the timer and a provisioning run not ask for the same certificate at once."""
    with open(LOCK, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_file(path: str, text: str, mode: int, *, pretend: bool = False) -> bool:
    """Bring a small file to its text and mode by a rename; return whether it was different."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        if file.read() == text and os.stat(path).st_mode & 0o7777 == mode:
            return False
    if pretend:
        return True
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), mode)
        out.write(text)
    os.replace(beside, path)
    return True


def publish(name: str, directory: str) -> None:
    """Point the name at a directory with fullchain.pem and privkey.pem: both change in one rename."""
    os.makedirs(PUBLISHED, mode=0o755, exist_ok=True)
    link = os.path.join(PUBLISHED, name)
    before = os.readlink(link) if os.path.islink(link) else ""
    if before == directory:
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{link}.new")
    os.symlink(directory, f"{link}.new")
    os.replace(f"{link}.new", link)
    for path in glob.glob(f"{VERSIONS}/{name}/*"):
        if path not in (directory, before):  # the one before may still be served until the reload
            shutil.rmtree(path)


def record_of(name: str) -> dict[str, Any]:
    try:
        with open(os.path.join(RECORDS, f"{name}.json"), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
    except FileNotFoundError:
        return {}


def records() -> list[dict[str, Any]]:
    return [record_of(os.path.basename(path)[: -len(".json")]) for path in sorted(glob.glob(f"{RECORDS}/*.json"))]


def all_settings() -> list[dict[str, Any]]:
    found = []
    for path in sorted(glob.glob(f"{SETTINGS}/*.json")):
        with open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    return found
