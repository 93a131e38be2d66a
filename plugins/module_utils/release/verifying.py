"""The application's own steps of `verify`, asked from a host: in a deploy and a rollback, and of what is live.

A request's `verify` holds secrets (by name), writes (the vantages where steps that write are run) and timeout_s; it is
missing where there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect, settling, shift, slots, verify
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, Unwell, deciding

Request = Mapping[str, Any]
Answer = dict[str, Any]
ITSELF = "127.0.0.1"
"""By whom a process is told that it is asked: by its own host."""


def at_slot(host: Host, request: Request, slot: str) -> Answer:
    """Ask the first web process of `slot` itself, before anybody is sent there; Unwell says which step was not well."""
    return _gate(host, request, slot, _at_slot(host, request, slot))


def through_entry(host: Host, request: Request, slot: str) -> Answer:
    """Ask through the entry of this host, after clients were sent to `slot`; not behind a maintenance page.

    The guard waits for as long as the steps may take: what they find is this run's to answer.
    """
    if request.get("verify") and not host.check:
        budget = min(request["verify"]["timeout_s"], sum(s["expect"]["within_s"] for s in _steps(request)))
        with deciding(host):
            settling.extend(host, by_s=budget + request["settings"]["confirm_s"])
    return _gate(host, request, slot, None if shift.hidden(host) else _through_entry(request))


def _gate(host: Host, request: Request, slot: str, place: verify.Place | None) -> Answer:
    """Let a release go on that satisfies its steps, and stop one that does not, with its own last log lines."""
    if not request.get("verify") or place is None or host.check:
        return {}
    steps, secrets, release = _steps(request), request["verify"]["secrets"], str(request["release"])
    asked = _asked(request, place, steps, release=release)
    results, bad = asked.results, verify.failed(asked.results)
    passed = sum(result["result"] == verify.PASSED for result in results)
    detail = {"vantage": place.vantage, "passed": passed, "left_out": len(results) - passed - bool(bad)}
    if bad:
        host.journal("verify", "failed", release=release, at=bad["name"], **detail)
        private = [*secrets.values(), *asked.private]
        evidence = [expect.redacted(line, private) for line in shift.app_logs(host, slot)]
        raise Unwell(verify.sentence(bad), evidence=evidence)
    host.journal("verify", "done", release=release, **detail)
    seconds = round(sum(result["seconds"] for result in results), 3)
    return {"verified": {place.vantage: {**detail, "seconds": seconds}}}


def probed(request: Request, listens: tuple[str, int], *, release: str) -> dict[str, bool]:
    """Go through the steps at one process, but for those that write; return by name whether each was as expected."""
    place = at_process("slot", listens, str(request["entry"]["domain"]))
    results = verify.run(
        _steps(request),
        place,
        release=release,
        given=request["verify"]["secrets"],
        writes=False,
        timeout_s=request["verify"]["timeout_s"],
    ).results
    return {each["name"]: each["result"] == verify.PASSED for each in results if each["result"] != verify.LEFT_OUT}


def live(host: Host, request: Request) -> Answer:
    """Ask what is live, from each vantage of this host, and return the results with its steps and its release.

    Where it needs secrets that the request does not hold, nothing is asked, and `wants` names them. `maintenance` says
    whether clients get the maintenance page here, as who asks through the entry then does.
    """
    slot = str(shift.state(host)["stable"])
    record = slots.record(host, slot)
    steps = record.get("manifest", {}).get("description", {}).get("verify") or []
    answer: Answer = {"release": str(record.get("id", "")), "steps": steps, "results": [], "wants": []}
    answer["maintenance"] = "entry" in request["roles"] and shift.hidden(host)
    answer["wants"] = expect.lacking(steps, request["verify"]["secrets"])
    if answer["wants"] or not request["hosts"]:
        return answer
    for place in _places(host, request, slot):
        answer["results"] += _asked(request, place, steps, release=answer["release"]).results
    return answer


def _places(host: Host, request: Request, slot: str) -> list[verify.Place]:
    here = [_at_slot(host, request, slot)] if "app" in request["roles"] else []
    here += [_through_entry(request)] if "entry" in request["roles"] else []
    return [place for place in here if place]


def _asked(request: Request, place: verify.Place, steps: list[dict[str, Any]], *, release: str) -> verify.Run:
    wanted = request["verify"]
    return verify.run(
        steps,
        place,
        release=release,
        given=wanted["secrets"],
        writes=place.vantage in wanted["writes"],
        timeout_s=wanted["timeout_s"],
    )


def _steps(request: Request) -> list[dict[str, Any]]:
    return list(request["description"].get("verify") or [])


def _at_slot(host: Host, request: Request, slot: str) -> verify.Place | None:
    web = next((i for i in slots.instances(host, slot, slots.record(host, slot)) if i.port), None)
    return at_process("slot", (web.address, web.port), str(request["entry"]["domain"])) if web else None


def at_process(vantage: str, listens: tuple[str, int], domain: str, *, client: str = ITSELF) -> verify.Place:
    """Return where a web process is asked itself, at its own address and port, for what is served as `domain`.

    `client` is the address that it is told to be asked by.
    """
    # What the entry says of a request, so that an application takes this one for a client's.
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": client, "X-Forwarded-Host": domain}
    return verify.Place(vantage, *listens, domain, headers=headers)


def _through_entry(request: Request) -> verify.Place:
    entry = request["entry"]
    name = str(entry["domain"])
    return verify.Place("entry", "127.0.0.1", int(entry.get("port", 443)), name, name=name, tls=shift.looking())
