"""Whether an answer satisfies a step, and what later steps are given: the decision, without a network."""

import html
import json
import string
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import expect
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer
from hypothesis import given
from hypothesis import strategies as st
from tests.support.steps import step

KNOWN = {"unique": "a1b2", "release": "r1", "secret:PASSWORD": "hunter2", "note": "7"}
PAGE = Answer(200, (("content-type", "text/html"), ("x-release", "r1")), "<h1>Notes</h1>\n<p>a1b2</p>", 0.1)
BODY = Answer(200, (), json.dumps({"id": 7, "user": {"names": ["ada", "a1b2"]}, "on": True, "none": None}), 0.1)
WORDS = st.text(string.ascii_letters + string.digits + " {}:_\"'<>&%+é", max_size=30)


def judged(answer: Answer, **wanted: Any) -> list[str]:
    return expect.judge(step(expect=wanted)["expect"], answer, KNOWN)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (PAGE, {}),
        (PAGE, {"status": [404, 200]}),
        (PAGE, {"contains": ["Notes", "{unique}"]}),
        (PAGE, {"matches": ["^<p>", "<h1>\\w{5}</h1>", "{unique}"]}),
        (PAGE, {"headers": {"Content-Type": "html", "X-Release": "{release}"}}),
        (BODY, {"json": {"id": 7, "user.names.0": "ada", "user.names.1": "{unique}", "on": True, "none": None}}),
        (BODY, {"json": {"id": "{note}", "user": {"names": ["ada", "{unique}"]}}}),
    ],
)
def test_an_answer_that_is_as_expected(answer: Answer, wanted: dict[str, Any]) -> None:
    assert judged(answer, **wanted) == []


@pytest.mark.parametrize(
    ("answer", "wanted", "said"),
    [
        (Answer(500), {}, "expected status 200, came 500"),
        (Answer(302), {"status": [200, 204]}, "expected status 200 or 204, came 302"),
        (Answer(error="refused"), {}, "expected status 200, came none: refused"),
        (Answer(200, seconds=5.25), {}, "expected an answer within 5 s, came after 5.2 s"),
        (PAGE, {"contains": ["Tasks"]}, "expected 'Tasks' in the body"),
        (PAGE, {"contains": ["{secret:PASSWORD}"]}, "expected '{secret:PASSWORD}' in the body"),
        (PAGE, {"matches": ["^Notes$"]}, "expected the body to match '^Notes$'"),
        (PAGE, {"headers": {"X-Release": "r2"}}, "expected header X-Release to hold 'r2', came r1"),
        (PAGE, {"headers": {"Location": "/"}}, "expected header Location, came none"),
        (PAGE, {"json": {"id": 7}}, "expected JSON, the body is none"),
        (BODY, {"json": {"id": 8}}, "expected JSON key id = 8, came 7"),
        (BODY, {"json": {"on": 1}}, "expected JSON key on = 1, came true"),
        (BODY, {"json": {"none": False}}, "expected JSON key none = false, came null"),
        (BODY, {"json": {"user.names.2": "x"}}, "expected JSON key user.names.2, came none"),
        (BODY, {"json": {"id": "{release}"}}, 'expected JSON key id = "{release}", came 7'),
    ],
)
def test_an_answer_that_is_not_says_what_was_expected_and_what_came(
    answer: Answer, wanted: dict[str, Any], said: str
) -> None:
    assert judged(answer, **wanted) == [said]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = judged(Answer(500, text="oops", seconds=9), contains=["a", "o"], json={"x": 1}, headers={"Y": "z"})
    assert len(wrong) == 5, wrong


def test_a_value_in_a_pattern_is_text_and_no_pattern() -> None:
    asked = step(expect={"matches": ["^{unique}$"]})["expect"]
    assert expect.judge(asked, Answer(200, text="a.c"), {"unique": "a.c"}) == []
    assert expect.judge(asked, Answer(200, text="abc"), {"unique": "a.c"}) != []


# Places in braces


def test_a_value_that_breaks_a_pattern_is_told_without_it() -> None:
    asked = step(expect={"matches": ["[z-{unique}]"]})["expect"]
    (wrong,) = expect.judge(asked, PAGE, {"unique": "0battery"})
    assert "'[z-{unique}]', which is no regular expression" in wrong
    assert "0bat" not in wrong


def test_places_are_filled_and_doubled_braces_are_braces() -> None:
    assert expect.fill("/{note}?q={{note}}", KNOWN) == "/7?q={note}"
    assert expect.fill({"a": ["{unique}", 7, None], "b": {"c": "x{release}"}}, KNOWN) == {
        "a": ["a1b2", 7, None], "b": {"c": "xr1"},
    }  # fmt: skip
    assert expect.fill('{"status": "ok"} {3} {}', KNOWN) == '{"status": "ok"} {3} {}'


def test_a_value_stays_one_part_of_a_url() -> None:
    assert expect.fill("/n/{x}?q={x}", {"x": "a/b&c=d e?#"}, expect.in_url) == (
        "/n/a%2Fb%26c%3Dd%20e%3F%23?q=a%2Fb%26c%3Dd%20e%3F%23"
    )


def test_secrets_are_found_wherever_a_step_may_name_them() -> None:
    steps = [
        step(path="/{secret:A}", headers={"X": "{secret:B}"}),
        step(json=[{"deep": "{secret:C}"}], expect={"json": {"x": "{secret:D}"}, "contains": ["{secret:A}"]}),
        step(form={"p": "{secret:E}{{secret:NOT}}"}),
    ]
    assert expect.secrets(steps) == ["A", "B", "C", "D", "E"]


