#!/usr/bin/python
"""Have certificates, their renewal, and the proof that clients are served them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_ensure
short_description: Obtain certificates, renew them by a timer, and look at what is served
description:
  - Writes settings, the program that renews, and its timer; then obtains what is not there or due.
  - Fails with the authority's own reason when a certificate could not be had, or where clients are served another.
options:
  owner: {description: Whose certificates these are; those of other owners on the host stay., type: str, required: true}
  certificates:
    description: All certificates of this owner.
    type: list
    elements: dict
    required: true
    options:
      name: {description: Its name., type: str, required: true}
      domains: {description: Its host names., type: list, elements: str, required: true}
      mode: {description: Where it comes from., type: str, choices: [acme, provided, selfsigned], default: acme}
      certificate: {description: 'PEM text with its chain, for mode provided.', type: str}
  keys: {description: 'PEM texts of the keys of provided certificates, by name.', type: dict, default: {}}
  directory: {description: Address of the ACME directory., type: str, required: true}
  ca: {description: 'PEM texts that vouch for the ACME directory; empty for the public ones.', type: str, default: ''}
  email: {description: Contact for the authority; may be empty., type: str, default: ''}
  webroot: {description: Directory below which challenges are answered., type: path, required: true}
  address: {description: Address of this host at which is looked what clients are served., type: str, required: true}
  port: {description: Port for that; 0 looks at nothing., type: int, required: true}
  reload: {description: A further command that servers take changes up by., type: list, elements: str, default: []}
  warn_days: {description: Days before the end at which a certificate is called near expiry., type: int, required: true}
  requirements: {description: Hashed requirements of certbot's environment., type: str, required: true}
  service: {description: Text of its unit., type: str, required: true}
  timer: {description: Text of its timer., type: str, required: true}
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Have the certificates
  ferryman.ops.certificate_ensure:
    certificates: [{name: shop, domains: [shop.example.org]}]
"""

RETURN = r"""
certificates: {description: The record of each certificate., type: list, elements: dict, returned: always}
"""

import glob
import hashlib
import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_facts as facts
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_obtain, certificate_renewal
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

PROGRAM = "/usr/local/lib/ferryman/certificate"
SERVICE = "/etc/systemd/system/ferryman-certificate.service"
TIMER = "/etc/systemd/system/ferryman-certificate.timer"
OF_SETTINGS = ("directory", "email", "webroot", "address", "port", "reload", "warn_days")


