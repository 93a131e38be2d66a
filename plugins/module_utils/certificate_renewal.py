"""Obtain what is due, have it taken up, look at what is served, and write it all down.

A certificate is good when it is the one that clients are served. certbot's exit code says less: with a failing hook it
prints "all renewals succeeded" and ends with 0.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils import certificate_facts as facts
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_obtain as source
from ansible_collections.ferryman.ops.plugins.module_utils.host.program import tail

SERVED_SECONDS = 10.0


def take_up(settings: dict[str, Any]) -> str:
    """Have the servers take up what has changed; return what went wrong. What is served decides, not this."""
    programs = [[path] for path in sorted(glob.glob(f"{host.HOOKS}/*")) if os.access(path, os.X_OK)]
    wrong = []
    for words in [*programs, *([settings["reload"]] if settings["reload"] else [])]:
        done = host.run(words)
        if done.returncode:
            wrong.append(f"{' '.join(words)}: {tail(done.stdout, 4)}")
    return "; ".join(wrong)


def obtain(settings: dict[str, Any], certificate: dict[str, Any], *, force: bool) -> dict[str, Any]:
    """Return {name, before, after, error}; never raises, since the others still want their turn."""
    path = f"{host.PUBLISHED}/{certificate['name']}/fullchain.pem"
    outcome = {"name": certificate["name"], "before": facts.fingerprint(path), "error": ""}
    try:
        if certificate["mode"] == "acme":
            source.obtain_acme(settings, certificate, force=force)
        elif certificate["mode"] == "selfsigned":
            source.obtain_selfsigned(certificate, force=force)
        else:
            source.obtain_provided(certificate)
    except (host.Problem, OSError) as error:
        outcome["error"] = str(error)
    outcome["after"] = facts.fingerprint(path)
    return outcome


def ensure(settings: dict[str, Any], *, only: str = "", force: bool = False) -> list[dict[str, Any]]:
    """Obtain what is due, have it taken up, look at what is served, and write it all down; return the records."""
    certificates = [one for one in settings["certificates"] if only in ("", one["name"])]
    outcomes = {one["name"]: obtain(settings, one, force=force) for one in certificates}
    there = [one for one in certificates if outcomes[one["name"]]["after"]]
    trouble = ""
    if any(facts.look(settings, one)["state"] in ("other", "unreachable") for one in there):
        trouble = take_up(settings)
        deadline = time.monotonic() + SERVED_SECONDS
        while any(facts.look(settings, one)["state"] != "same" for one in there) and time.monotonic() < deadline:
            if trouble:  # nobody is on the way to serve it
                break
            time.sleep(0.2)
    elif any(outcomes[one["name"]]["before"] != outcomes[one["name"]]["after"] for one in there):
        trouble = take_up(settings)  # unchecked, so at least told
    return [write_record(settings, one, outcomes[one["name"]], trouble) for one in certificates]


def write_record(
    settings: dict[str, Any], certificate: dict[str, Any], outcome: dict[str, Any], trouble: str
) -> dict[str, Any]:
    name, at = certificate["name"], host.now()
    old = host.record_of(name)
    found = facts.read(f"{host.PUBLISHED}/{name}/fullchain.pem")
    seen = {**(facts.look(settings, certificate) if found else {"state": "none", "detail": ""}), "at": at}
    changed = outcome["before"] != outcome["after"]
    error = outcome["error"]
    # A hook may complain of something else; where it can be seen, what is served decides.
    if not error and (seen["state"] not in ("same", "unchecked") or (trouble and seen["state"] == "unchecked")):
        error = f"the certificate is not what clients are served: {'; '.join(filter(None, [seen['detail'], trouble]))}"
    record = {
        "format": 1,
        "name": name,
        "mode": certificate["mode"],
        "directory": settings["directory"] if certificate["mode"] == "acme" else "",
        "domains": certificate["domains"],
        **found,
        "fingerprint": outcome["after"],
        "near_expiry": not found
        or facts.near_expiry(found["not_before"], found["not_after"], at, warn_days=settings["warn_days"]),
        "last_attempt": {
            "at": at,
            "result": "failed" if error else "renewed" if changed else "not due",
            "reason": error,
        },
        "last_renewal": at if changed else old.get("last_renewal", ""),
        "served": seen,
    }
    host.write_file(os.path.join(host.RECORDS, f"{name}.json"), json.dumps(record, indent=1) + "\n", 0o644)
    return {**record, "changed": changed}


def main() -> int:
    parser = argparse.ArgumentParser(description="Renew this host's certificates and look at what is served.")
    parser.add_argument("act", choices=["renew"])
    parser.add_argument("--name", default="", help="only this certificate")
    parser.add_argument("--force", action="store_true", help="also if it is not due")
    given = parser.parse_args()
    done = []
    with host.locked():
        for settings in host.all_settings():
            done += ensure(settings, only=given.name, force=given.force)
    if given.name and not done:
        print(f"no certificate {given.name!r} is configured on this host", file=sys.stderr)
        return 1
    for record in done:
        attempt = record["last_attempt"]
        until = record.get("not_after", "never")
        print(f"{record['name']}: {attempt['result']}, until {until} {attempt['reason']}".strip())
    return 1 if any(record["last_attempt"]["result"] == "failed" for record in done) else 0
