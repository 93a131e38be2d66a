"""What a site may be: checked as a whole before anything is installed, completed with defaults for the templates."""

from __future__ import annotations

import re
from typing import Any

SLOTS = ("blue", "green")
LOOPBACK = {"127.0.0.1", "[::1]", "localhost"}
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
ADDRESS = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5}")
SIZE = re.compile(r"[0-9]+[kmg]?", re.IGNORECASE)
# Each value ends up in a configuration file: what could end a word there is not in a path.
PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")
FALLBACK = re.compile(r"/[A-Za-z0-9._/-]*")


def variable_id(name: str) -> str:
    """Return the name as it appears in nginx's variables, which know no hyphen."""
    return name.replace("-", "_")


def complete(
    sites: list[dict[str, Any]],
    *,
    sites_path: str = "/var/lib/ferryman/sites",
    certificates_path: str = "/etc/ferryman/certificates",
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the sites with every key there, and all that is wrong with them, a sentence each."""
    done: list[dict[str, Any]] = []
    errors: list[str] = []
    owners: dict[str, str] = {}
    for number, given in enumerate(sites):
        site = {key: value for key, value in given.items() if value is not None}
        name = str(site.get("name", ""))
        where = f"nginx_sites[{number}]" + (f" ({name})" if name else "")
        errors += [f"{where}: {error}" for error in _errors(site)]
        for key, value in [("name " + name, where)] + [("domain " + str(d), where) for d in site.get("domains") or []]:
            if owners.setdefault(key, where) != value:
                errors.append(f"{where}: {key} is also that of {owners[key]}")
        certificate = site.get("certificate") or {}
        done.append(
            {
                "name": name,
                "id": variable_id(name),
                "domains": list(site.get("domains") or []),
                "slots": site.get("slots") or {},
                "baseline": list(site.get("baseline") or []),
                "many_hosts": _many_hosts(site.get("slots") or {}),
                "upstreams": list(site.get("upstreams") or []),
                "root": site.get("root") or "",
                "static_roots": site.get("static_roots") or {},
                "fallback": site.get("fallback") or "",
                "share_path": site.get("share_path") or f"{sites_path}/{name}",
                "max_body": str(site.get("max_body") or "20m"),
                "read_timeout_s": int(site.get("read_timeout_s") or 60),
                "certificate": {
                    "certificate": certificate.get("certificate") or f"{certificates_path}/{name}/fullchain.pem",
                    "key": certificate.get("key") or f"{certificates_path}/{name}/privkey.pem",
                },
            }
        )
    return done, errors


def _many_hosts(slots: dict[str, Any]) -> bool:
    """Say whether a slot is on several hosts, so that one of them can be left out."""
    hosts = ({str(each).rpartition(":")[0] for each in addresses or []} for addresses in slots.values())
    return any(len(each - LOOPBACK) > 1 for each in hosts)


def _errors(site: dict[str, Any]) -> list[str]:
    errors = []
    if not NAME.fullmatch(str(site.get("name", ""))):
        errors.append("name must be lower case letters, digits and single hyphens, and begin with a letter")
    if not site.get("domains"):
        errors.append("domains must hold at least one name")
    errors += [
        f"domains: {domain!r} is no host name (lower case, no port; IDNA as xn--...)"
        for domain in site.get("domains") or []
        if not DOMAIN.fullmatch(str(domain)) or len(str(domain)) > 253
    ]
    kinds = [key for key in ("slots", "upstreams", "root") if site.get(key)]
    if len(kinds) != 1:
        errors.append(f"exactly one of slots, upstreams and root says who answers; here: {', '.join(kinds) or 'none'}")
    errors += _address_errors(site)
    paths = {"root": site.get("root"), "share_path": site.get("share_path")}
    paths.update({f"static_roots.{slot}": path for slot, path in (site.get("static_roots") or {}).items()})
    paths.update({f"certificate.{key}": path for key, path in (site.get("certificate") or {}).items()})
    errors += [
        f"{key}: {path!r} is no absolute path of letters, digits and . _ / @ + -"
        for key, path in paths.items()
        if path and not PATH.fullmatch(str(path))
    ]
    if site.get("static_roots") and (not site.get("slots") or set(site["static_roots"]) != set(SLOTS)):
        errors.append("static_roots needs slots, and names both blue and green")
    if site.get("certificate") and len([path for path in site["certificate"].values() if path]) == 1:
        errors.append("certificate needs both certificate and key")
    if site.get("fallback") and not FALLBACK.fullmatch(str(site["fallback"])):
        errors.append("fallback must be a path below the root, for example /index.html")
    if site.get("max_body") and not SIZE.fullmatch(str(site["max_body"])):
        errors.append("max_body must be a number with k, m or g, for example 20m")
    return errors


def _address_errors(site: dict[str, Any]) -> list[str]:
    errors = []
    slots = site.get("slots") or {}
    if slots and set(slots) != set(SLOTS):
        errors.append("slots must have blue and green")
    elif slots and not all(slots[slot] for slot in SLOTS):
        errors.append("each slot needs an address")
    elif slots and set(slots["blue"]) & set(slots["green"]):
        errors.append("blue and green share an address: the log could not tell them apart")
    baseline = site.get("baseline") or []
    if baseline and not slots:
        errors.append("baseline needs slots")
    elif {*baseline} & {address for slot in slots.values() for address in slot or []}:
        errors.append("baseline and a slot share an address: the log could not tell them apart")
    addresses = [*(site.get("upstreams") or []), *baseline, *(a for slot in slots.values() for a in slot or [])]
    errors += [f"{a!r} is no address of the form host:port" for a in addresses if not ADDRESS.fullmatch(str(a))]
    return errors
