#!/usr/bin/python
"""Put Ferryman's part of nginx's configuration in place: rendered beside, tested, linked in, reloaded, verified."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_configure
short_description: Put sites into nginx as a whole, or not at all
description:
  - The texts are rendered on the controller by the action plugin of the same name; no file that serves is edited.
  - They are written into a new directory, tested with all of the host's configuration, and linked in by a rename.
  - nginx is then reloaded and judged by what it serves. If that is not the new configuration, the old one is put back.
options:
  owner:
    description: Whose sites these are; sites of other owners on the host stay.
    type: str
    required: true
  common:
    description: The text that all sites share.
    type: str
    required: true
  sites:
    description: All sites of this owner.
    type: list
    elements: dict
    required: true
    options:
      name: {description: Name of the site., type: str, required: true}
      text: {description: Its configuration., type: str, required: true}
      share_path:
        description: The directory in which its share lies; hosts that are fenced off there stay so.
        type: path
        required: true
      domains: {description: Its names., type: list, elements: str, required: true}
      certificate: {description: Path of its certificate on the host; it need not exist yet., type: str, required: true}
      key: {description: Path of its key., type: str, required: true}
  directories:
    description: Directories that the configuration refers to.
    type: list
    elements: str
    default: []
  companions:
    description: Further files of ours, outside nginx's configuration.
    type: list
    elements: dict
    default: []
    options:
      path: {description: Where it lies., type: path, required: true}
      text: {description: What it says., type: str, required: true}
      mode: {description: Its permissions., type: str, default: "0644"}
  remove_default:
    description: Whether to take the distribution's own default site out of service.
    type: bool
    default: false
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Put the sites in place
  ferryman.ops.nginx_configure:
    sites: "{{ nginx_sites }}"
"""

RETURN = r"""
generation: {description: Name of the configuration that is served., type: str, returned: always}
action: {description: 'What was done to nginx: nothing, reloaded or started.', type: str, returned: always}
placeholders: {description: Sites without a certificate of their own yet., type: list, elements: str, returned: always}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_fence as fence
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_members as members
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_place as place

DEFAULT_SITE = "/etc/nginx/sites-enabled/default"
COMMON = "00-common.conf"


class Change:
    """The state that is wanted, beside the one that is."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        live = host.sites()
        own = {site["name"]: {key: site[key] for key in ("domains", "certificate", "key")} for site in wanted["sites"]}
        self.sites, errors = place.merge(live, own, wanted["owner"])
        if errors:
            raise host.Problem("; ".join(errors))
        self.before = place.read(host.LIVE)
        others = {f"{name}.conf": self.before.get(f"{name}.conf", "") for name in self.sites if name not in own}
        self.files = {
            COMMON: wanted["common"],
            **others,
            **{f"{site['name']}.conf": self.text(site) for site in wanted["sites"]},
        }
        self.record = {"format": 1, "sites": self.sites}
        self.name = place.digest(self.files, self.record)
        self.previous = host.generation()
        self.live = live
        self.directories = [path for path in wanted["directories"] if not os.path.isdir(path)]
        self.companions = wanted["companions"]
        self.default_site = wanted["remove_default"] and os.path.islink(DEFAULT_SITE)

    @staticmethod
    def text(site: dict[str, Any]) -> str:
        """Return a site's text with as many processes of each host as was scaled, without hosts that are fenced off."""
        text = members.sized(site["text"], members.wanted(site["share_path"]))
        try:
            return fence.without(text, fence.addresses(site["share_path"]))
        except host.Problem as problem:
            raise host.Problem(f"{site['name']}: {problem}; `fence.off` lets one in") from None

    @property
    def new(self) -> bool:
        return self.name != self.previous

    def diff(self) -> list[dict[str, str]]:
        names = sorted({*self.before, *self.files})
        pairs = [(name, self.before.get(name, ""), self.files.get(name, "")) for name in names]
        return [
            {"before_header": f"{host.LIVE}/{name}", "after_header": f"{host.LIVE}/{name}", "before": old, "after": new}
            for name, old, new in pairs
            if old != new
        ]


def put(change: Change) -> str:
    """Make the change; return what was done to nginx. Raises Problem with everything as it was."""
    for path in change.directories:
        os.makedirs(path, mode=0o755)
    relinked = host.link_certificates(change.sites)
    directory = place.write(change.files, change.record) if change.new else os.path.realpath(host.LIVE)
    try:
        place.refuse_if_broken(directory)
    except host.Problem:
        host.forget_certificates(change.live)
        if change.new:
            place.discard(directory)
        raise
    if change.default_site:
        os.unlink(DEFAULT_SITE)
    written = place.link(directory)
    running = host.run("systemctl", "is-active", "--quiet", "nginx").returncode == 0
    action = "nothing"
    changed = change.new or relinked or written or change.default_site or not running
    # Asked even when the disk is as wanted: a run that was cut off may have linked and not reloaded.
    if changed or host.unserved(change.sites, change.name):
        try:
            action = host.reload()
        except host.Problem as problem:
            raise host.Problem(f"{problem}\n{go_back(change)}") from problem
    host.forget_certificates(change.sites)
    place.prune({change.name, change.previous})
    return action


def go_back(change: Change) -> str:
    """Put the previous configuration back into service; say whether that worked."""
    if change.default_site:
        os.symlink("/etc/nginx/sites-available/default", DEFAULT_SITE)
    if change.previous and change.previous != change.name:
        place.link(os.path.join(place.GENERATIONS, change.previous))
    elif not change.previous:
        place.unlink()
    try:
        host.reload()
    except host.Problem as problem:
        return f"The previous configuration was put back, and does not serve either: {problem}"
    return "The previous configuration was put back and serves."


def enable(*, pretend: bool) -> bool:
    if host.run("systemctl", "is-enabled", "--quiet", "nginx").returncode == 0:
        return False
    if not pretend:
        done = host.run("systemctl", "enable", "nginx")
        if done.returncode:
            raise host.Problem(f"nginx could not be enabled: {done.stderr.strip()}")
    return True


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "owner": text,
            "common": text,
            "sites": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": text,
                    "text": text,
                    "share_path": {"type": "path", "required": True},
                    "domains": {"type": "list", "elements": "str", "required": True},
                    "certificate": text,
                    "key": {**text, "no_log": False},  # a path
                },
            },
            "directories": {"type": "list", "elements": "str", "default": []},
            "companions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "text": text,
                    "mode": {"type": "str", "default": "0644"},
                },
            },
            "remove_default": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    pretend = module.check_mode
    try:
        with host.locked():
            change = Change(module.params)
            companions = [
                place.write_file(one["path"], one["text"], int(one["mode"], 8), pretend=pretend)
                for one in change.companions
            ]
            action = "nothing" if pretend else put(change)
            enabled = enable(pretend=pretend)
            changed = (
                change.new
                or enabled
                or any(companions)
                or bool(change.directories)
                or action != "nothing"
                or change.default_site
            )
            placeholders = [] if pretend else sorted(
                name for name in change.sites if os.readlink(os.path.join(host.TLS, name)) == ".placeholder"
            )  # fmt: skip
    except host.Problem as problem:
        module.fail_json(msg=str(problem))
    except OSError as error:
        module.fail_json(msg=f"cannot use {error.filename}: {error.strerror}")
    else:
        module.exit_json(
            changed=changed, generation=change.name, action=action, placeholders=placeholders, diff=change.diff()
        )


if __name__ == "__main__":
    main()
