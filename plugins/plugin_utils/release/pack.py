"""The code that runs on hosts, packed: sent over the connection with each request, and left there for the guard.

A plain script of the standard library starts in a fifth of the time of an Ansible module, and needs nothing on the host
but Python.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2] / "module_utils" / "release"
PACKAGE = "ansible_collections/ferryman/ops/plugins/module_utils/release"
AGENT = f"{PACKAGE.replace('/', '.')}.agent"
MAIN = f"import sys\nfrom {AGENT} import main\nmain(sys.argv[1:])\n"
# Reads its own code from standard input into memory; nothing is written to the host's disk, nothing of a request is in
# an argument.
BOOTSTRAP = (
    "import os,struct,sys;"
    "i=sys.stdin.buffer;z=i.read(struct.unpack('!Q',i.read(8))[0]);"
    "f=os.memfd_create('ferryman');os.write(f,z);sys.path.insert(0,'/proc/self/fd/%d'%f);"
    f"from {AGENT} import main;main([])"
)
COMMAND = f'/usr/bin/python3 -I -B -c "{BOOTSTRAP}"'


@cache
def packed() -> bytes:
    """Return the code as a zip that Python runs.

    The same bytes for the same code, so that hosts can tell whether theirs is current.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = PACKAGE.split("/")
        texts = {f"{'/'.join(parts[:depth])}/__init__.py": "" for depth in range(1, len(parts) + 1)}
        texts.update({f"{PACKAGE}/{path.name}": path.read_text(encoding="utf-8") for path in sorted(HERE.glob("*.py"))})
        for name, text in {**texts, "__main__.py": MAIN}.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def message(request: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return what goes to the host's standard input: code, request, body."""
    code, text = packed(), json.dumps(request).encode()
    return struct.pack("!Q", len(code)) + code + struct.pack("!Q", len(text)) + text + body
