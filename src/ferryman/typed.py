"""What was typed, looked at before Invoke reads it: its own words for a mistake are made for programmers."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ferryman.errors import Stop

FLAG = re.compile(r"Flag <Argument: ([\w-]+)")
UNKNOWN = re.compile(r"No idea what '(.*)' is!")


def name_positionals(words: list[str], collection: Any) -> list[str]:
    """Return `words` with those after a task that are no options of it given to its positionals by name.

    Invoke gives words only to positionals without a default, and such a one swallows `--help`. So every positional
    here has a default, and `test unit` is read as `test --what unit`. One that is a list takes all that are left.
    """
    named: list[str] = []
    left: list[str] = []
    known: dict[str, Any] = {}
    lists: Collection[str] = ()
    first = value = False
    for word in words:
        if value or word.startswith("-"):
            value = not value and "=" not in word and word in known and known[word].takes_value
            named.append(word)
        elif left and (first or word not in collection.task_names):
            name = left[0] if left[0] in lists else left.pop(0)
            named += [f"--{name.replace('_', '-')}", word]
        else:
            task = collection[word] if word in collection.task_names else None
            left, lists = (list(task.positional or []), task.iterable) if task else ([], ())
            known = options(task) if task else {}
            named.append(word)
            first = bool(task)
            continue
        first = False
    return named


def options(task: Any) -> dict[str, Any]:
    """Return the options of a task as they are typed, each with what Invoke knows of it."""
    arguments = task.get_arguments(ignore_unknown_help=True)
    return {f"{'--' if len(name) > 1 else '-'}{name}": each for each in arguments for name in each.names}


def require_values(words: Sequence[str], tasks: Mapping[str, Any], everywhere: Collection[str], program: str) -> None:
    """Refuse an option of a task without its value, or with one that is no number where a number is wanted.

    `everywhere` are the options of every command: what reads like one of those, or of the task, is no value.
    """
    known: dict[str, Any] = {}
    command = ""
    left = list(words)
    while left:
        word = left.pop(0)
        if word in tasks:
            command, known = word, options(tasks[word])
            continue
        flag, given, value = word.partition("=")
        option = known.get(flag)
        if option is None or not option.takes_value:
            continue
        if not given:
            absent = not left
            value = "" if absent else left.pop(0)  # an empty one is a value: a pipeline's variable that says nothing
            if absent or value.partition("=")[0] in {*known, *everywhere}:
                after = f", and {value} is an option itself" if value else ""
                raise Stop(f"{flag} needs a value{after}", hint=_helps(program, command))
        if option.kind is int and not re.fullmatch(r"[+-]?\d+", value.strip()):
            raise Stop(f"{flag} wants a number, and {value!r} is none", hint=_helps(program, command))


def _helps(program: str, command: str) -> str:
    return f"`{program} {command} --help` says what it takes"


def misread(error: Exception, command: str) -> str:
    """Return what Invoke says of words that it can't read, for people; `command` is the one that they stand after."""
    said = str(error)
    if flag := FLAG.match(said):
        return f"--{flag[1]} needs a value"
    if not (unknown := UNKNOWN.fullmatch(said)):
        return said
    if command:
        return f"{command} takes no {unknown[1]!r}"
    if unknown[1].startswith("-"):
        return f"{unknown[1]} is not for the program, but for a command"
    return f"there is no command {unknown[1]!r}"


def unread(error: Exception) -> str:
    """Return the word that Invoke could not read, without a value after its `=`; empty where it says something else."""
    found = UNKNOWN.fullmatch(str(error))
    return found[1].partition("=")[0] if found else ""


def near(word: str, known: Collection[str]) -> str:
    """Return which of those `known` a misspelt word may have meant, as the beginning of a hint; empty for none."""
    from difflib import get_close_matches

    return "".join(f"did you mean {each}? " for each in get_close_matches(word, known, n=1))


def moved(words: Sequence[str], tasks: Mapping[str, Any], program: str) -> str:
    """Return the line that was meant where options stand before the command that takes them."""
    command = next((word for word in words if word in tasks), "")
    if command and words[0].partition("=")[0] in options(tasks[command]):
        rest = [word for word in words if word != command]
        return f"`{program} {shlex.join([command, *rest])}`: options come after the command"
    return f"options come after the command: `{program} COMMAND --option`"
