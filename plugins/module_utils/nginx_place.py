"""Put a configuration in place as a whole: written beside, tested as nginx will read it, linked in by a rename."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
from typing import Any, Callable

from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host

MAIN = "/etc/nginx/nginx.conf"
GENERATIONS = "/etc/nginx/ferryman-generations"
TRIAL = "/etc/nginx/.ferryman-trial.conf"  # in /etc/nginx: relative paths are relative to where the main file lies
PLACEHOLDER = "@generation@"
INCLUDE = re.compile(r"^(?P<indent>[ \t]*)include\s+(?P<path>[^;\s]+)\s*;", re.MULTILINE)
# After everybody else's where that exists: a site that is the default for port 443 today stays it.
PLACES = (("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/zz-ferryman.conf"),
          ("/etc/nginx/sites-enabled/*.conf", "/etc/nginx/sites-enabled/zz-ferryman.conf"),
          ("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/zz-ferryman.conf"))  # fmt: skip


def digest(files: dict[str, str], record: dict[str, Any]) -> str:
    """Return the name of a generation: equal content has an equal name, whoever writes it."""
    whole = json.dumps([files, record], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def merge(
    live: dict[str, dict[str, Any]], own: dict[str, dict[str, Any]], owner: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the record of all sites after `owner` has said which are its own, and what forbids that.

    Other owners' sites stay: several environments or teams may share a host, and each knows only its own.
    """
    kept = {name: site for name, site in live.items() if site["owner"] != owner}
    errors = [f"site {name} belongs to {kept[name]['owner']!r}, not to {owner!r}" for name in own if name in kept]
    taken = {domain: name for name, site in kept.items() for domain in site["domains"]}
    errors += [
        f"{domain} is served for site {taken[domain]} of {kept[taken[domain]]['owner']!r} already"
        for site in own.values()
        for domain in site["domains"]
        if domain in taken
    ]
    return {**kept, **{name: {**site, "owner": owner} for name, site in own.items()}}, errors


def read(directory: str) -> dict[str, str]:
    """Return {file name: text} of a generation as it was rendered, with the token for its own name."""
    name = os.path.basename(os.path.realpath(directory))
    found = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.conf"))):
        with open(path, encoding="utf-8") as file:
            found[os.path.basename(path)] = file.read().replace(name, PLACEHOLDER)
    return found


def write(files: dict[str, str], record: dict[str, Any]) -> str:
    """Write a generation beside the live one and return its directory; a half-written one is never taken for whole."""
    name = digest(files, record)
    directory = os.path.join(GENERATIONS, name)
    beside = f"{directory}.new"
    shutil.rmtree(beside, ignore_errors=True)
    os.makedirs(beside, mode=0o755)
    for file_name, text in {**files, host.RECORD: json.dumps(record, indent=1, sort_keys=True) + "\n"}.items():
        with open(os.path.join(beside, file_name), "w", encoding="utf-8") as file:
            file.write(text.replace(PLACEHOLDER, name))
            file.flush()
            os.fsync(file.fileno())
    shutil.rmtree(directory, ignore_errors=True)
    os.rename(beside, directory)
    return directory


def place(main: str) -> tuple[str, str]:
    """Return the include pattern of the main file that will reach us, and where our include file lies for it."""
    patterns = [found.group("path").strip("\"'") for found in INCLUDE.finditer(main)]
    for pattern, path in PLACES:
        for written in patterns:
            if os.path.join("/etc/nginx", written) == pattern:
                return written, path
    raise host.Problem(
        f"{MAIN} includes neither sites-enabled/* nor conf.d/*.conf, so nothing of ours would be served; "
        "add `include /etc/nginx/conf.d/*.conf;` to its http block"
    )


def trial(main: str, directory: str) -> str:
    """Return the main file with the pattern that reaches us spelt out, ours replaced by `directory` ("" for none)."""
    pattern, ours = place(main)
    others = [path for path in sorted(glob.glob(os.path.join("/etc/nginx", pattern))) if path != ours]
    lines = [f"include {path};" for path in [*others, *([f"{directory}/*.conf"] if directory else [])]]

    def spell_out(found: re.Match[str]) -> str:
        if found.group("path").strip("\"'") != pattern:
            return found.group()
        return found.group("indent") + " ".join(lines)

    return INCLUDE.sub(spell_out, main)


