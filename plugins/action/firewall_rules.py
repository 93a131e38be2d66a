"""Run module firewall_rules, and confirm its change over a new connection."""

from __future__ import annotations

from ansible_collections.ferryman.ops.plugins.plugin_utils.confirmed import ConfirmedAction


class ActionModule(ConfirmedAction):
    """See plugin_utils/confirmed.py."""
