"""How an application's description and an inventory fit: pure, so that it is the same before a deploy and in one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect, render
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Finding, Path, Reader, nearest

SLOTS = 2  # both are up during a deploy
BASELINE = 1  # once more, where fresh processes of the old release are compared with


def unfit(
    told: Mapping[str, Any],
    text: Reader,
    app: str,
    *,
    env: Mapping[str, Any],
    secrets: Collection[str],
    has: Callable[[str], bool],
    hosts: Collection[str] = (),
) -> list[Finding]:
    """Return why nothing of this description can be deployed with what an inventory gives the application `app`.

    `text` is what the description was read from; `has` says whether a file is in the same commit; `hosts` are
    those of the groups app and entry.
    """
    found = []
    lock = told["build"]["lock"]
    if lock and not has(lock):
        found.append(_at(text, ("build", "lock"), f"names {lock!r}, which is not in the commit; commit it"))
    if told["name"] != app:
        found.append(_at(text, ("name",), f"is {told['name']!r}, the inventory calls it {app!r}"))
    if told["runtime"]["kind"] == "static" and len(hosts) > 1:
        wrong = (
            "is static: files are served by the nginx of the one host on which they lie, which is app and entry, and "
            f"here these are {', '.join(sorted(hosts))}; have a process serve them (python, node, binary)"
        )
        found.append(_at(text, ("runtime", "kind"), wrong))
    found += [Finding(f"apps.{app}.env", (name,), what) for name, what in description.unfit(env).items()]
    found += [
        _at(text, (kind, number), f"{name} has no value: apps.{app}.secrets must name it")
        for kind in ("secrets", "secret_env")
        for number, name in enumerate(told[kind])
        if name not in secrets
    ]
    found += [
        _at(text, ("verify", number), f"needs secret {name}, which has no value: apps.{app}.secrets must name it")
        for number, step in enumerate(told["verify"])
        for name in expect.secrets([step])
        if name not in secrets
    ]
    return found


def unnamed(told: Mapping[str, Any], text: Reader, absent: Iterable[int]) -> list[Finding]:
    """Return what is to be said of those under migrations.sql that name no file of the commit."""
    entries = told["migrations"]["sql"]
    wrong = "names {!r}, and no SQL file of the commit is called so; commit it, or leave it out"
    return [_at(text, ("migrations", "sql", number), wrong.format(entries[number])) for number in absent]


def doubtful(
    told: Mapping[str, Any], text: Reader, app: str, *, secrets: Collection[str], files: Collection[str]
) -> Iterator[Finding]:
    """Return what a deploy would do, and nobody can have meant: values that nothing reads, paths that cannot be.

    `files` are the paths of the application's tree.
    """
    known = [*render.all_secrets(told), *expect.secrets(told["verify"])]
    for name in secrets:
        if name not in known:
            wrong = f"is a secret that {text.source} does not name; {_nearest(name, known)}"
            yield Finding(f"apps.{app}.secrets", (name,), wrong)
    for number, name in enumerate(told["shared"]):
        above = ["/".join(name.split("/")[:length]) for length in range(1, name.count("/") + 1)]
        if told["build"]["root"] == "." and not set(above).isdisjoint(files):
            yield _at(text, ("shared", number), f"{name!r} cannot be: a part of it is a file of the commit")


def _at(text: Reader, keys: Path, wrong: str) -> Finding:
    return Finding(text.source, keys, wrong, text.line(keys))


def notes(told: Mapping[str, Any], place: str, app: str, *, database: bool, files: Sequence[str]) -> Iterator[str]:
    """Return what may be meant, and should be known."""
    if database and not told["migrations"]:
        yield f"{place}: {app} has a database and no migrations: nothing changes its schema in a deploy"
    if told["migrations"] and not database:
        # Its database may be a file, or somebody else's to look after.
        why = f"apps.{app} of the inventory names no database"
        yield f"{place}: {app} has migrations, and no dump is taken before them: {why}"
    for name in told["shared"]:
        inside = [path for path in files if path == name or path.startswith(f"{name}/")]
        if inside:
            yield f"{place}: {inside[0]} is committed and below the shared path {name!r}: it is left out of releases"


def needs(told: Mapping[str, Any], *, database: bool, baseline: bool = False) -> dict[str, Any]:
    """Return what a deploy may take of a host: bytes of memory, whose size is not limited, and connections.

    Both slots run meanwhile, and with a `baseline` the web processes once more. Of an application without a `database`
    in the inventory nobody connects to one.
    """
    memory, count, unlimited = 0, 0, []
    for name, process in told["processes"].items():
        if process["kind"] not in ("web", "worker"):
            continue
        places = SLOTS if process["kind"] == "web" or process["overlap"] else 1
        places += BASELINE if baseline and process["kind"] == "web" else 0
        copies = process["instances"] * places
        count += copies
        size = description.size_of(process["memory_max"])
        if size is None:
            unlimited.append(name)
        memory += copies * (size or 0)
    return {"memory_bytes": memory, "connections": count if database else 0, "unlimited": unlimited}


def _nearest(name: str, known: Collection[str]) -> str:
    return nearest(name, known) if known else "it names none"