def complaint(directory: str) -> str:
    """Return what nginx says against the whole configuration with this generation in it; empty if it is sound."""
    with open(MAIN, encoding="utf-8") as file:
        text = trial(file.read(), directory)
    try:
        with open(TRIAL, "w", encoding="utf-8") as file:
            file.write(text)
        return host.refusal(TRIAL).replace(TRIAL, MAIN)
    finally:
        if os.path.exists(TRIAL):
            os.unlink(TRIAL)


def refuse_if_broken(directory: str) -> None:
    """Raise Problem with nginx's own words, saying whose fault it is."""
    found = complaint(directory)
    if not found:
        return
    elsewhere = complaint("")
    if elsewhere:
        raise host.Problem(
            "nginx's configuration on this host is broken, and not by Ferryman. Nothing was changed and what ran keeps "
            f"running, but nginx would not start again. Repair this first, then run again:\n{elsewhere}"
        )
    raise host.Problem(f"nginx refuses the new configuration; nothing was changed:\n{found}")


def link(directory: str) -> bool:
    """Make a generation the live one; return whether the include file had to be written."""
    with open(MAIN, encoding="utf-8") as file:
        _, path = place(file.read())
    beside = f"{host.LIVE}.new"
    if os.path.lexists(beside):
        os.unlink(beside)
    os.symlink(os.path.relpath(directory, os.path.dirname(host.LIVE)), beside)
    os.replace(beside, host.LIVE)
    text = f"# Ferryman's sites. Its directory is a link that changes as a whole.\ninclude {host.LIVE}/*.conf;\n"
    for _, other in PLACES:
        if other != path and os.path.exists(other):
            os.unlink(other)  # ours too, from when the main file included another directory
    return write_file(path, text, 0o644)


def unlink() -> None:
    """Leave no configuration of ours in place; the include file then includes nothing, which is sound."""
    if os.path.islink(host.LIVE):
        os.unlink(host.LIVE)


def write_file(path: str, text: str, mode: int, *, pretend: bool = False) -> bool:
    """Bring a small file to its text and mode by a rename; return whether it was different."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text and os.stat(path).st_mode & 0o7777 == mode:
                return False
    except FileNotFoundError:
        pass
    if pretend:
        return True
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    os.replace(beside, path)
    return True


def discard(directory: str) -> None:
    """Remove a generation that was refused, unless it is one that served before."""
    if os.path.realpath(host.LIVE) != os.path.realpath(directory):
        shutil.rmtree(directory)


def prune(keep: set[str]) -> None:
    for path in glob.glob(os.path.join(GENERATIONS, "*")):
        if os.path.basename(path) not in keep:
            shutil.rmtree(path)


# --- a change of one site, in place ---


def live(site: str) -> str:
    """Return the text of a site as it is in place; Problem where there is none."""
    try:
        return read(host.LIVE)[f"{site}.conf"]
    except KeyError:
        raise host.Problem(f"nginx serves no site {site!r} on this host: provision it first") from None


def rewrite(site: str, change: Callable[[str], str]) -> str:
    """Have nginx serve a site as `change` makes its text; return what was done to nginx.

    That is nothing, reloaded, or linked where nginx does not run (before it comes up at a boot): it begins with that.
    Raises Problem with everything as it was.
    """
    with host.locked():
        files = {**read(host.LIVE), f"{site}.conf": change(live(site))}
        sites = host.sites()
        record = {"format": 1, "sites": sites}
        name, before = digest(files, record), host.generation()
        running = host.run("systemctl", "is-active", "--quiet", "nginx").returncode == 0
        if name == before and not (running and host.unserved({site: sites[site]}, name)):
            return "nothing"
        directory = write(files, record) if name != before else os.path.realpath(host.LIVE)
        _put(directory, before, running=running)
        prune({name, before})
        return "reloaded" if running else "linked"


def _put(directory: str, before: str, *, running: bool) -> None:
    try:
        refuse_if_broken(directory)
    except host.Problem:
        discard(directory)
        raise
    link(directory)
    try:
        if running:
            host.reload()
    except host.Problem:
        link(os.path.join(GENERATIONS, before))
        host.reload()
        raise


def busy() -> bool:
    """Say whether a worker from before a reload still has a request under way."""
    return bool(host.workers("nginx: worker process is shutting down"))
