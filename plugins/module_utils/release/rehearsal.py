"""The live release on restored data: started for a drill on a network of its own, asked, and taken away.

systemd starts this for whoever connects to the rehearsal's socket (role backup writes both units). The service has a
network in which nothing but its own loopback is, the release's process joins it, and every address there is local. So
the release runs with its own configuration and its own secrets, whatever they name: on the database's port the restored
one answers, everywhere else nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    expect,
    probe,
    relay,
    render,
    shift,
    slots,
    systemd,
    verify,
    verifying,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.database import RUNTIME_UNITS
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site

Answer = dict[str, Any]
LONGEST = 4096  # bytes of a request
FAILED, PASSED, LEFT_OUT, NOT_ASKED = "failed", "passed", "left out", "not asked"


def main(within: str, place: str, sites: Sequence[str]) -> None:
    """Answer who is connected to standard input: JSON in a line, by site.

    `within` is the unit that this is, `place` the directory where the restored database's socket is to appear; the
    request names it (`socket`), and the database's `port`.
    """
    connection = socket.socket(fileno=os.dup(0))
    request = json.loads(connection.makefile("rb").readline(LONGEST))
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    try:
        answers = _asked(within, Path(place), dict(request), sites)
    except (Failed, OSError) as error:
        answers = {site: answer(NOT_ASKED, str(error)) for site in sites}
    connection.sendall(json.dumps(answers).encode() + b"\n")


def answer(result: str, said: str, **more: Any) -> Answer:
    """Return what a drill writes down of an application."""
    return {"result": result, "said": said, "release": "", "asked": [], "evidence": [], **more}


def _end_with(connection: socket.socket) -> NoReturn:
    """End at once when whoever asked is gone: systemd then stops what belongs to this service."""
    with suppress(OSError):
        while connection.recv(LONGEST):
            pass
    os._exit(1)


def _asked(within: str, place: Path, request: Answer, sites: Sequence[str]) -> dict[str, Answer]:
    database = place / Path(str(request["socket"])).name
    beside = Path(os.environ["RUNTIME_DIRECTORY"])
    with _alone(Path("/run/lock") / f"ferryman-rehearsal-{place.name}"):
        for old in [path for path in place.iterdir() if path != database]:
            old.unlink()  # of a drill that was killed: sshd leaves them
        try:
            with relay.Network(database, int(request["port"]), beside):
                return {site: ask(Host(Site(site), run=str(request["run"])), within, beside) for site in sites}
        finally:
            database.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, and make a drill again"
            raise Failed("another drill asks the applications here at the moment", hint=hint) from None
        yield


def ask(host: Host, within: str, beside: Path) -> Answer:
    """Run the first web process of what is live, see it through its gate, and go through the steps of `verify`."""
    slot = str(shift.state(host)["stable"])
    release = slots.record(host, slot)
    web = next((i for i in slots.instances(host, slot, release) if i.kind == "web" and i.unit), None)
    if web is None:
        return answer(LEFT_OUT, "it has no process of its own" if release else "nothing is live")
    settings = read_json(host.site.settings / "rehearsal.json")
    if not settings:
        return answer(NOT_ASKED, "its host does not know how: `provision` tells it", release=str(release["id"]))
    told = answer(FAILED, "", release=str(release["id"]))
    web = slots.Instance(f"ferryman-rehearsal-{host.site.name}.service", web.name, web.process, 1, web.port)
    private = list(_secrets(host, render.all_secrets(release["manifest"]["description"])).values())
    began = time.time()
    try:
        with _running(host, release, web, within=within, beside=beside, since=began):
            probe.through(
                host,
                [web],
                consecutive=int(settings["health_consecutive"]),
                soak_s=float(settings["soak_s"]),
                timeout_s=float(settings["start_timeout_s"]),
            )
            told["said"] = f"{web.name} of {release['id']} is well on what was restored"
            _steps(host, release, web, settings, told, private)
    except (Failed, probe.Ill) as error:
        told["said"] = str(error)
    else:
        if verify.failed(told["asked"]):
            told["said"] = verify.sentence(verify.failed(told["asked"]))
        else:
            told["result"] = PASSED
    if told["result"] == FAILED:
        told["evidence"] = host.logs(web.unit, since=began)
    return dict(_shown(told, private))


@contextmanager
def _running(
    host: Host, release: Answer, web: slots.Instance, *, within: str, beside: Path, since: float
) -> Iterator[None]:
    """Have the process run meanwhile, and nothing of it be left."""
    path = RUNTIME_UNITS / web.unit
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        render.rehearsal(
            host.site, web.name, web.process, release=str(release["id"]), port=web.port, within=within,
            secrets=render.all_secrets(release["manifest"]["description"]), database=str(beside),
        ),
        encoding="utf-8",
    )  # fmt: skip
    try:
        host.systemctl("daemon-reload")
        systemd.start(host, [web.unit], since=since)
        yield
    finally:
        with suppress(Failed):
            host.systemctl("stop", web.unit, timeout=120)
        path.unlink(missing_ok=True)
        host.systemctl("daemon-reload")


def _steps(
    host: Host, release: Answer, web: slots.Instance, settings: Answer, told: Answer, private: list[str]
) -> None:
    """Go through the steps of `verify`; say in `told` what came of them, and in `private` what nobody is shown."""
    steps = release["manifest"]["description"].get("verify") or []
    given = _secrets(host, expect.secrets(steps))
    missing = expect.lacking(steps, given)
    if missing:  # the inventory has them, and gives a host what the application itself names
        told["said"] += f"; its steps were not asked: they need {', '.join(missing)}, which its host does not have"
    elif not steps:
        told["said"] += "; it has no steps under verify"
    if missing or not steps:
        return
    run = verify.run(
        steps,
        verifying.at_process("drill", (web.address, web.port), str(settings["domain"])),
        release=str(release["id"]),
        given=given,
        writes=bool(settings["writes"]),
        timeout_s=float(settings["verify_timeout_s"]),
    )
    private += [*given.values(), *run.private]
    told["asked"] = run.results
    passed = sum(each["result"] == verify.PASSED for each in run.results)
    told["said"] += f"; {passed} of {len(run.results)} steps passed, the others were left out"


def _shown(told: Any, private: list[str]) -> Any:
    """Return what is told without what is private, wherever in it: an answer or a log may have said it."""
    if isinstance(told, dict):
        return {key: _shown(value, private) for key, value in told.items()}
    if isinstance(told, list):
        return [_shown(value, private) for value in told]
    return expect.redacted(told, private) if isinstance(told, str) else told


def _secrets(host: Host, names: Sequence[str]) -> dict[str, str]:
    """Return those of these secrets that this host has."""
    found = {}
    for name in names:
        with suppress(FileNotFoundError):
            found[name] = (host.site.settings / "secrets" / name).read_text(encoding="utf-8")
    return found
