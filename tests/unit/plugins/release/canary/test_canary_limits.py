"""Limits from configuration: one truth for the role's options, the page and the verdict."""

import re
from dataclasses import asdict, fields

import yaml
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import limits

from ferryman import paths


def test_a_value_replaces_its_default_alone() -> None:
    found = limits.read({"hang_s": 10, "least_clients": 25, "worse_factor": None})
    assert asdict(found) == {**asdict(limits.Limits()), "hang_s": 10.0, "least_clients": 25}


def test_limits_by_which_nobody_would_ever_be_asked_are_refused() -> None:
    assert not limits.refusal(limits.Limits())
    assert "nobody would ever be asked" in limits.refusal(limits.read({"errors_ask_percent": 20}))


def test_the_role_has_every_limit_as_an_option_with_its_default() -> None:
    spec = yaml.safe_load((paths.CHECKOUT / "roles" / "release" / "meta" / "argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]["release_limits"]["options"]
    assert {name: option["default"] for name, option in options.items()} == asdict(limits.Limits())


def test_the_guide_tells_every_limit_with_its_default() -> None:
    text = (paths.CHECKOUT / "docs" / "guides" / "verdict.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    assert told == {each.name: f"{each.default:g}" for each in fields(limits.Limits)}
