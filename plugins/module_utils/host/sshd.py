"""What sshd is told, and whether it heard it."""

from __future__ import annotations

HEADER = "# Written by Ferryman (role host). The first value of a keyword wins, so this file sorts before others.\n"
# sshd prints some values by an older name.
ALIASES = {"prohibit-password": "without-password"}


def render(settings: dict[str, str]) -> str:
    """Return the drop-in for `settings`, by keyword."""
    return HEADER + "".join(f"{keyword} {value}\n" for keyword, value in sorted(settings.items()))


def unheard(settings: dict[str, str], effective: str) -> list[str]:
    """Return which of `settings` are otherwise in the output of `sshd -T`.

    Then another file said so first, or ours is not included.
    """
    heard: dict[str, str] = {}
    for line in effective.splitlines():
        keyword, _, value = line.partition(" ")
        heard.setdefault(keyword, value)
    found = []
    for keyword, value in sorted(settings.items()):
        is_now = heard.get(keyword.lower(), "nothing")
        if is_now not in (value, ALIASES.get(value)):
            found.append(f"{keyword} is {is_now} and not {value}")
    return found
