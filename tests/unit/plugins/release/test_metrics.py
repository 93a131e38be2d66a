"""Metrics in `ferryman.yml`: every error at once with its line and the way out, and defaults for the rest."""

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description

HEAD = "format: 1\nname: notes\nruntime: {kind: static}\n"


def read(*metrics: str) -> list[dict[str, object]]:
    told = description.read("\n".join([HEAD + "metrics:", *(f"  - {each}" for each in metrics)]))
    return list(told["metrics"])


def test_a_metric_is_filled_with_defaults() -> None:
    assert read("{name: pool, path: /metrics, prometheus: pool_free, at_least: 1}") == [
        {
            "name": "pool", "path": "/metrics", "json": "", "prometheus": "pool_free", "of": "",
            "at_least": 1.0, "at_most": None, "then": "back",
        }
    ]  # fmt: skip


def test_a_bound_may_be_nothing() -> None:
    (metric,) = read("{name: lost, path: /state, json: messages.lost, at_most: 0, then: ask}")
    assert (metric["at_most"], metric["at_least"], metric["then"]) == (0.0, None, "ask")


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("7", "metrics.0 must hold keys and values"),
        ("{path: /, json: a, at_most: 1}", "metrics.0.name is missing"),
        ('{name: "a\\nb", path: /, json: a, at_most: 1}', "metrics.0.name must be one line of at most 80"),
        ("{name: x, json: a, at_most: 1}", "metrics.0.path is missing"),
        ("{name: x, path: state, json: a, at_most: 1}", "'state' must begin with /"),
        ('{name: x, path: "/{release}", json: a, at_most: 1}', "metrics.0.path holds a brace"),
        ("{name: x, path: /, at_most: 1}", "metrics.0 has neither of two, one is needed: json ("),
        ("{name: x, path: /, json: a, prometheus: b, at_most: 1}", "metrics.0.prometheus cannot go along with json"),
        ("{name: x, path: /, json: a}", "metrics.0 has neither of two, one is needed: at_least (for what must not"),
        ("{name: x, path: /, json: a, at_least: 1, at_most: 2}", "metrics.0.at_most cannot go along with at_least"),
        ("{name: x, path: /, json: a, at_most: .nan}", "metrics.0.at_most must be a number that something"),
        ("{name: x, path: /, json: a, at_most: much}", "metrics.0.at_most is wrong"),
        ("{name: x, path: /, json: a, at_mots: 1}", "metrics.0.at_mots is not an option; did you mean at_most?"),
        ('{name: x, path: /, prometheus: "a b", at_most: 1}', "metrics.0.prometheus 'a b' must be as"),
        ("{name: x, path: /, prometheus: 'a{b=c}', at_most: 1}", "metrics.0.prometheus 'a{b=c}' must be as"),
        ("{name: x, path: /, json: a, at_most: 1, then: pray}", "must be one of: back, ask"),
        ("{name: x, path: /, prometheus: a, of: 'b c', at_most: 1}", "metrics.0.of 'b c' must be as"),
        (
            "{name: x, path: /, json: a, of: b, at_least: 900}",
            "metrics.0.at_least must be a percentage above 0 and below",
        ),
        ("{name: x, path: /, json: a, of: b, at_most: 0}", "metrics.0.at_most must be a percentage above 0 and below"),
    ],
)
def test_an_error_names_its_place_and_the_way_out(metric: str, said: str) -> None:
    with pytest.raises(description.Problems) as wrong:
        read(metric)
    assert any(said in each and each.startswith("ferryman.yml:5: ") for each in wrong.value.found), wrong.value.found


def test_two_metrics_have_two_names() -> None:
    with pytest.raises(description.Problems, match="'x' is the name of an earlier metric"):
        read("{name: x, path: /, json: a, at_most: 1}", "{name: x, path: /, json: b, at_most: 1}")
