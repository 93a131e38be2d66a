"""Steps of `verify` and metrics as `ferryman.yml` gives them, read by what reads an application's own."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import metrics, verification
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Reader


def step(name: str = "a step", **said: Any) -> dict[str, Any]:
    """Return a step with its defaults; what it stands on need not be there."""
    reader = Reader("steps")
    checked = reader.check({"name": name, "path": "/", **said}, verification.STEP, ())
    checked["expect"] = reader.check(checked["expect"], verification.EXPECT, ("expect",))
    reader.finish()
    return checked


def metric(**said: Any) -> dict[str, Any]:
    """Return a metric with its defaults, at /metrics where no path is said."""
    reader = Reader("metrics")
    (found,) = metrics.read(reader, [{"path": "/metrics", **said}])
    reader.finish()
    return found
