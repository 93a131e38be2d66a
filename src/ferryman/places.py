"""Where something stands in an environment's files, read as plain YAML: what Ansible's own reader does not tell."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ferryman import fitting
from ferryman.environments import Environment

# libyaml's parser where PyYAML was built with it: ten times as fast, with the same lines.
FASTEST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
GROUP = ("hosts", "children", "vars")
"""What a group of an inventory may hold."""
SAID = re.compile(r"\b(alias|anchor|handle) (['\"]).*?\2")
ENCRYPTED = ("!vault", "!vault-encrypted")
TAGS = (*ENCRYPTED, "!unsafe")
ENCRYPT = "`ansible-vault encrypt_string` prints what belongs there"
OF_YAML = "tag:yaml.org,2002:"
KINDS = {
    f"{OF_YAML}{tag}": kind
    for tag, kind in {
        "int": "a number", "float": "a number", "bool": "yes or no", "timestamp": "a date", "null": "nothing"
    }.items()
}  # fmt: skip
"""What YAML takes a word without quotes for that is no text, by its tag."""
NUMBERS = tuple(f"{OF_YAML}{name}" for name in ("int", "float", "timestamp"))
MERGE = f"{OF_YAML}merge"
Keys = tuple[Any, ...]


class Reader(FASTEST):  # type: ignore[misc]  # which of the two it is, only PyYAML knows
    """Plain YAML; a value with a tag of Ansible's (!vault, !unsafe) is None, and not looked at."""


Reader.add_multi_constructor("!", lambda *_: None)


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file; line 0 means that only the file is known."""

    file: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in an environment's files: where, which key, what is wrong, what would be right."""

    place: Place
    key: str
    wrong: str
    right: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.key} {self.wrong}" + (f"; {self.right}" if self.right else "")


def files(environment: Environment) -> list[Path]:
    """Return the files of an environment: its hosts, then its variables."""
    named = (environment.directory / name for name in ("group_vars", "host_vars"))
    return [environment.inventory, *(path for directory in named for path in variable_files(directory))]


def malformed(environment: Environment) -> Iterator[Problem]:
    """Return what no YAML reader takes, keys given twice (the first is lost in silence), and what is no group."""
    for path in files(environment):
        shown = relative(Place(path), environment).file
        try:
            text = path.read_text(encoding="utf-8")
            node = None if text.startswith("$ANSIBLE_VAULT") else yaml.compose(text, Loader=Reader)
        except yaml.MarkedYAMLError as error:
            yield Problem(Place(shown, line_of(error)), "the file", f"is not YAML: {said(error)}")
            continue
        except (UnicodeDecodeError, yaml.YAMLError):
            yield Problem(Place(shown), "the file", "is no text in UTF-8", "save it as one, without control characters")
            continue
        except RecursionError:
            yield Problem(Place(shown), "the file", "has too many maps or lists within each other", "wanted: a few")
            continue
        except OSError as error:
            yield Problem(Place(shown), "the file", f"cannot be read: {error.strerror}")
            continue
        yield from oddities(node, shown)
        if node is not None and not isinstance(node, yaml.MappingNode):
            yield Problem(
                Place(shown, node.start_mark.line + 1), "the file", "is no map", "wanted: `name: value` lines"
            )
        elif path == environment.inventory:
            yield from _groups(node, shown)
        else:
            yield from _names(node, shown)


def line_of(error: yaml.MarkedYAMLError) -> int:
    """Return the line on which a reader stumbled; 0 where it does not say."""
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 0


def said(error: yaml.MarkedYAMLError) -> str:
    """Return what the reader says, without words of the file: a password that begins with `*` is an alias to it."""
    told, mark, begun = str(error.problem or error.context), error.problem_mark, error.context_mark
    if mark and begun and begun.line < mark.line:  # a brace that is missing is missed on a later line
        told += f", in what begins at line {begun.line + 1}"
    return SAID.sub(r"\1 ... (a value that begins with one of YAML's signs is put in quotes)", told)


