"""What is to be deployed, where no command line is between."""

from typing import Any, cast

import pytest
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import source


class Playbook:
    """What a playbook says of a deploy."""

    environment = "prod"

    def value(self, name: str, default: Any = None) -> Any:
        return {"allow_dirty": True}.get(name, default)


def test_prod_gets_no_work_tree_from_a_playbook_alone_either() -> None:
    with pytest.raises(AnsibleError, match="not for prod"):
        source.read(cast("Any", Playbook()))
