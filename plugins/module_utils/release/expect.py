"""What a step of `verify` says, and whether an answer satisfies it: pure functions over the step and the answer.

Steps are those of `ferryman.yml`, checked and filled with defaults (docs/decisions/0001-formats.md). A place in braces
(`{unique}`, `{secret:NAME}`) is filled at the last moment, so that what people are shown never holds a secret.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

Step = Mapping[str, Any]

PLACE = re.compile(r"\{\{((?:secret:)?[A-Za-z_]\w*)\}\}|\{((?:secret:)?[A-Za-z_]\w*)\}", re.ASCII)
SECRET = "secret:"  # noqa: S105 - what a name in braces begins with
GIVEN = ("unique", "release")
"""What every run knows: a word of its own, and the id of the release that is looked at."""
VANTAGES = ("slot", "entry", "driver", "drill")
SHOWN = 200  # characters of a sentence, and of an answer, that people are shown
_NOTHING = object()


@dataclass(frozen=True)
class Answer:
    """What came: status, headers as pairs (names in lower case), text, seconds; or the `error` that came instead."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""
    seconds: float = 0.0
    error: str = ""

    def header(self, name: str) -> str | None:
        """Return the first header of a name, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)


# Places in braces


def places(value: Any) -> set[str]:
    """Return the names in braces in a text, or in all texts of a map or a list."""
    if isinstance(value, str):
        return {found[2] for found in PLACE.finditer(value) if found[2]}
    if isinstance(value, Mapping):
        return {name for key, each in value.items() for name in places(key) | places(each)}
    return {name for each in value for name in places(each)} if isinstance(value, (list, tuple)) else set()


def used(step: Step) -> set[str]:
    """Return the names in braces that a step needs."""
    return places([step[key] for key in ("path", "headers", "form", "json", "expect")])


def secrets(steps: Sequence[Step]) -> list[str]:
    """Return the names of the secrets that steps need, each once."""
    return sorted({name[len(SECRET) :] for step in steps for name in used(step) if name.startswith(SECRET)})


def lacking(steps: Sequence[Step], given: Container[str]) -> list[str]:
    """Return the names of the secrets that steps need and that are not `given`."""
    return [name for name in secrets(steps) if name not in given]


def lack(release: str, names: Sequence[str]) -> str:
    """Return in a sentence what a release's steps need and nobody gives."""
    return f"verify of {release} needs {', '.join(names)}, and the inventory gives none"


def fill(value: Any, known: Mapping[str, str], written: Callable[[str], str] = str) -> Any:
    """Return `value` with its places filled, each as `written` puts it; `{{word}}` is the word in single braces."""
    if isinstance(value, str):
        return PLACE.sub(lambda found: f"{{{found[1]}}}" if found[1] else written(known[found[2]]), value)
    if isinstance(value, Mapping):
        return {key: fill(each, known, written) for key, each in value.items()}
    return [fill(each, known, written) for each in value] if isinstance(value, list) else value


def in_url(value: str) -> str:
    """Write a value so that it stays one part of a path or a query."""
    return quote(value, safe="")


# Which steps are run


def left_out(steps: Sequence[Step], *, writes: bool) -> dict[str, str]:
    """Return by name why steps are not run: those that write, unless `writes`, and all that stand on one of them."""
    out: dict[str, str] = {}
    lost: dict[str, str] = {}
    for step in steps:
        stands_on = [name for name in step["needs"] if name in out]
        stands_on += [lost[name] for name in sorted(used(step)) if name in lost]
        if step["writes"] and not writes:
            out[step["name"]] = "it writes, and that is not wanted here"
        elif stands_on:
            out[step["name"]] = f"it stands on {stands_on[0]!r}, which was left out"
        for name in step["save"]:
            lost.pop(name, None)
            if step["name"] in out:
                lost[name] = step["name"]
    return out


def asked(steps: Sequence[Step], writes: Collection[str]) -> list[Step]:
    """Return the steps that a rollback asks of a release; `writes` are the vantages from which those that write go."""
    out = left_out(steps, writes=not {"slot", "entry"}.isdisjoint(writes))
    return [step for step in steps if step["name"] not in out]


# Whether an answer satisfies a step


def judge(expect: Mapping[str, Any], answer: Answer, known: Mapping[str, str]) -> list[str]:
    """Return what is not as expected, each in a sentence; what was expected is told as it was written."""
    wanted = " or ".join(map(str, expect["status"]))
    if answer.error:
        return [f"expected status {wanted}, came none: {answer.error}"]
    wrong = []
    if answer.status not in expect["status"]:
        wrong.append(f"expected status {wanted}, came {answer.status}")
    if answer.seconds > expect["within_s"]:
        wrong.append(f"expected an answer within {expect['within_s']:g} s, came after {answer.seconds:.1f} s")
    for name, text in expect["headers"].items():
        came = answer.header(name)
        if came is None:
            wrong.append(f"expected header {name}, came none")
        elif fill(text, known) not in came:
            wrong.append(f"expected header {name} to hold {text!r}, came {came}")
    wrong += [f"expected {text!r} in the body" for text in expect["contains"] if fill(text, known) not in answer.text]
    for pattern in expect["matches"]:
        try:
            if not re.search(fill(pattern, known, re.escape), answer.text, re.MULTILINE):
                wrong.append(f"expected the body to match {pattern!r}")
        except re.error:  # a value may stand where none can, and be a secret: [a-{unique}]
            wrong.append(f"expected the body to match {pattern!r}, which is no regular expression with its values")
    return wrong + _judge_json(expect["json"], answer, known)