def _groups(node: yaml.Node | None, file: Path) -> Iterator[Problem]:
    """Return what stands where groups and hosts should: Ansible warns of it and goes on without."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        yield from _text(key, file)
        if isinstance(value, yaml.MappingNode):
            yield from _group(value, file)
        elif not _empty(value):
            yield _no_map(key, file, f"a group, with {', '.join(GROUP)}")


def _group(node: yaml.MappingNode, file: Path) -> Iterator[Problem]:
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):  # told with all that YAML takes for something else
            continue
        if key.value not in GROUP:
            right = fitting.nearest(key.value, GROUP)
            yield Problem(Place(file, key.start_mark.line + 1), key.value, "is nothing that a group has", right)
        elif key.value == "children":
            yield from _groups(value, file)
        if key.value in GROUP and not isinstance(value, yaml.MappingNode) and not _empty(value):
            yield _no_map(key, file, "names and what belongs to them")
        elif key.value == "hosts" and isinstance(value, yaml.MappingNode):
            yield from _hosts(value, file)
        elif key.value == "vars":
            yield from _names(value, file)


def _hosts(node: yaml.MappingNode, file: Path) -> Iterator[Problem]:
    for host, given in node.value:
        yield from _text(host, file)
        if not isinstance(given, yaml.MappingNode) and not _empty(given):
            yield _no_map(host, file, "a host's variables, or nothing")
        yield from _names(given, file)


def _text(key: yaml.Node, file: Path) -> Iterator[Problem]:
    """Return a name of a host or a group that YAML takes for something else: Ansible reads none of the file then."""
    if kind := KINDS.get(key.tag):
        wrong = f"{key.value} is no name: YAML reads {kind} here"
        yield Problem(Place(file, key.start_mark.line + 1), "the value", wrong, "put it in quotes")


def _names(node: yaml.Node | None, file: Path) -> Iterator[Problem]:
    """Return what stands where a variable's name should, and can be none: nothing would read it."""
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else []:
        if kind := KINDS.get(key.tag):
            wrong = f"is no name of a variable: YAML reads {kind} here"
            right = "a name begins with a letter, as in `port_8443`; rename it, or remove the line"
            yield Problem(Place(file, key.start_mark.line + 1), key.value or "the name", wrong, right)


def _no_map(key: yaml.Node, file: Path, wanted: str) -> Problem:
    name = key.value if isinstance(key, yaml.ScalarNode) else "the name"
    return Problem(Place(file, key.start_mark.line + 1), name, "is no map", f"wanted: {wanted}")


def _empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{OF_YAML}null"


def oddities(node: yaml.Node | None, file: Path, above: frozenset[int] = frozenset()) -> Iterator[Problem]:
    """Return what YAML takes and Ansible does not, or takes for something else, at any depth."""
    if node is None or id(node) in above:  # an anchor that holds itself
        return
    inside, here = above | {id(node)}, Place(file, node.start_mark.line + 1)
    if node.tag.startswith("!") and node.tag not in TAGS:
        yield Problem(here, "the value", "begins with `!`, which is a tag of YAML's", "put it in quotes")
    if node.tag in ENCRYPTED and not str(node.value).lstrip().startswith("$ANSIBLE_VAULT"):
        yield Problem(here, "the value", "is tagged !vault, and nothing encrypted follows", ENCRYPT)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from oddities(item, file, inside)
    elif isinstance(node, yaml.MappingNode):
        yield from _in_map(node, file, inside)
    elif isinstance(node, yaml.ScalarNode) and node.tag in NUMBERS:
        try:
            yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, OverflowError):
            yield Problem(here, "the value", "looks like a date or a number and is none", "put it in quotes")


