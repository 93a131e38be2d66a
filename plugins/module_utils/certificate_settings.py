"""What may be asked for: checked as a whole before anything is installed."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
MODES = ("acme", "provided", "selfsigned")


def errors(certificates: list[dict[str, Any]], *, directory: str, terms_agreed: bool) -> list[str]:
    """Return all that is wrong, a sentence each."""
    wrong = []
    names = [str(one.get("name", "")) for one in certificates]
    modes = [one.get("mode") or "acme" for one in certificates]
    for number, one in enumerate(certificates):
        name = names[number]
        where = f"certificate_list[{number}]" + (f" ({name})" if name else "")
        wrong += [f"{where}: {error}" for error in _errors(one, modes[number])]
        if names.count(name) > 1:
            wrong.append(f"{where}: there is another one of this name")
    if "acme" in modes and not directory.startswith("https://"):
        wrong.append(f"certificate_acme_directory must be an https address, not {directory!r}")
    if "acme" in modes and not terms_agreed:
        wrong.append(
            "certificate_terms_agreed must be true: the authority wants its terms of service read and agreed to by you"
        )
    return wrong


def _errors(one: dict[str, Any], mode: str) -> list[str]:
    wrong = []
    if not NAME.fullmatch(str(one.get("name", ""))):
        wrong.append("name must be lower case letters, digits, dots and hyphens")
    if mode not in MODES:
        wrong.append(f"mode {mode!r} is none of {', '.join(MODES)}")
    if not one.get("domains"):
        wrong.append("domains must hold at least one name")
    for domain in one.get("domains") or []:
        if not DOMAIN.fullmatch(str(domain)):
            wrong.append(f"{domain!r} is no host name (lower case, no port; IDNA as xn--...)")
        elif str(domain).startswith("*.") and mode == "acme":
            wrong.append(f"{domain!r} can't be proven over HTTP, as no name with * can; list the names, or provide it")
    if mode == "provided" and not (one.get("certificate") and one.get("key")):
        wrong.append("a provided certificate needs certificate and key (PEM texts)")
    return wrong
