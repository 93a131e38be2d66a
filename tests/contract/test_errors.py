"""What an error says: by itself what to do, or the troubleshooting guide has it. No text leaves people alone."""

import ast
import re
from collections.abc import Iterator

import pytest

from ferryman import paths

ROOT = paths.CHECKOUT
GUIDE = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \|", GUIDE, re.MULTILINE)
CLASSES = {"Stop", "Failed", "Refused", "Refusal", "AnsibleError", "Trouble", "Problem"}
"""The error classes whose texts people read; others are caught, or faults of Ferryman itself."""
FAILS, PROBLEM = "fail_json", "Problem 3"
"""How a module says what went wrong, and how a line of a configuration is told: Problem(place, key, wrong, right)."""
# What to do stands after the cause, and begins with one of these.
VERBS = (
    "build clone commit copy deploy fetch free give install keep look lower make mend move name pip provision publish "
    "put remove rename repair run set stop take try upgrade use vendor wait write"
).split()
ADVICE = re.compile(rf"(^|[:;.,] |, or )({'|'.join(VERBS)})\b", re.IGNORECASE)


def text(node: ast.expr) -> str:
    """Return the constant words of an expression, `...` for what a run fills in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    return "..."


def errors() -> Iterator[tuple[str, ast.Call]]:
    """Every place that raises one of the classes, fails as a module does, or tells what is wrong in a file."""
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else node
            if not isinstance(call, ast.Call):
                continue
            name = ast.unparse(call.func).split(".")[-1]
            told = name in CLASSES if isinstance(node, ast.Raise) else name == FAILS or called(call) == PROBLEM
            if told:
                yield f"{path.relative_to(ROOT)}-{call.lineno}", call


def called(call: ast.Call) -> str:
    """Return the name that is called, and how many arguments a line of a configuration has at least."""
    return f"{ast.unparse(call.func)} {min(len(call.args), 3)}"


def hinted(call: ast.Call) -> bool:
    """Say whether an error has words of what to do beside its text: none of those is empty."""
    given = [word.value for word in call.keywords if word.arg in ("hint", "right")]
    told = [
        word.value.values[word.value.keys.index(key)]
        for word in call.keywords
        if isinstance(word.value, ast.Dict)
        for key in word.value.keys
        if isinstance(key, ast.Constant) and key.value == "hint"
    ]
    given += told + call.args[3 if called(call) == PROBLEM else 1 :]
    return any(not (isinstance(each, ast.Constant) and not each.value) for each in given)


def said_by(call: ast.Call) -> str:
    """Return the text of an error."""
    if called(call) == PROBLEM:
        return text(call.args[2])
    messages = [word.value for word in call.keywords if word.arg == "msg"]
    return " ".join(text(each) for each in (messages or call.args))


def explained(said: str) -> bool:
    """Say whether the guide has a row for a text."""
    return any(
        re.search(".*".join(re.escape(part.strip()) for part in row.split("...")), said, re.DOTALL) for row in ROWS
    )


@pytest.mark.parametrize("call", [pytest.param(call, id=place) for place, call in errors()])
def test_an_error_says_what_to_do_or_is_in_the_guide(call: ast.Call) -> None:
    said = said_by(call)
    passed_on = not re.search(r"[a-z]{3}", said)  # another error's words, which are judged where they are written
    assert passed_on or hinted(call) or "`" in said or ADVICE.search(said) or explained(said), (
        f"{said!r}: give it a hint, say what to do, or add a row to docs/guides/troubleshooting.md"
    )


def test_the_classes_are_those_that_there_are() -> None:
    found = {ast.unparse(call.func).split(".")[-1] for _, call in errors()}
    assert found == CLASSES | {FAILS}


@pytest.mark.parametrize(
    ("source", "good"),
    [
        ("Stop('the thing is broken', hint='')", False),
        ("Stop('the thing is broken', hint='mend it')", True),
        ("module.fail_json(msg='the thing is broken')", False),
        ("module.fail_json(msg='the thing is broken: mend it')", True),
        ("module.fail_json(msg='the thing is broken', ferryman={'hint': ''})", False),
        ("module.fail_json(msg='the thing is broken', ferryman={'hint': 'mend it'})", True),
        ("Problem(place, key, 'is broken')", False),
        ("Problem(place, key, 'is broken', '')", False),
        ("Problem(place, key, 'is broken', 'mend it')", True),
        ("Problem('the thing is broken', hint)", True),
    ],
)
def test_a_hint_is_one_only_with_words_in_it(source: str, good: bool) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert (hinted(call) or bool(ADVICE.search(said_by(call)))) == good
