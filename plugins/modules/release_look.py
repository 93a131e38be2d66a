#!/usr/bin/python
"""The documentation of ferryman.ops.release_look; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_look
short_description: Look at a host and, on request, take the lock
description:
  - Reads in one session what a host serves, what it holds, and whether that is what is wanted.
  - >-
    With O(purpose), the arbiter gives this run the lock and ends what an earlier driver left behind, unless
    nothing is to be done.
  - Runs over one session of the host's connection; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_domains), C(release_secrets), C(release_work_dir), C(release_entry_port),
    C(release_public_port), C(release_ca), C(release_who), C(release_host_shared), C(release_stop_file),
    C(release_hotfix); with O(source) those of M(ferryman.ops.release_source) too, with O(tale) C(release_why).
options:
  purpose: {description: "What the lock is for, as others will read it; empty takes no lock.", type: str, default: ''}
  source:
    description: Read first what is to be deployed, once in a run, and say of each host why it is not as wanted.
    type: bool
    default: false
  plan:
    description: Read what a plan compares with, too, and take a host that was never provisioned for an empty one.
    type: bool
    default: false
  whole:
    description: Ask processes, entry and certificates too, in the same session; for people who want to see everything.
    type: bool
    default: false
  away:
    description: >-
      Take note of an app host that cannot be reached, and end well; for M(ferryman.ops.release_leave), which decides
      whether the run goes on.
    type: bool
    default: false
  lease_s:
    description: For how many seconds the lock is kept without a word of this run.
    type: float
    default: 30
  room:
    description: Instances by process; say on which ports that they would get somebody else listens (C(taken)).
    type: dict
    default: {}
  copies:
    description: >-
      Tell what each host has copied of the ledger, and take note of a host that cannot be reached; for the step
      V(unlock) of M(ferryman.ops.release_step) with C(release_unlock_force).
    type: bool
    default: false
  tale:
    description: Tell what the ledger says of the release that C(release_why) names; refuse one that it does not know.
    type: bool
    default: false
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Look at the hosts
  ferryman.ops.release_look:

- name: Read the source, look at the hosts and take the lock
  ferryman.ops.release_look:
    source: true
    purpose: deploy
"""

RETURN = r"""
stale:
  description: Why this host is not as it is wanted; empty when there is nothing to do.
  type: str
  returned: success
away: {description: Why it cannot be reached., type: str, returned: with O(away), where it cannot be reached}
seen:
  description: What the host says of the site, and where it is served.
  type: dict
  returned: success
  contains:
    live: {description: The release that serves., type: str, returned: on app hosts}
    slots: {description: The release in each slot., type: dict, returned: on app hosts}
    sizes:
      description: >-
        Of each process that can be scaled how many instances run (C(instances)), how many are declared, within which
        bounds, and who scaled it.
      type: dict
      returned: on app hosts
    taken:
      description: Ports on which somebody else listens.
      type: list
      elements: int
      returned: on app hosts, with O(room)
    servers:
      description: To how many web processes of each app host clients are sent; 0 where nobody can tell.
      type: int
      returned: on entries, with O(whole)
    edited:
      description: Files of the live release that were changed by hand.
      type: list
      elements: str
      returned: on app hosts
    share: {description: Percentage of clients that go to slot green., type: int, returned: on entries}
    fenced:
      description: App hosts that get no clients, each with its address and what that is for.
      type: dict
      returned: on entries
    health:
      description: What everything that is served answered, by name.
      type: dict
      returned: with O(whole)
    certificates:
      description: Names, validity, last renewal of the site's certificates, and whether clients are served them.
      type: list
      elements: dict
      returned: on entries, with O(whole)
    lock: {description: Who holds the lock., type: dict, returned: on the arbiter}
    waiting: {description: "Who waits for it, the first in line first.", type: list, returned: on the arbiter}
    history: {description: What the ledger knows of each release., type: list, elements: dict, returned: on the arbiter}
    scaled: {description: What the ledger has as scaled., type: dict, returned: on the arbiter}
    scales: {description: "Who scaled what, and when.", type: list, elements: dict, returned: on the arbiter}
    would_roll_back_to:
      description: What a rollback would go back to, which every app host has that gets clients; empty where nothing.
      type: str
      returned: on the arbiter, with O(whole)
    tale:
      description: One release, each of its runs with its end, and what was decided in its stages upon which counts.
      type: dict
      returned: on the arbiter, with O(tale)
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={
            "purpose": {"type": "str", "default": ""},
            "source": {"type": "bool", "default": False},
            "plan": {"type": "bool", "default": False},
            "whole": {"type": "bool", "default": False},
            "away": {"type": "bool", "default": False},
            "lease_s": {"type": "float", "default": 30},
            "copies": {"type": "bool", "default": False},
            "tale": {"type": "bool", "default": False},
            "room": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="release_look is an action: install the whole collection and call ferryman.ops.release_look")


if __name__ == "__main__":
    main()
