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
    """Every place that raises one of the classes."""
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func).split(".")[-1]
                if name in CLASSES:
                    yield f"{path.relative_to(ROOT)}-{node.lineno}", node.exc


def explained(said: str) -> bool:
    """Say whether the guide has a row for a text."""
    return any(
        re.search(".*".join(re.escape(part.strip()) for part in row.split("...")), said, re.DOTALL) for row in ROWS
    )


@pytest.mark.parametrize("call", [pytest.param(call, id=place) for place, call in errors()])
def test_an_error_says_what_to_do_or_is_in_the_guide(call: ast.Call) -> None:
    said = " ".join(text(each) for each in call.args)
    passed_on = not re.search(r"[a-z]{3}", said)  # another error's words, which are judged where they are written
    hinted = any(word.arg == "hint" for word in call.keywords) or len(call.args) > 1
    assert passed_on or hinted or "`" in said or ADVICE.search(said) or explained(said), (
        f"{said!r}: give it a hint, say what to do, or add a row to docs/guides/troubleshooting.md"
    )


def test_the_classes_are_those_that_there_are() -> None:
    found = {ast.unparse(call.func).split(".")[-1] for _, call in errors()}
    assert found == CLASSES
