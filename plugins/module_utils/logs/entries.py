"""One form for every line, whoever wrote it: time, app, process, slot, release, level, request id, message, fields.

Pure: lines come in as text or as journald's objects, entries go out.
"""

from __future__ import annotations

import json
import math
import re
import time
from calendar import timegm
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import unquote

from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import forms
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import is_called

Entry = dict[str, Any]

LEVELS = ("debug", "info", "warning", "error", "critical")
# Words of loggers in several languages, syslog's and nginx's.
WORDS = {
    "trace": "debug",
    "verbose": "debug",
    "notice": "info",
    "warn": "warning",
    "err": "error",
    "crit": "critical",
    "fatal": "critical",
    "panic": "critical",
    "alert": "critical",
    "emerg": "critical",
    "emergency": "critical",
}
NUMBERS = {10: "debug", 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"}  # pino's and bunyan's
PRIORITIES = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")  # syslog's 0 to 7
MESSAGE_MAX = 4000  # characters; what is longer is a dump, and one of them must not push everything else out
FIELDS_MAX = 4000
DEPTH_MAX = 50  # of an object; one that is deeper is kept as text, since whatever goes through it would end half-way
NGINX_ERROR = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)")
# The prefix is Debian's; what explains an error (DETAIL, STATEMENT ...) has one of its own, and goes on with it.
DATABASE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(?P<ms>\d+))? (?P<zone>\S+) \[\d+\] "
    r"(?:(?P<user>\S+)@(?P<database>\S+) )?"
    r"(?P<level>DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):  (?P<message>.*)",
    re.DOTALL,
)
DATABASE_LEVELS = {"LOG": "info", "FATAL": "error", "PANIC": "critical"}  # FATAL ends one session, PANIC the server
# gunicorn's "[time] [pid] [ERROR]", Flask's "[time] ERROR", Celery's "[time: ERROR/", uvicorn's "ERROR:  ", Python's
# "ERROR:name:" and "time ERROR"; a traceback names none.
NAMED = re.compile(
    r"(?:\[\d{4}-\d\d-\d\d [\d:.,]+: |(?:\[[^\]]*\] ?)*?(?:\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)? )?[\[(]?)"
    r"(?P<level>DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRIT|CRITICAL|FATAL|ALERT|EMERG)(?:[\]):/]|\s|$)"
    r"|Traceback \(most recent call last\):"
)
QUERY = re.compile(r"(request|referrer|upstream): \"([^\"?]*)\?[^\"]*\"")


@dataclass(frozen=True)
class Wanted:
    """What is looked for; an empty word asks for nothing. Times are seconds since 1970."""

    app: str = ""
    process: str = ""
    release: str = ""
    level: str = ""
    request_id: str = ""
    grep: str = ""
    since: Optional[float] = None
    until: Optional[float] = None

    def takes(self, entry: Entry) -> bool:
        """Say whether an entry is looked for."""
        return (
            (not self.app or entry["app"] == self.app)
            and (not self.process or entry["process"] == self.process)
            and (not self.release or (entry["release"] and is_called(entry["release"], self.release)))
            and (not self.request_id or entry["request_id"] == self.request_id)
            and (not self.level or LEVELS.index(entry["level"]) >= LEVELS.index(self.level))
            and self.is_in_time(entry["at"])
            and (not self.grep or re.search(self.grep, text_of(entry)) is not None)
        )

    def is_in_time(self, at: int) -> bool:
        """Say whether a time in microseconds is neither too early nor too late."""
        early = self.since is not None and at < round(self.since * 1e6)
        return not early and not (self.until is not None and at > round(self.until * 1e6))


def text_of(entry: Entry) -> str:
    """Return what --grep looks through: the message, and the fields as JSON."""
    fields = json.dumps(entry["fields"], ensure_ascii=False) if entry["fields"] else ""
    return f"{entry['message']} {fields}".rstrip()


def level(word: Any, otherwise: str = "info") -> str:
    """Return one of LEVELS for a word or a number of some logger."""
    if isinstance(word, (int, float)):
        return NUMBERS.get(int(word), otherwise)
    said = str(word).strip().lower()
    said = WORDS.get(said, said)
    return said if said in LEVELS else otherwise


def entry(at: int, **values: Any) -> Entry:
    """Return an entry of a time in microseconds since 1970, whole in all its keys, in JSON's own types."""
    made: Entry = {"at": at, "time": rfc3339(at), "app": "", "process": "", "slot": "", "release": "", "level": "info"}
    made.update(request_id="", message="", fields={})
    made.update(values)
    return made


def cut(entry: Entry) -> Entry:
    """Return an entry of bounded size. Secrets go before: half of one would not be found any more."""
    made = dict(entry)
    if len(made["message"]) > MESSAGE_MAX:
        made["message"] = made["message"][:MESSAGE_MAX] + "..."
    if len(json.dumps(made["fields"], default=str)) > FIELDS_MAX:
        made["fields"] = {"left_out": sorted(map(str, made["fields"]))[:50]}
    return made


