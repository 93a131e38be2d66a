"""What share of the clients an entry sends to which slot: changed by renaming a link, confirmed or undone.

The share is the percentage of buckets on green (docs/decisions/0001-formats.md). Every shift is begun with a deadline
that the guard keeps: whoever drives may vanish at any moment.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, slots, timed
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, Unwell, now, read_json, utc

if TYPE_CHECKING:
    import ssl

BUCKETS = 100
NOBODY = range(0)
AGAIN_S = 0.3
"""After so long a bad answer is looked at once more."""
SLOT_PATH = "/.well-known/ferryman/slot"
OF_A_SHIFT = ("deadline", "boot", "asks", "seal", "confirm_s", "patience_s", "drawn_back", "mends", "undoes")
"""What is known of a shift only as long as it is pending."""


def state(host: Host) -> dict[str, Any]:
    """Return the shift state of this entry; before the first deploy blue is stable and holds nothing."""
    return read_json(host.site.state / "shift.json") or {
        "format": 1,
        "stable": "blue",
        "candidate": None,
        "release_stable": "",
        "release_candidate": "",
        "share": 0,
        "phase": "stable",
    }


def share(host: Host) -> int:
    """Return the percentage of buckets that go to green, as nginx sees it."""
    with suppress(OSError, ValueError):
        return int(Path(os.readlink(host.site.state / "share")).name.partition("+")[0])
    return 0


def full(slot: str) -> int:
    """Return the share at which everyone is served by `slot`."""
    return BUCKETS if slot == "green" else 0


def is_entry(host: Host) -> bool:
    """Say whether this host sends clients anywhere: provisioning gives an entry its first share."""
    return (host.site.state / "share").is_symlink()


def set_share(host: Host, percent: int, *, baseline: range = NOBODY) -> None:
    """Send `percent` of the buckets to green from the next request on; no reload, no connection closed.

    Those of `baseline` go to fresh processes of their slot's release. Both are one link: whoever sets a share, be it to
    go back, ends the baseline with it.
    """
    name = f"{percent}+{baseline[0]:02d}-{baseline[-1]:02d}" if baseline else str(percent)
    files = [f"{each:02d}" for each in range(percent)] + [f"{names.BASELINE}-{each:02d}" for each in baseline]
    place = host.site.state / "sets" / name
    if not host.check and len(list(place.glob("*[0-9][0-9]"))) != len(files):
        place.mkdir(parents=True, exist_ok=True)
        for file in files:
            (place / file).touch()
    partial = host.site.state / "partial"
    if 0 < percent < BUCKETS:
        host.write(partial, "")
    host.link(host.site.state / "share", f"sets/{name}")
    if percent in (0, BUCKETS):
        host.remove(partial)


def keep(host: Host, state: Mapping[str, Any]) -> None:
    """Write down the shift state, for root alone and in no diff: by the seal in it the arbiter's word is known."""
    host.write_json(host.site.state / "shift.json", state, mode=0o600, secret=True)


def begin(
    host: Host,
    *,
    slot: str,
    release: str,
    confirm_s: float,
    asks: Mapping[str, Any] | None = None,
    seal: str = "",
    patience_s: float = 0,
    mends: Sequence[str] = (),
    undoes: str = "",
) -> None:
    """Write down that a shift to `slot` begins and until when it must be confirmed; from here on the guard watches.

    `asks` says whom the guard asks how it ended (commits.ask), `seal` by what an arbiter's answer to that is known.
    `patience_s` is what others may take beside: so much later than the deadline, from which on it asks, it is in doubt.
    `mends` are the app hosts that get clients again once it is committed, `undoes` is the run that it brings back.
    Failed where the guard does not start: nobody is moved that nobody would bring back.
    """
    before = state(host)
    moment = now()
    after = {
        **before,
        "candidate": slot,
        "release_candidate": release,
        "phase": "shifting",
        "run": host.run_id,
        "token": host.token,
        "boot": moment.boot,
        "deadline": moment.boottime + confirm_s,
        "since": utc(),
        **({"asks": dict(asks), "confirm_s": confirm_s, "patience_s": patience_s} if asks else {}),
        **({"seal": seal} if seal else {}),
        **({"mends": [*mends]} if mends else {}),
        **({"undoes": undoes} if undoes else {}),
    }
    if before["stable"] == slot:
        raise Failed(f"slot {slot} is the stable one already", refused=True)
    keep(host, after)
    host.write(host.site.pending, "")
    host.systemctl("start", "ferryman-guard.service")
    host.journal("switch", "started", release=release, slot=slot, confirm_s=confirm_s)