@given(WORDS, st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), WORDS, max_size=4))
def test_what_is_filled_holds_no_place_but_those_that_values_brought(text: str, values: dict[str, str]) -> None:
    known = {name: values.get(name, "") for name in expect.places(text)}
    assert expect.fill(text, dict.fromkeys(known, "")) == expect.PLACE.sub(
        lambda found: f"{{{found[1]}}}" if found[1] else "", text
    )
    assert isinstance(expect.fill(text, known), str)


# Which steps are run


def test_steps_that_write_are_left_out_with_all_that_stand_on_them() -> None:
    steps = [
        step("front page"),
        step("register", writes=True, save={"user": {"json": "id"}}),
        step("log in", needs=["register"]),
        step("profile", path="/{user}"),
        step("settings", needs=["log in"]),
        step("version"),
    ]
    out = expect.left_out(steps, writes=False)
    assert list(out) == ["register", "log in", "profile", "settings"]
    assert "'register'" in out["profile"]
    assert expect.left_out(steps, writes=True) == {}


def test_a_value_that_another_step_gives_again_is_not_lost() -> None:
    steps = [
        step("write", writes=True, save={"id": {"json": "id"}}),
        step("find", save={"id": {"json": "0.id"}}),
        step("read", path="/{id}"),
    ]
    assert list(expect.left_out(steps, writes=False)) == ["write"]


STEPS = st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9))), max_size=10)


@given(STEPS)
def test_without_writes_nothing_is_asked_that_writes_or_lacks_what_it_needs(
    drawn: list[tuple[bool, set[int], set[int]]],
) -> None:
    steps = [
        step(
            f"s{at}",
            writes=writes,
            path="/" + "".join(f"{{v{each}}}" for each in sorted(uses) if each < at),
            needs=[f"s{each}" for each in sorted(needs) if each < at],
            save={f"v{at}": {"json": "x"}},
        )
        for at, (writes, uses, needs) in enumerate(drawn)
    ]
    out = expect.left_out(steps, writes=False)
    asked = [each for each in steps if each["name"] not in out]
    given_ = {name for each in asked for name in each["save"]}
    for each in asked:
        assert not each["writes"]
        assert expect.used(each) <= given_
        assert not set(each["needs"]) & set(out)
    assert not any(each["writes"] for each in steps) or out
    assert expect.left_out(steps, writes=True) == {}


# What later steps are given


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"json": "id"}, "7"),
        ({"json": "user.names.0"}, "ada"),
        ({"json": "on"}, "true"),
        ({"header": "Location"}, "/next"),
        ({"cookie": "csrf"}, "tok"),
        ({"regex": r'"names": \["(\w+)"'}, "ada"),
        ({"regex": "ada"}, "ada"),
        ({"json": "none"}, None),
        ({"json": "user"}, None),
        ({"json": "gone"}, None),
        ({"header": "Gone"}, None),
        ({"cookie": "gone"}, None),
        ({"regex": "nobody"}, None),
    ],
)
def test_a_value_is_saved_or_said_to_be_missing(source: dict[str, str], value: str | None) -> None:
    answer = Answer(200, (("location", "/next"),), BODY.text)
    found, wrong = expect.saved({"x": source}, answer, {"csrf": "tok"})
    assert found == ({} if value is None else {"x": value})
    assert len(wrong) == (value is None)


def cookies(*lines: str, jar: dict[str, str] | None = None) -> dict[str, str]:
    return expect.cookies(jar or {}, Answer(200, tuple(("set-cookie", line) for line in lines)), now=1_800_000_000)


def test_cookies_are_kept_until_they_are_taken_back() -> None:
    assert cookies("a=1; Path=/; HttpOnly", "b=x=y; Secure; Max-Age=60") == {"a": "1", "b": "x=y"}
    assert cookies("a=; Max-Age=0", jar={"a": "1", "b": "2"}) == {"b": "2"}
    assert cookies("a=; expires=Thu, 01 Jan 1970 00:00:00 GMT", jar={"a": "1"}) == {}
    assert cookies("a=2; expires=Wed, 01 Jan 2098 00:00:00 GMT") == {"a": "2"}
    assert cookies("a=2; expires=never", "=x", "lonely", "") == {"a": "2"}


@given(st.lists(st.text(max_size=40), max_size=5))
def test_no_line_of_a_cookie_is_too_odd(lines: list[str]) -> None:
    assert all(isinstance(value, str) for value in cookies(*lines).values())


# What people are shown


@given(st.text(max_size=20), st.text("0123456789 ", max_size=20))
def test_a_secret_is_in_no_form_in_what_is_shown(rest: str, around: str) -> None:
    secret = f"key{rest}"
    forms = [secret, json.dumps({"p": secret}), urlencode({"p": secret}), html.escape(secret), f"{[secret]}"]
    for form in [*forms, expect.in_url(secret)]:
        assert "key" not in expect.redacted(f"{around}{form}{around}", ["", secret])


@given(st.integers(), st.text(max_size=60), st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text()))
def test_every_answer_is_judged_in_sentences(status: int, text: str, wanted: dict[str, Any]) -> None:
    for sentence in judged(Answer(status, (("x", text),), text, 0.1), json=wanted, headers={"x": "a"}):
        assert sentence.startswith("expected ")


def test_secrets_are_lacking_only_for_steps_that_are_asked() -> None:
    read = step("read", headers={"X-Key": "{secret:READING}"})
    write = step("write", method="POST", headers={"X-Key": "{secret:WRITING}"}, writes=True)
    later = step("later", path="/{secret:LATER}", needs=["write"])
    steps = [read, write, later]
    assert expect.lacking(expect.asked(steps, []), {}) == ["READING"]
    assert expect.lacking(expect.asked(steps, ["driver"]), {"READING": "x"}) == []
    assert expect.lacking(expect.asked(steps, ["entry"]), {"READING": "x"}) == ["LATER", "WRITING"]
