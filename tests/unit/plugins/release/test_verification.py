"""Steps under verify: every error at once with its line and the way out, and defaults for the rest."""

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description

HEAD = "format: 1\nname: notes\nruntime: {kind: static}\n"


def read(*steps: str) -> list[dict[str, object]]:
    told = description.read("\n".join([HEAD + "verify:", *(f"  - {each}" for each in steps)]))
    return list(told["verify"])


def problems(*steps: str) -> list[str]:
    with pytest.raises(description.Problems) as wrong:
        read(*steps)
    return wrong.value.found


def test_a_step_is_filled_with_defaults() -> None:
    assert read("{name: front page, path: /}") == [
        {
            "name": "front page",
            "method": "GET",
            "path": "/",
            "headers": {},
            "form": {},
            "json": None,
            "expect": {
                "status": [200], "contains": [], "matches": [], "json": {}, "headers": {}, "within_s": 5.0,
            },
            "save": {},
            "needs": [],
            "writes": False,
        }
    ]  # fmt: skip


def test_one_word_is_a_list_of_one() -> None:
    (step,) = read("{name: x, path: /, expect: {status: 303, contains: a, matches: b}}")
    assert step["expect"] == {
        "status": [303], "contains": ["a"], "matches": ["b"], "json": {}, "headers": {}, "within_s": 5.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("7", "verify.0 must hold keys and values"),
        ("{path: /}", "verify.0.name is missing"),
        ('{name: " ", path: /}', "verify.0.name must be one line of at most 80"),
        ('{name: "a\\nb", path: /}', "verify.0.name must be one line of at most 80"),
        ("{name: x}", "verify.0.path is missing"),
        ("{name: x, path: login}", "'login' must begin with /"),
        ('{name: x, path: "http://elsewhere/"}', "must begin with /"),
        ("{name: x, path: /, metod: POST}", "verify.0.metod is not an option; did you mean method?"),
        ("{name: x, path: /, method: post}", "must be one of: GET, HEAD, POST"),
        ("{name: x, path: /, writes: perhaps}", "verify.0.writes is wrong"),
        ("{name: x, path: /, json: {a: 1}}", "verify.0.json is a body, and GET has none"),
        ("{name: x, path: /, method: PUT, json: {a: 1}, form: {a: 1}}", "a request has one body"),
        ("{name: x, path: /, method: PUT, json: {a: 2026-01-01}}", "verify.0.json holds what JSON has no word for"),
        ("{name: x, path: /, method: PUT, form: {a: [1]}}", "verify.0.form.a must be text, YAML reads a list here"),
        ("{name: x, path: /, headers: {A B: c}}", "verify.0.headers.A B is no name of a header"),
        ('{name: x, path: /, headers: {A: "b\\r\\nC: d"}}', "verify.0.headers.A must be one line"),
        ("{name: x, path: /, headers: {A: true}}", "verify.0.headers.A must be text, YAML reads yes or no"),
        ("{name: x, path: /, expect: 200}", "verify.0.expect"),
        ("{name: x, path: /, expect: {state: 200}}", "verify.0.expect.state is not an option; did you mean status?"),
        ("{name: x, path: /, expect: {status: ok}}", "verify.0.expect.status is wrong"),
        ("{name: x, path: /, expect: {status: []}}", "verify.0.expect.status must name at least one"),
        ("{name: x, path: /, expect: {status: 42}}", "42 is no status of HTTP"),
        ("{name: x, path: /, expect: {within_s: 0}}", "verify.0.expect.within_s must be more than 0"),
        ("{name: x, path: /, expect: {within_s: 61}}", "verify.0.expect.within_s must be more than 0 and at most 60"),
        ('{name: x, path: /, expect: {matches: "("}}', "verify.0.expect.matches.0 is no regular expression"),
        ("{name: x, path: /, expect: {json: {1: a}}}", "verify.0.expect.json.1 must be a text, a path like"),
        ("{name: x, path: /, expect: {json: &a {b: *a}}}", "refers to itself"),
        ("{name: x, path: /, needs: [y]}", "'y' is no earlier step; this is the first"),
        ("{name: x, path: /, save: {Id: {json: id}}}", "verify.0.save.Id must be lower-case letters"),
        ("{name: x, path: /, save: {unique: {json: id}}}", "verify.0.save.unique must be lower-case letters"),
        ("{name: x, path: /, save: {id: id}}", "must say where from, by one of json, header, cookie, regex"),
        ("{name: x, path: /, save: {id: {json: id, regex: x}}}", "must say where from"),
        ("{name: x, path: /, save: {id: {jsn: id}}}", "verify.0.save.id.jsn is no place to take a value from; did you"),
        ("{name: x, path: /, save: {id: {json: 1}}}", "verify.0.save.id.json must be text, YAML reads a number"),
        ('{name: x, path: /, save: {id: {regex: "["}}}', "verify.0.save.id.regex is no regular expression"),
        ('{name: x, path: "/{uniqe}"}', "holds {uniqe}, which nothing gives; did you mean unique?"),
        ('{name: x, path: "/{id}", save: {id: {json: id}}}', "holds {id}, which nothing gives"),
        ('{name: x, path: /, expect: {json: {a: ["{nobody}"]}}}', "verify.0.expect holds {nobody}"),
    ],
)
def test_what_would_only_fail_in_a_deploy_is_refused_now(step: str, said: str) -> None:
    found = problems(step)
    assert any(said in each for each in found), found
    assert all(each.startswith("ferryman.yml:5: ") for each in found), found


def test_names_in_braces_are_those_that_earlier_steps_save_and_secrets() -> None:
    read(
        "{name: a, path: /, save: {token: {header: x-token}}}",
        '{name: b, path: "/{token}/{unique}/{release}?x={secret:ANY}&y={{free}}", needs: [a]}',
    )
    (said,) = problems("{name: a, path: /, save: {token: {header: x}}}", '{name: b, path: "/{tken}"}')
    assert said.startswith("ferryman.yml:6: verify.1.path holds {tken}, which nothing gives; did you mean token?")


def test_every_error_of_all_steps_is_told_in_the_order_of_the_file() -> None:
    found = problems(
        "{name: front page, path: x}", "{name: front page, path: /, needs: [frnt page]}", "{name: c, pth: /}"
    )
    assert [each.partition(" ")[0] for each in found] == [f"ferryman.yml:{line}:" for line in (5, 6, 6, 7, 7)]
    assert "did you mean front page?" in "\n".join(found)
