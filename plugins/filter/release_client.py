"""The filter that says of a database and an address who comes from there, as the database's host takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = """
name: release_client
short_description: Who comes to a database from an address
description:
  - The database's owner, and nobody else.
options:
  _input: {description: A database of the apps, and an address., type: list, elements: raw, required: true}
"""
EXAMPLES = """
- debug: {msg: "{{ [{'name': 'notes', 'owner': 'notes'}, '10.0.0.21'] | ferryman.ops.release_client }}"}
"""
RETURN = """
_value: {description: "Its database, user and from.", type: dict}
"""


class FilterModule:
    """ferryman.ops.release_client"""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"release_client": release_client}


def release_client(pair: Sequence[Any]) -> dict[str, str]:
    """Return whom an address brings to a database."""
    database: Mapping[str, Any] = pair[0]
    return {"database": str(database["name"]), "user": str(database["owner"]), "from": str(pair[1])}