def settings_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what the program on the host needs to know; no keys."""
    certificates = [{key: one[key] for key in ("name", "domains", "mode")} for one in wanted["certificates"]]
    ca_file = f"{host.SETTINGS}/{wanted['owner']}-ca.pem" if wanted["ca"] else ""
    return {"format": 1, **{key: wanted[key] for key in OF_SETTINGS}, "ca_file": ca_file, "certificates": certificates}


def refuse_taken(wanted: dict[str, Any]) -> None:
    names = {one["name"] for one in wanted["certificates"]}
    for path in glob.glob(f"{host.SETTINGS}/*.json"):
        owner = os.path.basename(path)[: -len(".json")]
        with open(path, encoding="utf-8") as file:
            taken = names & {one["name"] for one in json.load(file)["certificates"]}
        if owner != wanted["owner"] and taken:
            raise host.Problem(f"certificate {', '.join(sorted(taken))} belongs to {owner!r} on this host")


def place(wanted: dict[str, Any], settings: dict[str, Any], *, pretend: bool) -> bool:
    """Write all files; return whether one was different. Keys of provided certificates among them."""
    files = [
        *program.library([program, facts, host, certificate_obtain, certificate_renewal]),
        (PROGRAM, program.launcher(certificate_renewal), 0o755),
        (host.REQUIREMENTS, wanted["requirements"], 0o644),
        (SERVICE, wanted["service"], 0o644),
        (TIMER, wanted["timer"], 0o644),
        (f"{host.SETTINGS}/{wanted['owner']}.json", json.dumps(settings, indent=1) + "\n", 0o644),
    ]
    if wanted["ca"]:
        files.append((settings["ca_file"], wanted["ca"], 0o644))
    changed = [host.write_file(path, text, mode, pretend=pretend) for path, text, mode in files]
    changed += [provide(one, pretend=pretend) for one in wanted["certificates"] if one["mode"] == "provided"]
    return any(changed)


def provide(certificate: dict[str, Any], *, pretend: bool) -> bool:
    """Lay a provided certificate down beside the one in use; it is taken up by a rename, both files at once."""
    whole = f"{certificate['certificate']}\n{certificate['key']}"
    name = hashlib.sha256(whole.encode()).hexdigest()[:16]
    directory = os.path.join(host.VERSIONS, certificate["name"], name)
    changed = False
    if not pretend:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    for file, text in (("fullchain.pem", certificate["certificate"]), ("privkey.pem", certificate["key"])):
        changed |= host.write_file(f"{directory}/{file}", text.strip() + "\n", 0o600, pretend=pretend)
    link = os.path.join(host.PUBLISHED, certificate["name"])
    changed |= not os.path.islink(link) or os.readlink(link) != directory
    if not pretend:
        host.publish(certificate["name"], directory)
    return changed


def schedule(*, changed: bool, pretend: bool) -> bool:
    """Have the timer run, with its unit as written; return whether it did not."""
    name = os.path.basename(TIMER)
    active = host.run(["systemctl", "is-active", "--quiet", name]).returncode == 0
    enabled = host.run(["systemctl", "is-enabled", "--quiet", name]).returncode == 0
    # What an earlier run wrote and did not live to tell of, no file says: systemd is asked.
    units = [name, os.path.basename(SERVICE)]
    known = "NeedDaemonReload=yes" not in host.run(["systemctl", "show", "--property=NeedDaemonReload", *units]).stdout
    if pretend or (active and enabled and known and not changed):
        return not (active and enabled and known)
    for words in (
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--quiet", name],
        ["systemctl", "restart", name],
    ):
        done = host.run(words)
        if done.returncode:
            raise host.Problem(f"the timer of the renewal could not be started: {done.stdout.strip()}")
    return not (active and enabled and known)


def due(settings: dict[str, Any]) -> list[str]:
    """Return the names that a real run would surely obtain; what is only due by its age needs the authority's word."""
    found = []
    for one in settings["certificates"]:
        there = facts.read(f"{host.PUBLISHED}/{one['name']}/fullchain.pem")
        if one["mode"] != "provided" and (not there or there["names"] != sorted(one["domains"])):
            found.append(one["name"])
    return found


def main() -> None:
    required = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "owner": required,
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": required,
                    "domains": {"type": "list", "elements": "str", "required": True},
                    "mode": {"type": "str", "choices": ["acme", "provided", "selfsigned"], "default": "acme"},
                    "certificate": {"type": "str"},
                },
            },
            "keys": {"type": "dict", "default": {}, "no_log": True},
            "directory": required,
            "ca": {"type": "str", "default": ""},
            "email": {"type": "str", "default": ""},
            "webroot": {"type": "path", "required": True},
            "address": required,
            "port": {"type": "int", "required": True},
            "reload": {"type": "list", "elements": "str", "default": []},
            "warn_days": {"type": "int", "required": True},
            "requirements": required,
            "service": required,
            "timer": required,
        },
        supports_check_mode=True,
    )
    pretend, wanted = module.check_mode, module.params
    for one in wanted["certificates"]:
        one["key"] = wanted["keys"].get(one["name"])
    settings = settings_of(wanted)
    records: list[dict[str, Any]] = []
    try:
        with host.locked():
            refuse_taken(wanted)
            written = place(wanted, settings, pretend=pretend)
            scheduled = schedule(changed=written, pretend=pretend)
            if pretend:
                module.exit_json(changed=written or scheduled or bool(due(settings)), certificates=host.records())
            records = certificate_renewal.ensure(settings)
    except host.Problem as problem:
        module.fail_json(msg=str(problem))
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")
    failed = [
        f"{one['name']}: {one['last_attempt']['reason']}"
        for one in records
        if one["last_attempt"]["result"] == "failed"
    ]
    changed = written or scheduled or any(one["changed"] for one in records)
    if failed:
        module.fail_json(msg="\n".join(failed), changed=changed, certificates=records)
    module.exit_json(changed=changed, certificates=records)


if __name__ == "__main__":
    main()
