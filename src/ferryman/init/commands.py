"""What a Procfile or a Dockerfile starts, as commands of ferryman.yml: words, with `{host}` and `{port}` in them."""

import json
import re
import shlex

LINE = re.compile(r"^([A-Za-z][A-Za-z0-9_-]*):[ \t]*(\S.*)$", re.MULTILINE)
PORT = re.compile(r"\$\{PORT(?::-\d+)?\}|\$PORT\b")
QUOTED = re.compile(r"'[^']*'|\"[^\"$`]*\"")
SHELL = re.compile(r"[$`|&;<>()*~#]|^\w+=")
INSTRUCTION = re.compile(r"^\s*(CMD|ENTRYPOINT|EXPOSE)\s+(.+)$", re.MULTILINE | re.IGNORECASE)
BINDS = {
    "gunicorn": (("-b", "--bind"), "--bind {host}:{port}"),
    "hypercorn": (("-b", "--bind"), "--bind {host}:{port}"),
    "uvicorn": (("--port", "--host", "--fd", "--uds"), "--host {host} --port {port}"),
    "waitress-serve": (("--port", "--listen"), "--host={host} --port={port}"),
}
FIXED = re.compile(r"(\{host\}:|(?<!\S)(?:(?:--port|--bind)[ =](?:\S*:)?|(?:--listen|-b)[ =]\S*:))\d{2,5}\b")
NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
TAKEN = ("migrate", "revision")  # names that Ferryman's own units have


def procfile(text: str) -> dict[str, str]:
    """Return the commands of a Procfile by name."""
    return {name: line.strip() for name, line in LINE.findall(text) if is_words(line)}


def is_words(line: str) -> bool:
    """Say whether a shell could split this into words."""
    try:
        return bool(shlex.split(line))
    except ValueError:
        return False


def dockerfile(text: str) -> tuple[str, list[str]]:
    """Return what a container would start, and the ports that it exposes; the last stage counts."""
    told: dict[str, str] = {}
    ports: list[str] = []
    for word, rest in INSTRUCTION.findall(text.replace("\\\n", " ")):
        if word.upper() == "EXPOSE":
            ports += re.findall(r"\b(\d{2,5})\b", rest)
        else:
            told[word.upper()] = _form(rest.strip())
    command = f"{told.get('ENTRYPOINT', '')} {told.get('CMD', '')}".strip()
    return (command if is_words(command) else ""), ports


def _form(text: str) -> str:
    """Return an instruction's words, whether written as JSON or as a shell's line."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return shlex.join(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else text


def adapted(line: str, *, ports: list[str] | None = None, web: bool = False) -> str:
    """Return a command that listens where Ferryman says, a port of its own aside; a shell runs one that needs it."""
    line = PORT.sub("{port}", line.removeprefix("exec ")).replace("0.0.0.0", "{host}")  # noqa: S104  # nobody binds to it here
    for port in ports or []:
        line = re.sub(rf"(?<![\w.]){port}(?!\w)", "{port}", line)
    if web and "{port}" not in line:  # a release has two slots, which listen at the same time
        line = FIXED.sub(r"\1{port}", line)
    if SHELL.search(QUOTED.sub("", line)):
        return f"sh -c {shlex.quote(line)}"
    first = shlex.split(line)[0]
    given, wanted = BINDS.get(first, ((), ""))
    if wanted and not any(word.startswith(given) for word in shlex.split(line)[1:]):
        return f"{line} {wanted}"
    return line


def process_name(name: str, taken: list[str]) -> str:
    """Return `name` as that of a process; empty if nothing is left of it, or it is taken."""
    short = re.sub(r"[^a-z0-9]", "", name.lower()).lstrip("0123456789")[:16]
    return short if NAME.fullmatch(short) and short not in (*taken, *TAKEN) else ""