def known_of(state: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Return how this host hears of the end of a run (asks), or proves it to others (seal), also once that is settled.

    And which run it brought back (undoes). Of one host nobody asks, and there is nothing.
    """
    was = state.get("stable_run", {})
    known = was if was.get("run") == run else state
    return {key: known[key] for key in ("asks", "seal", "undoes") if key in known}


def let_go(host: Host) -> None:
    """Let nothing be pending any more, but an exchange of databases, which the guard looks after to its end."""
    if not host.site.exchange.exists():
        host.remove(host.site.pending)


def confirm(host: Host, *, slot: str, release: str, left: Mapping[str, Any] | None = None) -> None:
    """Make `slot` the stable one, and let go; `left` says which slot clients have left when, now the other one.

    By whom it was committed is kept (`stable_run`): others ask the arbiter after a boot whether that still counts.
    """
    known = known_of(state(host), host.run_id)
    if is_entry(host):
        set_share(host, full(slot))
    keep(
        host,
        {
            "format": 1,
            "stable": slot,
            "candidate": None,
            "release_stable": release,
            "release_candidate": "",
            "share": full(slot),
            "phase": "stable",
            "run": host.run_id,
            "token": host.token,
            "since": utc(),
            **({"stable_run": {"run": host.run_id, **known}} if known else {}),
            "left": left or {"slot": names.other(slot), "boot": now().boot, "at": now().boottime},
        },
    )
    let_go(host)


def draw_back(host: Host) -> None:
    """Send everyone to the stable slot while the shift stays pending: a verdict has fallen, its run ends it.

    It is written down first that somebody had been sent elsewhere, who may have something under way there.
    """
    before = state(host)
    keep(host, {**before, "drawn_back": True})
    set_share(host, full(before["stable"]))


def give_back(host: Host, *, reason: str) -> bool:
    """Send everyone to the stable slot; return whether anybody had been sent elsewhere."""
    before = state(host)
    # Where the entries are elsewhere, they may have sent somebody here as soon as the shift had begun.
    moved = str(before["phase"]) != "stable"
    if is_entry(host):
        moved = share(host) != full(before["stable"]) or bool(before.get("drawn_back"))
        set_share(host, full(before["stable"]))
    if before["phase"] != "stable":
        left = {"slot": before["candidate"], "boot": now().boot, "at": now().boottime}
        kept = {key: value for key, value in before.items() if key not in OF_A_SHIFT}
        keep(
            host,
            {
                **kept,
                "candidate": None,
                "release_candidate": "",
                "phase": "stable",
                "share": full(before["stable"]),
                "left": left,
            },
        )
        host.journal("return", "done", release=str(before["release_candidate"]), reason=reason, moved=moved)
    return moved


def agree(host: Host, *, slot: str, release: str) -> None:
    """Have `slot` for the stable one, as the arbiter has, on a host that nothing is pending on; a new one has none yet.

    What of `release` is missing here the run brings that found it out.
    """
    before = state(host)
    if (before["stable"], before["release_stable"]) != (slot, release):
        confirm(host, slot=slot, release=release, left=before.get("left"))  # nobody was moved by this


def stand_in(host: Host) -> None:
    """Send everyone to the stable slot until it is known how a shift ended: that is decided elsewhere, and not now."""
    before = state(host)
    if is_entry(host):
        set_share(host, full(before["stable"]))
    if before["phase"] != "doubt":
        keep(host, {**before, "phase": "doubt", "share": full(before["stable"])})
        host.journal("doubt", "started", release=str(before["release_candidate"]), asked=before["asks"]["address"])


def drained_in(host: Host, slot: str, *, drain_s: float) -> float:
    """Return how many seconds `slot` must still be left alone.

    Uploads that began on it may be in flight, and no connection shows it.
    """
    left = state(host).get("left") or {}
    if left.get("slot") != slot or left.get("boot") != now().boot:
        return 0.0
    return max(0.0, float(left["at"]) + drain_s - now().boottime)


# Read back from outside


def looking() -> ssl.SSLContext:
    """Return what a host asks its own entry with.

    The name on the certificate is checked when `certificate.info` says what is served; here it is the way that is
    looked at.
    """
    import ssl  # takes time, and few sessions ask an entry

    # Not the default context, which would load the system's authorities each time.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def get(
    entry: Mapping[str, Any],
    path: str,
    *,
    cookie: str = "",
    timeout_s: float = 5,
    address: str = "127.0.0.1",
    method: str = "GET",
    most: int = 65536,
) -> tuple[int, dict[str, str], str]:
    """Ask this entry for `path` as a client would, and return status, headers and the first `most` bytes.

    OSError where it does not answer, not all of it within `timeout_s`, or nothing that is HTTP.
    """
    import http.client  # as for `looking`

    headers = {
        "Host": str(entry["domain"]),
        "Connection": "close",
        "User-Agent": "ferryman-verify",
        **({"Cookie": cookie} if cookie else {}),
    }
    until = time.monotonic() + timeout_s
    with (
        timed.connected(address, int(entry.get("port", 443)), until=until) as raw,
        looking().wrap_socket(raw, server_hostname=str(entry["domain"])) as stream,
    ):
        # Else the request waits until the end of the handshake is acknowledged: 40 ms each time.
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(str(entry["domain"]))
        connection.sock = timed.Timed(stream, until=until)
        try:
            connection.request(method, path, headers=headers)
            reply = connection.getresponse()
            text = reply.read(most).decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, text


def hidden(host: Host) -> bool:
    """Return whether this entry shows the maintenance page in the place of the application."""
    return (host.site.state / "maintenance").exists()


def served_slots(host: Host, entry: Mapping[str, Any], buckets: list[int]) -> dict[int, str]:
    """Return which slot this entry would send each of `buckets` to, as it says itself to a client."""
    name = f"ferryman_{host.site.name.replace('-', '_')}_bucket"
    answered: dict[int, str] = {}
    for bucket in buckets:
        status, _, text = get(entry, SLOT_PATH, cookie=f"{name}={bucket:02d}")
        if status != 200:
            raise Failed(
                f"the entry answers {status} for {SLOT_PATH}",
                hint="`provision` puts the entry's configuration in place",
            )
        answered[bucket] = str(json.loads(text)["slot"])
    return answered


def read_back(host: Host, entry: Mapping[str, Any], expected: Mapping[int, str]) -> None:
    """See from outside that the entry sends clients of these buckets where they are `expected`."""
    try:
        seen = served_slots(host, entry, sorted(expected))
    except (OSError, ValueError) as error:
        raise Failed(f"https://{entry['domain']} does not answer: {error}") from None
    wrong = [f"{bucket:02d} to {slot}" for bucket, slot in seen.items() if slot != expected[bucket]]
    if wrong:
        said = f"the entry sends clients elsewhere than it was told: {', '.join(wrong)}"
        raise Failed(said, hint="`provision` puts the entry's configuration in place")


def verify(host: Host, entry: Mapping[str, Any], description: Mapping[str, Any], *, slot: str, release: str) -> None:
    """See from outside that everyone is served by `slot`, and by `release` where the application tells its version.

    Everything that the application wants checked is asked for, as a client would; not behind a maintenance page. One
    bad answer decides nothing, two in a row do.
    """
    try:
        _seen_once(host, entry, description, slot=slot, release=release)
    except Failed:
        time.sleep(AGAIN_S)
        _seen_once(host, entry, description, slot=slot, release=release)


def _seen_once(
    host: Host, entry: Mapping[str, Any], description: Mapping[str, Any], *, slot: str, release: str
) -> None:
    version = description.get("health", {}).get("version") or {}
    processes = description.get("processes", {}).values()
    ready = next((p["health"]["path"] for p in processes if p["kind"] == "web" and p.get("health")), "/")
    try:
        elsewhere = {bucket: seen for bucket, seen in served_slots(host, entry, [0, 37, 99]).items() if seen != slot}
        if elsewhere:
            raise Failed(f"the entry still sends clients to {sorted(set(elsewhere.values()))[0]}, not to {slot}")
        if hidden(host):
            return
        for check in description.get("health", {}).get("checks", []):
            _good(host, entry, check, slot)
        path = str(version.get("path") or ready)
        status, _, text = get(entry, path)
    except (OSError, ValueError) as error:
        raise Failed(
            f"https://{entry['domain']} does not answer: {error}", evidence=slots.logs(host, slot, "nginx.service")
        ) from None
    if status >= 400:
        raise Unwell(f"https://{entry['domain']}{path} answers {status}: {text[:200]}", evidence=app_logs(host, slot))
    if version.get("path"):
        _right_version(host, entry, slot=slot, version=version, text=text, release=release)


def _good(host: Host, entry: Mapping[str, Any], check: Mapping[str, Any], slot: str) -> None:
    status, _, text = get(entry, str(check["path"]), timeout_s=float(check["timeout_s"]))
    if status != int(check["status"]):
        where = f"https://{entry['domain']}{check['path']}"
        raise Unwell(f"{where} ({check['name']}) answers {status}: {text[:200]}", evidence=app_logs(host, slot))


def _right_version(
    host: Host, entry: Mapping[str, Any], *, slot: str, version: Mapping[str, Any], text: str, release: str
) -> None:
    try:
        seen = json.loads(text).get(str(version["key"]))
    except (ValueError, AttributeError):
        raise Unwell(
            f"https://{entry['domain']}{version['path']} does not answer with a JSON object: {text[:120]}",
            evidence=app_logs(host, slot),
        ) from None
    if seen != release:
        # A slot that died shows like this too: the entry then serves the other one.
        raise Unwell(
            f"https://{entry['domain']}{version['path']} says {version['key']} = {seen!r}, not {release!r}",
            evidence=app_logs(host, slot),
        )


def app_logs(host: Host, slot: str) -> list[str]:
    """Return the last log lines of what serves requests in a slot."""
    units = [i.unit for i in slots.instances(host, slot, slots.record(host, slot)) if i.kind == "web"]
    return [line for unit in units for line in slots.logs(host, slot, unit, lines=8)]
