"""The code that runs on hosts, packed: left there by provisioning, and sent along to a host that has another version.

A plain script of the standard library starts in a fifth of the time of an Ansible module, and needs nothing on the host
but Python. Compiled beforehand it starts twice as fast again, and its bytes need not travel with every request.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names

HERE = Path(__file__).resolve().parents[2] / "module_utils" / "release"
PACKAGE = "ansible_collections/ferryman/ops/plugins/module_utils/release"
AGENT = f"{PACKAGE.replace('/', '.')}.agent"
MAIN = f"import sys\nfrom {AGENT} import main\nmain(sys.argv[1:])\n"
# By which a look tells of the certificate, too, a rollback takes the database along, an entry sends clients elsewhere.
BESIDE = (
    *("certificate_facts.py", "certificate_host.py", "host/__init__.py", "host/program.py"),
    *("nginx_fence.py", "nginx_host.py", "nginx_members.py", "nginx_place.py"),
    *(
        f"data/{name}.py"
        for name in ("__init__", "comparing", "copying", "copytext", "database", "find", "plain", "rules")
    ),
)
WANTED = "ferryman-wants-code"
"""What a host answers that has not the code of this very version."""
# Takes its code from where provisioning left it, else from standard input into memory; nothing is written to the host's
# disk, nothing of a request is in an argument.
BOOTSTRAP = (
    "import os,struct,sys;"
    "i=sys.stdin.buffer;z=i.read(struct.unpack('!Q',i.read(8))[0]);d='{library}';"
    f"z or os.path.isdir(d) or sys.exit(print('{WANTED}'));"
    "f=z and os.memfd_create('ferryman');z and os.write(f,z);sys.path.insert(0,'/proc/self/fd/%d'%f if z else d);"
    f"from {AGENT} import main;main([])"
)


def command() -> str:
    """Return what is run on a host, to be given a `message`."""
    return f'/usr/bin/python3 -I -B -c "{BOOTSTRAP.format(library=names.CODE / version())}"'


@cache
def texts() -> dict[str, str]:
    """Return the code by the names of its files."""
    parts = PACKAGE.split("/")
    packages = {f"{'/'.join(parts[:depth])}/__init__.py": "" for depth in range(1, len(parts) + 1)}
    modules = {
        f"{PACKAGE}/{path.relative_to(HERE)}": path.read_text(encoding="utf-8") for path in sorted(HERE.rglob("*.py"))
    }
    beside = {f"{'/'.join(parts[:-1])}/{name}": (HERE.parent / name).read_text(encoding="utf-8") for name in BESIDE}
    return {**packages, **modules, **beside, "__main__.py": MAIN}


@cache
def version() -> str:
    """Return what tells this code from any other: by its texts, since no two machines need pack alike."""
    return hashlib.sha256(json.dumps(texts(), sort_keys=True).encode()).hexdigest()[:16]


@cache
def packed() -> bytes:
    """Return the code as a zip that Python runs.

    The same bytes for the same code, so that hosts can tell whether theirs is current.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts().items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def message(request: Mapping[str, Any], body: bytes = b"", *, code: bool = False) -> bytes:
    """Return what goes to the host's standard input: code (where the host wants it), request, body."""
    along, text = packed() if code else b"", json.dumps(request).encode()
    return struct.pack("!Q", len(along)) + along + struct.pack("!Q", len(text)) + text + body


version()  # in Ansible's own process, which imports this, and not anew in each that it forks for a task
