"""An operator's keys and sudo rule, as text: what goes into files that others write to as well."""

from __future__ import annotations

import base64
import binascii
import re

BEGIN = "# ferryman: keys from the inventory, changed there"
END = "# ferryman: end"
NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
SUDO = {"password": "{name} ALL=(ALL:ALL) ALL\n", "nopasswd": "{name} ALL=(ALL:ALL) NOPASSWD: ALL\n"}


def problems(operators: list[dict[str, object]]) -> list[str]:
    """Return everything wrong with `operators`, each as a sentence that names the account."""
    found = []
    names = [str(operator["name"]) for operator in operators]
    found += [f"operator {name} is listed twice" for name in sorted(set(names)) if names.count(name) > 1]
    for operator in operators:
        name, keys = str(operator["name"]), operator.get("keys") or []
        if not NAME.fullmatch(name) or name == "root":
            found.append(
                f"{name!r} cannot be an operator: a small letter first, then small letters, digits, - and _; never root"
            )
        assert isinstance(keys, list)
        found += [f"operator {name}: {start(key)!r} is not a public key" for key in keys if not is_key(str(key))]
        if operator.get("state") != "absent" and not keys:
            found.append(f"operator {name} has no key, and keys are the only way in")
    return found


def start(key: object) -> str:
    """Return enough of a key to recognise it; a private one pasted by mistake must not reach a log."""
    return str(key)[:20] + ("..." if len(str(key)) > 20 else "")


def is_key(line: str) -> bool:
    """Return whether `line` is one public key, maybe after options: its blob begins with its type (RFC 4253, 6.6)."""
    if "\n" in line.strip():
        return False
    words = line.split()
    for kind, blob in zip(words, words[1:]):
        try:
            raw = base64.b64decode(blob, validate=True)
        except (binascii.Error, ValueError):
            continue
        if raw[4 : 4 + int.from_bytes(raw[:4], "big")] == kind.encode() and len(raw) > 8:
            return True
    return False


def merge(text: str, keys: list[str]) -> str:
    """Return authorized_keys with our block holding exactly `keys`; every other line stays as and where it is."""
    kept: list[str] = []
    inside, at = False, None
    for line in text.splitlines():
        if line == BEGIN:
            inside, at = True, len(kept)
        elif line == END and inside:
            inside = False
        elif not inside:
            kept.append(line)
    block = [BEGIN, *(" ".join(key.split()) for key in keys), END] if keys else []
    at = len(kept) if at is None else at
    merged = [*kept[:at], *block, *kept[at:]]
    return "".join(line + "\n" for line in merged)
