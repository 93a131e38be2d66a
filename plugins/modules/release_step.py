#!/usr/bin/python
"""The documentation of ferryman.ops.release_step; its work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_step
short_description: Do steps of a deploy or a rollback on a host, in one session
description:
  - Steps that do not concern this host are left out; what each host does is said by C(release_hosts).
  - Every step is idempotent, carries this run's token, and is written down in the host's journal.
  - Runs over one session of the host's connection; the host needs Python and nothing else.
  - >-
    Reads these variables of the role ferryman.ops.release: C(release_app), C(release_environment),
    C(release_hosts), C(release_addresses), C(release_domains), C(release_secrets), C(release_database),
    C(release_entry_port),
    C(release_work_dir), C(release_who), C(release_host_shared), C(release_health_consecutive),
    C(release_soak_s), C(release_start_timeout_s), C(release_confirm_s), C(release_watch_s),
    C(release_worker_soak_s), C(release_drain_s), C(release_warm_s), C(release_keep), C(release_verify),
    C(release_verify_writes), C(release_verify_timeout_s), C(release_stop_file),
    C(release_stages), C(release_hotfix), C(release_hotfix_stages),
    C(release_limits), C(release_ask_s), C(release_entry_log), C(release_progress_file),
    C(release_unlock_force), C(release_serial).
options:
  steps: {description: "Which steps, in this order.", type: list, elements: str, required: true}
  reason:
    description: Why a return is made, where no task of the run has failed and said so; it goes into the ledger.
    type: str
    default: ''
  maintenance: {description: "Whether step V(maintenance) shows the page or hides it.", type: bool, default: false}
  page_of:
    description: Whose page it is; one of somebody else is neither shown anew nor hidden.
    type: str
    default: ''
  process: {description: "The process of kind once that step V(once) runs.", type: str, default: ''}
  holder: {description: "The run whose running lease step V(unlock) ends.", type: str, default: ''}
  word: {description: "What step V(say) leaves for a release in its stages.", type: str, default: ''}
  word_share:
    description: >-
      For the stage with which percentage of the clients V(promote) of O(word) is, refused where another one goes on by
      now; 0 for any.
    type: int
    default: 0
  back:
    description: >-
      Whether the steps of M(ferryman.ops.release_scale) lead back to what the ledger has; O(reason) then goes into it.
    type: bool
    default: false
  fence:
    description: >-
      Whom step V(fence) fences off, or lets in. Whoever was left out of a release is let in by a deploy alone.
    type: dict
    suboptions:
      host: {description: An app host., type: str, required: true}
      out: {description: Whether entries send no clients to it., type: bool, required: true}
      why: {description: Why., type: str, default: ''}
      reason: {description: Who asks; he alone ends it., type: str, default: hand, choices: [hand, maintenance]}
  plan:
    description: Whether to say only what the steps would come to, for M(ferryman.ops.release_plan).
    type: bool
    default: false
  of:
    description: Which hosts do them; what only the arbiter can decide it decides before the others hear of it.
    type: str
    choices: [all, arbiter, others]
    default: all
author: The Ferryman authors
"""

EXAMPLES = r"""
- name: Send the clients to the new release
  ferryman.ops.release_step:
    steps: [switch]
"""

RETURN = r"""
steps:
  description: The steps that were done, each with its duration (seconds).
  type: list
  elements: dict
  returned: when a step concerns this host
changes:
  description: What was changed on the host.
  type: list
  elements: str
  returned: when a step concerns this host
ferryman:
  description: >-
    What the steps told. Of those of a rollback with the database C(lost), what was written since by table, C(kept),
    the database that was left, C(undone), whether it was put back, and C(unwell), why what serves is not well after the
    commit.
  type: dict
  returned: when a step concerns this host
token: {description: The fencing token of this run., type: int, returned: when a step concerns this host}
skipped_here: {description: That none of the steps concerns this host., type: bool, returned: otherwise}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Say that the action plugin was not found: this file alone does nothing."""
    module = AnsibleModule(
        argument_spec={
            "steps": {"type": "list", "elements": "str", "required": True},
            "reason": {"type": "str", "default": ""},
            "maintenance": {"type": "bool", "default": False},
            "page_of": {"type": "str", "default": ""},
            "process": {"type": "str", "default": ""},
            "holder": {"type": "str", "default": ""},
            "word": {"type": "str", "default": ""},
            "word_share": {"type": "int", "default": 0},
            "back": {"type": "bool", "default": False},
            "fence": {
                "type": "dict",
                "options": {
                    "host": {"type": "str", "required": True},
                    "out": {"type": "bool", "required": True},
                    "why": {"type": "str", "default": ""},
                    "reason": {"type": "str", "default": "hand", "choices": ["hand", "maintenance"]},
                },
            },
            "plan": {"type": "bool", "default": False},
            "of": {"type": "str", "default": "all", "choices": ["all", "arbiter", "others"]},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="release_step is an action: install the whole collection and call ferryman.ops.release_step")


if __name__ == "__main__":
    main()
