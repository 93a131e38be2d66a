"""How a host of an environment reaches its archive by a key that may do one thing there."""

from __future__ import annotations

WORDS = (
    "ssh -F none -i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    " -o UserKnownHostsFile={known} -o ConnectTimeout=20 -o ServerAliveInterval=15 -p {port}"
)


def words(key: str, known: str, port: int) -> str:
    """Return the command, as a line; the host that is reached stands in `known`, and no other."""
    return WORDS.format(key=key, known=known, port=port)


def known(address: str, port: int, keys: list[str]) -> str:
    """Return the text of known_hosts for one host alone."""
    name = address if port == 22 else f"[{address}]:{port}"
    return "".join(f"{name} {key}\n" for key in keys)
