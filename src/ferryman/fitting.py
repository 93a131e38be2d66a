"""Whether a value fits an option of a spec: each part judged alone, so that all misfits are found, each by its keys.

Pure: Ansible's own validator, which knows its types, is passed in. It alone would stop at the first misfit, name no
element of a list, and take a map or `yes` for text.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, NamedTuple

Option = Mapping[str, Any]
Validator = Callable[[str, Option, Any], list[str]]
"""Returns what is wrong with a value of an option of that name, as sentences."""
PARTS = ("options", "elements", "required", "no_log", "bounds")
TEXT = ("str", "path")
HIDDEN = "has a value that does not fit (not shown: it is a secret)"
CONVERTED = re.compile(r"unable to convert to (\w+)")
NONE_OF = {
    "int": "it is no whole number",
    "float": "it is no number",
    "bool": "it is neither true nor false",
    "list": "it is no list",
    "dict": "it is no map",
}
"""What a value is not that Ansible's validator could not convert: its own sentence is about Python."""
HUSHED = 4  # characters: what is shorter stands in every second word


class Misfit(NamedTuple):
    """What does not fit: the keys that lead to it from the value, what is wrong, what would be right."""

    within: tuple[Any, ...]
    wrong: str
    right: str


def misfits(name: str, option: Option, value: Any, validator: Validator) -> Iterator[Misfit]:
    """Return everything in `value` that does not fit `option`."""
    if value is None:
        if option.get("default", ...) is not None:
            yield Misfit((), "is empty", f"give it a value or remove the line; {wanted(option)}")
        return
    if problem := _no_scalar(option, value):
        yield Misfit((), problem, wanted(option))
        return
    whole = {key: part for key, part in option.items() if key not in PARTS}
    listed = option.get("type") == "list" and isinstance(value, list)
    if listed:  # of a list, choices are those of its elements
        whole.pop("choices", None)
    wrong = validator(name, whole, value)
    for message in wrong:
        # The validator prints values, and a secret must not be shown.
        yield Misfit((), HIDDEN if is_secret(option) else _told(message, value), wanted(option))
    if wrong:
        return
    if listed:
        yield from _in_list(name, option, value, validator)
    elif option.get("options") and isinstance(value, Mapping):
        yield from _in_map(option["options"], value, validator)
    elif outside(option.get("bounds") or {}, value):
        wrong_how = "is not of the form wanted" if "pattern" in option["bounds"] else "is out of bounds"
        yield Misfit((), wrong_how, wanted(option))


def outside(bounds: Mapping[str, Any], value: Any) -> bool:
    """Say whether a value of the right type is not as a role's bounds ask; as the role itself judges (host_bounds)."""
    if "pattern" in bounds:
        return not re.fullmatch(bounds["pattern"], str(value))
    if not bounds:
        return False
    number = float(value)
    return not (math.isfinite(number) and bounds.get("least", number) <= number <= bounds.get("most", number))


def allowed(bounds: Mapping[str, Any]) -> str:
    """Say what bounds allow."""
    if "means" in bounds:
        return str(bounds["means"])
    return f"from {bounds['least']} to {bounds['most']}" if "most" in bounds else f"{bounds['least']} or more"


def _in_list(name: str, option: Option, value: list[Any], validator: Validator) -> Iterator[Misfit]:
    of = {key: option[key] for key in ("options", "choices", "no_log", "bounds") if key in option}
    of |= {"type": option.get("elements", "raw"), "description": option.get("description", "")}
    for number, element in enumerate(value):
        for misfit in misfits(name, of, element, validator):
            yield misfit._replace(within=(number, *misfit.within))


def _in_map(options: Mapping[str, Option], value: Mapping[Any, Any], validator: Validator) -> Iterator[Misfit]:
    for key in value:
        if key not in options:
            yield Misfit((key,), "is not an option here", nearest(str(key), options))
    for key, option in options.items():
        if key in value:
            for misfit in misfits(key, option, value[key], validator):
                yield misfit._replace(within=(key, *misfit.within))
        elif option.get("required"):
            yield Misfit((), f"lacks {key}", wanted(option))


def _no_scalar(option: Option, value: Any) -> str:
    """Return what YAML made of a text or a number: `yes` is true, 3.10 is 3.1; Ansible would take them."""
    kind = option.get("type", "str")
    if kind in TEXT and (isinstance(value, (bool, float, list, dict)) or not isinstance(value, (str, int))):
        return f"must be text, YAML reads {_name(value)} here: put it in quotes"
    if kind in ("int", "float") and isinstance(value, bool):
        return f"must be a number, YAML reads {_name(value)} here"
    return ""


def _name(value: Any) -> str:
    """Return what YAML took a value for, in words of people who write YAML: Ansible has types of its own for each."""
    names = {bool: "yes or no", int: "a number", float: "a number", list: "a list", dict: "a map", date: "a date"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "something else")


def is_secret(option: Option) -> bool:
    """Say whether an option or any part of it is marked `no_log`."""
    parts = (option.get("options") or {}).values()
    return bool(option.get("no_log")) or any(is_secret(part) for part in parts)


def wanted(option: Option) -> str:
    """Say what would be right."""
    kind = option.get("type", "str")
    of = f" of {option['elements']}" if "elements" in option else ""
    choices = f", one of {', '.join(map(str, option['choices']))}" if option.get("choices") else ""
    choices += f", {allowed(option['bounds'])}" if "bounds" in option else ""
    description = option.get("description") or ""
    first = description if isinstance(description, str) else " ".join(description)
    return f"wanted: {kind}{of}{choices}" + (f" ({first.strip().rstrip('.')})" if first else "")


def nearest(word: str, known: Any) -> str:
    """Return what a misspelt word may have meant, else all there is."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"one of: {', '.join(map(str, known))}"


def _told(message: str, value: Any) -> str:
    """Return the validator's sentence without the value: its line is named, and a secret may have got there."""
    if kind := CONVERTED.search(message):
        return f"does not fit: {NONE_OF.get(kind[1], f'it is no {kind[1]}')}"
    shown = str(value)
    return "does not fit: " + " ".join((message.replace(shown, "...") if len(shown) >= HUSHED else message).split())


def secret_texts(option: Option, value: Any) -> Iterator[str]:
    """Return the texts in a value that its option, or the options of its parts, mark as secret."""
    if option.get("no_log"):
        yield from texts(value)
    for element in value if isinstance(value, list) else [value]:
        for key, part in (option.get("options") or {}).items() if isinstance(element, Mapping) else ():
            yield from secret_texts(part, element.get(key))


def hushed(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret in it replaced; one of less than four characters is none."""
    for secret in sorted((each for each in secrets if len(each) >= HUSHED), key=len, reverse=True):
        for shown in (secret, repr(secret)[1:-1]):
            text = text.replace(shown, "...")
    return text


def texts(value: Any) -> Iterator[str]:
    """Return every text in a value, however deep."""
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif isinstance(value, Iterable):
        for each in value:
            yield from texts(each)
    elif value is not None:
        yield str(value)
