"""A host of several, as the arbiter comes to it that drives a run: by a key for that run alone.

The key runs one command, whatever is asked: it does the steps of that run, and runs no code that is sent
(docs/decisions/0031-a-key-for-one-run.md).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import keyfile, names, provision
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json

STEPS = frozenset(
    {"mend", "stage", "snapshot", "migrate", "withstand", "keep_schema", "start", "leave_out", "switch", "share"}
    | {"look", "draw_back", "say", "workers", "hold", "settle", "return", "interrupt", "let_out"}
)
"""What a deploy has other hosts do than its arbiter."""
HOST_KEYS = "ssh_host_*_key.pub"
SSH = Path("/etc/ssh")
SUDOERS = Path("/etc/sudoers.d")


def require(host: Host, request: Mapping[str, Any], site: str, run: str) -> None:
    """Fail where a request is not of the run that a key is let in for, or more than a deploy asks.

    Once the key was taken back, its time is over, or a newer run has come here, it opens nothing.
    """
    way = read_json(host.site.way) if (host.site.name, host.run_id) == (site, run) else {}
    mine = way.get("run") == run and way["token"] == host.token and time.time() < way["until"]
    if not mine or request["act"] not in ("reach", "steps") or not STEPS.issuperset(request.get("steps", ())):
        reason, hint = f"this key does the steps of run {run} of {site}, and nothing else", "take a way of your own"
        raise Failed(reason, hint=hint, refused=True)
    host.admit()


def let_in(host: Host, told: Mapping[str, Any], body: IO[bytes]) -> dict[str, Any]:
    """Let the arbiter's key in for this run; return how it comes here: user, port, host_keys.

    It is `told` public_key, source (the arbiter's address, as it comes here), for_s, version (of the code in `body`,
    which is what the key may run).
    """
    code, until = names.CODE / told["version"], time.time() + float(told["for_s"])
    for place in (names.LIBRARY, names.CODE):  # a host of databases alone may have none yet
        host.directory(place)
    provision.leave_code(host, body.read(), version=told["version"])
    account = os.environ.get("SUDO_USER") or "root"  # by which whoever asks came here, before sudo
    sshd = _sshd(host, account, told["source"])
    keys = keyfile.of(account, sshd.get("authorizedkeysfile", "none"))
    command = f"/usr/bin/python3 -I -B {code} driven {host.site.name} {host.run_id}"
    way = {"run": host.run_id, "token": host.token, "until": until, "account": account, "keys": str(keys)}
    host.write_json(host.site.way, {"format": 1, **way})
    if account != "root":
        _let_become_root(host, account, command, until)
        command = f"sudo -n {command}"
    expiry = time.strftime("%Y%m%d%H%M", time.localtime(until))
    options = f'restrict,from="{told["source"]}",expiry-time="{expiry}",command="{command}"'
    line = f"{options} {told['public_key']} {_mark(host)}".encode()
    keyfile.change(keys, account, lambda lines: [*_others(host, lines), line])
    host.journal("let_in", "done", account=account)
    host_keys = [" ".join(path.read_text(encoding="ascii").split()[:2]) for path in sorted(SSH.glob(HOST_KEYS))]
    return {"way": {"user": account, "port": int(sshd["port"]), "host_keys": host_keys}}


def let_out(host: Host, run: str) -> None:
    """Take back what was let in here for a run; nothing where that is done already, or another one's is let in."""
    way = read_json(host.site.way)
    if way.get("run") != run or host.check:
        return
    host.remove(_sudoers(host))
    host.remove(host.site.way)  # from here on the key opens nothing
    keyfile.change(Path(way["keys"]), way["account"], lambda lines: _others(host, lines))
    host.journal("let_out", "done", of=run)


def let_out_former(host: Host) -> None:
    """Take back what a run before this one left, whose driver did not come to it; whatever fails, this run goes on."""
    try:
        way = read_json(host.site.way)
        if int(way.get("token", host.token)) < host.token:
            let_out(host, way["run"])
    except (Failed, OSError, KeyError) as error:
        host.journal("let_out", "failed", reason=str(error))


def _mark(host: Host) -> str:
    return f"ferryman-drives-{host.site.name}"


def _others(host: Host, lines: Sequence[bytes]) -> list[bytes]:
    """Return the lines of a file of keys that are nobody's business here."""
    return [line for line in lines if not line.endswith(f" {_mark(host)}".encode())]


def _sudoers(host: Host) -> Path:
    return SUDOERS / f"zz-{_mark(host)}"  # of all rules that fit, sudo takes the last; and no name of a site has a dot


def _sshd(host: Host, account: str, source: str) -> dict[str, str]:
    """Return what the SSH server here says of an account that comes from an address: of each setting the first word."""
    try:
        said = host.command("/usr/sbin/sshd", "-T", "-C", f"user={account},host={source},addr={source}")
    except Failed as failed:
        reason, hint = f"its SSH server does not say how it lets {account} in: {failed}", "`sshd -t` there says why"
        raise Failed(reason, evidence=failed.evidence, hint=hint, refused=True) from None
    found: dict[str, str] = {}
    for words in map(str.split, said.splitlines()):
        if len(words) > 1:
            found.setdefault(words[0], words[1])
    return found


def _let_become_root(host: Host, account: str, command: str, until: float) -> None:
    """Let the key's one command be root's for as long as the key, also where sudo asks people for a password."""
    path, over = _sudoers(host), time.strftime("%Y%m%d%H%M%SZ", time.gmtime(until))
    fresh = path.with_name(f"{path.name}.new")  # sudo does not read it: it has a dot
    host.write(fresh, f"{account} ALL=(root) NOTAFTER={over} NOPASSWD: {command}\n", mode=0o440)
    try:
        host.command("visudo", "-c", "-q", "-f", str(fresh))
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
