"""Steps of `verify` as `ferryman.yml` gives them, read by what reads an application's own."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import verification
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Reader


def step(name: str = "a step", **said: Any) -> dict[str, Any]:
    """Return a step with its defaults; what it stands on need not be there."""
    reader = Reader("steps")
    checked = reader.check({"name": name, "path": "/", **said}, verification.STEP, ())
    checked["expect"] = reader.check(checked["expect"], verification.EXPECT, ("expect",))
    reader.finish()
    return checked