def rfc3339(at: int) -> str:
    """Return a time in microseconds since 1970 as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1_000_000)) + f".{at % 1_000_000:06d}Z"


def of_application(text: str, at: int, priority: str, **known: Any) -> Entry:
    """Return what a process wrote: an object keeps its fields, any other line is a message.

    What is `known` of its origin wins over what the line says of it; its time is that of journald, one clock for all.
    """
    said = _object(text)
    if said is None:
        return entry(at, level=_named(text, priority), message=text.rstrip(), **known)
    message = _take(said, "message", "msg", "event")
    named = _take(said, "request_id", "requestId", "req_id")
    own = _take(said, "level", "severity", "levelname")
    told = {"release": str(_take(said, "release") or "")}
    told.update({key: value for key, value in known.items() if value})
    for key in ("app", "process", "slot"):
        told.setdefault(key, "")
    said.pop("time", None)
    words = message if isinstance(message, str) else "" if message is None else json.dumps(message, ensure_ascii=False)
    return entry(at, level=level(own, priority), request_id=str(named or ""), message=words, fields=said, **told)


def _named(text: str, otherwise: str) -> str:
    """Return the level that a line of text begins with, as loggers write it, else what is known otherwise."""
    found = NAMED.match(text)
    return level(found["level"] or "error", otherwise) if found else otherwise


def _object(text: str) -> Optional[dict[str, Any]]:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text, parse_constant=str, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and not _is_deep(found) else None


def _is_deep(value: Any, levels: int = DEPTH_MAX) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deep(each, levels - 1) for each in inner)


def _number(text: str) -> Any:
    """Return a number; what JSON has no number for stays text, since an answer must be read by others."""
    value = float(text)
    return value if math.isfinite(value) else text


def _take(said: dict[str, Any], *names: str) -> Any:
    """Take the first of several keys out of an object; the others stay what they are."""
    for name in names:
        if said.get(name) is not None:
            return said.pop(name)
    return None


def of_access_log(text: str, app: str) -> Optional[Entry]:
    """Return a request as the entry logged it; nothing for a line that is cut off or not the entry's."""
    said = _object(text)
    if said is None or not isinstance(said.get("epoch"), (int, float)):
        return None
    at = round(said.pop("epoch") * 1_000_000)
    for name in ("time", "service", "site"):
        said.pop(name, None)
    words = [str(said.get(name, "")) for name in ("method", "path", "status")]
    return entry(
        at,
        app=app,
        process="entry",
        slot=str(said.pop("arm", "") or ""),
        release=str(said.pop("release", "") or ""),
        level=level(said.pop("level", None)),
        request_id=str(said.pop("request_id", "") or ""),
        message=f"{' '.join(words)} {float(said.get('request_s') or 0) * 1000:.0f} ms",
        fields=said,
    )


def of_error_log(text: str, app: str, clock: Callable[[Any], float] = time.mktime) -> Optional[Entry]:
    """Return a complaint of nginx; nothing for a line that is none. Its time is the host's own, in whole seconds."""
    found = NGINX_ERROR.match(text)
    if not found:
        return None
    at = int(clock(time.strptime(found[1], "%Y/%m/%d %H:%M:%S"))) * 1_000_000
    # As in the access log: what follows a question mark is often personal.
    return entry(at, app=app, process="entry", level=level(found[2]), message=QUERY.sub(r'\1: "\2?..."', found[3]))


def of_database(text: str, app: str, clock: Callable[[Any], float] = time.mktime) -> Optional[Entry]:
    """Return what PostgreSQL wrote, over several lines where it did; nothing for what only goes on with another line.

    A time that is not UTC is the host's own.
    """
    found = DATABASE.match(text)
    if not found:
        return None
    read = timegm if found["zone"] in ("UTC", "GMT", "Etc/UTC") else clock
    at = int(read(time.strptime(found["time"], "%Y-%m-%d %H:%M:%S"))) * 1_000_000
    said = {key: found[key] for key in ("user", "database") if found[key]}
    word = DATABASE_LEVELS.get(found["level"]) or level(found["level"].rstrip("12345"))
    fraction = int((found["ms"] or "").ljust(6, "0")[:6])
    return entry(at + fraction, app=app, process="database", level=word, message=found["message"], fields=said)


def of_journal(record: Mapping[str, Any], origin: Mapping[str, Any]) -> Optional[Entry]:
    """Return an entry for one of journald's objects; nothing where it has no message.

    `origin` is what is known of where it comes from: app, process, slot, release.
    """
    text = words(record.get("MESSAGE"))
    if not text:
        return None
    at = int(record["__REALTIME_TIMESTAMP"])
    number = words(record.get("PRIORITY"))
    return of_application(text, at, PRIORITIES[int(number)] if re.fullmatch("[0-7]", number) else "info", **origin)


def words(value: Any) -> str:
    """Return a field of journald's as text: it writes what is no UTF-8 as numbers, and repeated fields as lists."""
    if isinstance(value, list):
        if value and all(isinstance(each, int) for each in value):
            return bytes(value).decode("utf-8", "replace")
        return words(value[-1]) if value else ""
    return "" if value is None else str(value)


# Secrets


def hidden(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what must not leave the host, longest first, with what stands for it: secrets, passwords in their URLs."""
    found: dict[str, str] = {}
    for name, value in values.items():
        parts = [value.strip(), *value.split()]
        for url in re.findall(r"://[^:/?#\s]*:([^@\s]+)@", value):
            parts += [url, unquote(url)]
        for part in (form for each in parts for form in sorted(forms(each))):
            if len(part) >= 6:  # shorter ones would tear holes into words
                found.setdefault(part, f"[secret {name}]")
    return sorted(found.items(), key=lambda pair: -len(pair[0]))


def without(value: Any, secrets: Sequence[tuple[str, str]]) -> Any:
    """Return a value with all secrets in it replaced, at any depth, in keys too."""
    if isinstance(value, str):
        for secret, instead in secrets:
            value = value.replace(secret, instead)
        return value
    if isinstance(value, dict):
        return {without(key, secrets): without(each, secrets) for key, each in value.items()}
    return [without(each, secrets) for each in value] if isinstance(value, list) else value
