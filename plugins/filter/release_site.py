"""The filter that gives playbooks the name of a site, so that they need not compose it themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.names import site_name

DOCUMENTATION = """
name: release_site
short_description: The name of an application on a host
description:
  - Units, paths and accounts of an application carry this name.
  - Where several environments share a host, it holds the environment's.
positional: environment
options:
  _input: {description: The application., type: str, required: true}
  environment: {description: The environment., type: str, required: true}
  shared: {description: Whether several environments share the host., type: bool, default: false}
"""
EXAMPLES = """
- debug: {msg: "{{ 'notes' | ferryman.ops.release_site('staging', shared=true) }}"}  # notes-staging
"""
RETURN = """
_value: {description: The site's name., type: str}
"""


class FilterModule:
    """ferryman.ops.release_site"""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"release_site": release_site}


def release_site(app: str, environment: str, shared: bool = False) -> str:
    """Return the name of a site (docs/decisions/0001-formats.md)."""
    return site_name(app, environment, shared=bool(shared))