def _in_map(node: yaml.MappingNode, file: Path, above: frozenset[int]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield Problem(Place(file, line), "the value", "begins with `{` or `[`", "put a template in quotes")
            continue
        if key.value in seen and key.value != "<<":
            yield Problem(Place(file, line), key.value, f"is given twice (first on line {seen[key.value]})", "keep one")
        if key.tag == MERGE and not isinstance(value, (yaml.MappingNode, yaml.SequenceNode)):
            yield Problem(Place(file, line), "the value", "of `<<` is no map", "wanted: a map to take over from")
        seen.setdefault(key.value, line)
        yield from oddities(value, file, above)


def variable_files(directory: Path) -> list[Path]:
    """Return the YAML files below a directory of variables in the order in which Ansible reads them, links too.

    A link that leads nowhere is none: nobody can read it, and the check tells it by its name.
    """
    found: list[Path] = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.is_dir():
            found += variable_files(path)
        elif path.suffix in (".yml", ".yaml") and path.is_file():
            found.append(path)
    return found


def named_files(base: Path) -> list[Path]:
    """Return the files of variables that a group's or a host's name leads to: `base` with an ending, and below it."""
    ended = [path for end in (".yml", ".yaml") if (path := base.with_name(base.name + end)).is_file()]
    return [*ended, *variable_files(base)]


def values(text: str) -> Any:
    """Return what a text in YAML holds; raises what PyYAML does."""
    return yaml.load(text, Reader)  # noqa: S506  # a SafeLoader, of libyaml's or of PyYAML's


def plain(path: Path) -> Any:
    """Return what a YAML file of Ferryman's own holds; read once in a process, so nobody may change it."""
    return _plain(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1024)
def _plain(text: str) -> Any:
    return values(text)


def outline(path: Path) -> Mapping[Keys, int]:
    """Return the line of each key of a YAML file, by the keys (and numbers, in lists) that lead to it.

    Of a key that is given twice it is the last, which wins. A file that cannot be read has no lines.
    """
    try:
        return _outline(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


@lru_cache(maxsize=4096)
def _outline(text: str) -> Mapping[Keys, int]:
    found: dict[Keys, int] = {}

    def note(node: yaml.Node, above: Keys) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                found[(*above, key.value)] = key.start_mark.line + 1
                note(value, (*above, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                found[(*above, number)] = value.start_mark.line + 1
                note(value, (*above, number))

    try:
        node = yaml.compose(text, Loader=Reader)
        if node is not None:
            note(node, ())
    except (yaml.YAMLError, RecursionError):
        return {}
    return found


def applications(environment: Environment) -> list[str]:
    """Return the names of the applications as far as files have them in clear, sorted; no mistake in them matters."""
    keys = [each for path in files(environment) for each in outline(path)]
    return sorted({str(each[-1]) for each in keys if each[-2:-1] == ("apps",) and each[-3:-2] in ((), ("vars",))})


def find_key(path: Path, name: str, within: Keys = (), *, host: str = "") -> Place | None:
    """Return the line where a file gives a variable, or the part of it that `within` leads to.

    In a file of variables it is a key at the top; in one of hosts it is a host's, else a group's. Where a part has no
    line of its own (a template gives it), the line of what holds it is returned.
    """
    lines = outline(path)
    for above in _holders(lines, name, host):
        where = (*above, name)
        for key in within:
            if (*where, key) not in lines and (*where, str(key)) not in lines:
                break
            where = (*where, key) if (*where, key) in lines else (*where, str(key))
        return Place(path, lines[where])
    return None


def _holders(lines: Mapping[Keys, int], name: str, host: str) -> list[Keys]:
    """Return where a variable may stand, the strongest first: the top, the host, groups from the innermost outwards."""
    holders = [keys[:-1] for keys in lines if keys and keys[-1] == name]
    own = [keys for keys in holders if keys[-2:] == ("hosts", host)]
    groups = sorted((keys for keys in holders if keys[-1:] == ("vars",)), key=len, reverse=True)
    return [*([()] if () in holders else []), *own, *groups]


def relative(place: Place, environment: Environment) -> Place:
    """Return the place as seen from the project's root, which is how people name files."""
    root = environment.directory.parent.parent
    return Place(place.file.relative_to(root), place.line) if place.file.is_relative_to(root) else place
