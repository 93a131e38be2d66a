"""A host of several, as the arbiter comes to it that drives a run: by a key for that run alone.

The key runs one command, whatever is asked: it does the steps of that run, and runs no code that is sent
(docs/decisions/0031-a-key-for-one-run.md).
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, provision
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json

STEPS = frozenset(
    {"mend", "stage", "snapshot", "migrate", "start", "leave_out", "switch", "share", "look", "draw_back", "say"}
    | {"workers", "hold", "settle", "return", "interrupt", "let_out"}
)
"""What a deploy has other hosts do than its arbiter."""
HOST_KEYS = "ssh_host_*_key.pub"
SSH = Path("/etc/ssh")
SUDOERS = Path("/etc/sudoers.d")


def require(request: Mapping[str, Any], site: str, run: str, token: int) -> None:
    """Fail where a request is not of the run that a key was let in for, or more than a deploy asks."""
    mine = (request["site"], request.get("run"), int(request.get("token", 0))) == (site, run, token)
    if not mine or request["act"] not in ("reach", "steps") or not STEPS.issuperset(request.get("steps", ())):
        reason, hint = f"this key does the steps of run {run} of {site}, and nothing else", "take a way in of your own"
        raise Failed(reason, hint=hint, refused=True)


def let_in(host: Host, told: Mapping[str, Any], body: IO[bytes]) -> dict[str, Any]:
    """Let the arbiter's key in for this run; return how it comes here: user, port, host_keys.

    It is `told` public_key, source (the arbiter's address, as it comes here), for_s, version (of the code in `body`,
    which is what the key may run).
    """
    code = names.CODE / told["version"]
    for place in (names.LIBRARY, names.CODE):  # a host of databases alone may have none yet
        host.directory(place)
    provision.leave_code(host, body.read(), version=told["version"])
    account = os.environ.get("SUDO_USER") or "root"  # by which whoever asks came here, before sudo
    told_by_sshd = _sshd(host, account)
    command = f"/usr/bin/python3 -I -B {code} driven {host.site.name} {host.run_id} {host.token}"
    as_root = "" if account == "root" else "sudo -n "
    until = time.strftime("%Y%m%d%H%M", time.localtime(time.time() + float(told["for_s"])))
    options = f'restrict,from="{told["source"]}",expiry-time="{until}",command="{as_root}{command}"'
    keys = _keys_of(account, told_by_sshd)
    if not host.check:
        way = {"run": host.run_id, "token": host.token, "keys": str(keys), "sudoers": str(_sudoers(host))}
        host.write_json(host.site.way, way)
        if as_root:
            _let_become_root(host, f"{account} ALL=(root) NOPASSWD: {command}\n")
        _write(keys, account, [*_others(host, keys), f"{options} {told['public_key']} {_mark(host)}"])
    host.journal("let_in", "done", account=account)
    host_keys = [" ".join(path.read_text(encoding="ascii").split()[:2]) for path in sorted(SSH.glob(HOST_KEYS))]
    return {"way": {"user": account, "port": int(told_by_sshd["port"]), "host_keys": host_keys}}


def let_out(host: Host) -> None:
    """Take back what was let in last for a run of this site; nothing where that is done already."""
    way = read_json(host.site.way)
    if way and not host.check:
        keys = Path(way["keys"])
        if keys.exists():
            _write(keys, keys.owner(), _others(host, keys))
        Path(way["sudoers"]).unlink(missing_ok=True)
        host.site.way.unlink()
        host.journal("let_out", "done", of=way["run"])


def let_out_former(host: Host) -> None:
    """Take back what a run before this one left, whose driver did not come to it."""
    if int(read_json(host.site.way).get("token", host.token)) < host.token:
        let_out(host)


def _mark(host: Host) -> str:
    return f"ferryman-drives-{host.site.name}"


def _sudoers(host: Host) -> Path:
    return SUDOERS / f"zz-{_mark(host)}"  # of all rules that fit, sudo takes the last; and no name of a site has a dot


def _sshd(host: Host, account: str) -> dict[str, str]:
    """Return what the SSH server here says of an account: of each setting the first word."""
    try:
        said = host.command("/usr/sbin/sshd", "-T", "-C", f"user={account},host=localhost,addr=127.0.0.1")
    except Failed as failed:
        reason, hint = f"its SSH server does not say how it lets {account} in: {failed}", "`sshd -t` there says why"
        raise Failed(reason, evidence=failed.evidence, hint=hint, refused=True) from None
    found: dict[str, str] = {}
    for words in map(str.split, said.splitlines()):
        if len(words) > 1:
            found.setdefault(words[0], words[1])
    return found


def _keys_of(account: str, told: Mapping[str, str]) -> Path:
    """Return the first file in which the SSH server looks for an account's keys; sshd_config(5), AuthorizedKeysFile."""
    home = pwd.getpwnam(account).pw_dir
    text = told.get("authorizedkeysfile", "none")
    if text == "none":
        hint = "leave out --detach, or let it read .ssh/authorized_keys (AuthorizedKeysFile in sshd_config)"
        raise Failed(f"its SSH server reads no file of keys of {account}", hint=hint, refused=True)
    for short, whole in (("%h", home), ("%u", account), ("%%", "%")):
        text = text.replace(short, whole)
    return (Path(home) / text).resolve()


def _others(host: Host, keys: Path) -> list[str]:
    """Return the lines of a file of keys that are nobody's business here."""
    with suppress(FileNotFoundError):
        return [line for line in keys.read_text(encoding="utf-8").splitlines() if not line.endswith(f" {_mark(host)}")]
    return []


def _write(keys: Path, account: str, lines: Sequence[str]) -> None:
    """Put a file of keys in place in one rename, as whose it is."""
    owner = pwd.getpwnam(account)
    if not keys.parent.exists():
        keys.parent.mkdir(mode=0o700)
        _give(keys.parent, owner)
    fresh = keys.with_name(f".{keys.name}.ferryman")
    fresh.touch(mode=0o600)
    fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with suppress(FileNotFoundError):
        fresh.chmod(keys.stat().st_mode & 0o7777)
    _give(fresh, owner)
    fresh.rename(keys)


def _give(path: Path, owner: pwd.struct_passwd) -> None:
    os.chown(path, owner.pw_uid, owner.pw_gid)


def _let_become_root(host: Host, rule: str) -> None:
    """Let the key's one command be root's, also where sudo asks people for a password."""
    path = _sudoers(host)
    fresh = path.with_name(f"{path.name}.new")  # sudo does not read it: it has a dot
    host.write(fresh, rule, mode=0o440)
    try:
        host.command("visudo", "-c", "-q", "-f", str(fresh))
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