def _judge_json(wanted: Mapping[str, Any], answer: Answer, known: Mapping[str, str]) -> list[str]:
    if not wanted:
        return []
    body, wrong = _parsed(answer.text), []
    if body is _NOTHING:
        return ["expected JSON, the body is none"]
    for path, value in wanted.items():
        came = at(body, path)
        if came is _NOTHING:
            wrong.append(f"expected JSON key {path}, came none")
        elif not _equal(fill(value, known), came):
            wrong.append(f"expected JSON key {path} = {json.dumps(value)}, came {json.dumps(came)}")
    return wrong


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING


def at(body: Any, path: str) -> Any:
    """Return what lies at a path like `user.names.0` in a body of JSON; `_NOTHING` where nothing does."""
    for word in path.split("."):
        if isinstance(body, dict) and word in body:
            body = body[word]
        elif isinstance(body, list) and word.isdecimal() and int(word) < len(body):
            body = body[int(word)]
        else:
            return _NOTHING
    return body


def _equal(wanted: Any, came: Any) -> bool:
    """Compare as JSON does, where true is not 1; a text that is wanted may be a number there: places are texts."""
    if isinstance(wanted, str) and isinstance(came, (int, float)) and not isinstance(came, bool):
        return wanted == json.dumps(came)
    return json.dumps(wanted, sort_keys=True) == json.dumps(came, sort_keys=True)


# What later steps are given


def saved(
    save: Mapping[str, Mapping[str, str]], answer: Answer, jar: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the values that a step saves of its answer (`jar` holds the run's cookies), and what was not there."""
    found: dict[str, str] = {}
    wrong = []
    for name, source in save.items():
        ((kind, what),) = source.items()
        value = _taken(kind, what, answer, jar)
        if value is None:
            wrong.append(f"nothing to save as {name}: no {kind} {what!r} came")
        else:
            found[name] = value
    return found, wrong


def _taken(kind: str, what: str, answer: Answer, jar: Mapping[str, str]) -> str | None:
    if kind == "header":
        return answer.header(what)
    if kind == "cookie":
        return jar.get(what)
    if kind == "regex":
        match = re.search(what, answer.text, re.MULTILINE)
        return (match[1] if match.re.groups else match[0]) if match else None
    value = at(_parsed(answer.text), what)
    if value is _NOTHING or value is None or isinstance(value, (dict, list)):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def cookies(jar: Mapping[str, str], answer: Answer, *, now: float) -> dict[str, str]:
    """Return the cookies after an answer: those that it sets, without those that it takes back (RFC 6265, 5.2, 5.3).

    There is one site and one run, so that domain, path and `Secure` decide nothing. `now` is the time of day.
    """
    kept = dict(jar)
    for key, line in answer.headers:
        name, equals, value = line.partition(";")[0].partition("=")
        if key != "set-cookie" or not equals or not name.strip():
            continue
        attributes = {word.strip().lower(): text.strip() for word, _, text in _attributes(line)}
        if _over(attributes, now):
            kept.pop(name.strip(), None)
        else:
            kept[name.strip()] = value.strip()
    return kept


def _attributes(line: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in line.split(";")[1:]]


def _over(attributes: Mapping[str, str], now: float) -> bool:
    if re.fullmatch(r"-?\d{1,18}", attributes.get("max-age", "")):
        return int(attributes["max-age"]) <= 0
    try:
        return parsedate_to_datetime(attributes["expires"]).timestamp() <= now
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):  # none, or no date: the cookie stays
        return False


# What people are shown


def redacted(text: str, values: Sequence[str]) -> str:
    """Return `text` without these values, also as URLs, HTML and JSON write them."""
    found = {form for value in values if value for form in forms(value)}
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def forms(value: str) -> set[str]:
    """Return a value as it is, and as URLs, HTML, JSON and Python write it."""
    return {
        value,
        quote(value),
        in_url(value),
        quote_plus(value),
        html.escape(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }


def shown(wrong: Sequence[str], answer: Answer, private: Sequence[str]) -> str:
    """Return what is wrong and how the answer began, each cut to a length that people read.

    What is private goes first: half of a secret would not be found any more.
    """
    said = [_short(redacted(each, private)) for each in wrong]
    began = " ".join(redacted(answer.text, private).split())
    return "; ".join([*said, f"the answer begins: {_short(began)}"] if began else said)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
