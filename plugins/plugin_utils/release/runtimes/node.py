"""Dependencies of a Node application: its lock, and the tree of packages that npm makes of it, once for each lock.

The tree is packed as one file; hosts unpack it, and need neither npm nor a registry.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import building, git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import nearest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes import npm_lock
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import (
    Lock,
    filling,
    here,
    is_of,
    runs_on,
    tool_path,
)
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.npm_lock import TREE, WRITE
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.ranges import fits

FIT: tuple[str, ...] = ("node", "platform", "libc")
SYSTEM: tuple[str, ...] = ("nodejs",)
LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
FOR_SCRIPTS = ("LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "npm_config_nodedir")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
"""With PATH, all that the install script of a package sees of the driver's environment; secrets are not among it."""


def lock(commit: git.Commit, description: Mapping[str, Any]) -> Lock | None:
    """Return the lock; None for an application without dependencies."""
    package, named = git.show(commit, "package.json"), str(description["build"]["lock"])
    if named and named not in LOCKS:
        raise AnsibleError(f"build.lock is {named}; npm knows {' and '.join(LOCKS)} alone, beside package.json")
    texts = {name: git.show(commit, name) for name in ([named] if named else LOCKS)}
    name, text = next(((name, text) for name, text in texts.items() if text is not None), (named or LOCKS[-1], None))
    if text is None or package is None:
        if named or text is not None or (package and npm_lock.parsed("package.json", package).get("dependencies")):
            raise AnsibleError(f"package.json and {name} must both be in the commit: {WRITE}")
        return None
    npmrc = git.show(commit, ".npmrc")
    # Not the lock's text: the application's own version is in there, and changes with every release.
    what = [npm_lock.packages(name, text), npmrc, sorted(description["build"]["scripts"])]
    files = {"package.json": package, name: text, **({".npmrc": npmrc} if npmrc is not None else {})}
    return Lock(name, json.dumps(what, sort_keys=True), files)


def loose(commit: git.Commit, description: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return nothing: what npm's lock leaves open is told when it is read."""
    return []


def unfit(lock: Lock | None, tools: Mapping[str, str], description: Mapping[str, Any]) -> list[str]:
    """Return why hosts with these `tools` cannot run the application, and the way out.

    One that says itself which Node it runs on was tried there: then its dependencies are not asked.
    """
    node, wanted = tools["node_version"], str(description["runtime"]["version"])
    if not is_of(node, wanted):
        return [f"ferryman.yml wants Node {wanted} (runtime.version), the hosts have {node}"]
    if lock is None:
        return []
    own = npm_lock.engine(npm_lock.parsed("package.json", lock.files["package.json"]))
    if own:
        return [] if fits(node, own) else [f"package.json wants Node {own} (engines), the hosts have {node}"]
    wrong = npm_lock.unfit(npm_lock.packages(lock.name, lock.files[lock.name]), node)
    way_out = 'take older ones, or say in package.json that you have tried it: "engines": {"node": ">=..."}'
    return [*wrong, way_out] if wrong else []


def fill(directory: Path, lock: Lock, tools: Mapping[str, str], description: Mapping[str, Any]) -> None:
    """Fill `directory` with the tree of the lock for hosts with these `tools`, in one file.

    No code of a package runs, but for the install scripts of those that build.scripts names.
    """
    packages, scripts = npm_lock.packages(lock.name, lock.files[lock.name]), list(description["build"]["scripts"])
    _scripts(lock, scripts, packages, tools)
    wanted = npm_lock.target(tools)
    with filling(directory) as (work, found):
        for name, text in lock.files.items():
            (work / name).write_text(text, encoding="utf-8")
        (work / TREE).mkdir()
        _npm(lock, work, "ci", "--omit=dev", "--ignore-scripts", *(f"--{key}={value}" for key, value in wanted.items()))
        wrong = npm_lock.differing(packages, {path for path in packages if (work / path).is_dir()}, wanted)
        if wrong:
            version, hosts = _run("npm", "--version").strip(), ", ".join(wanted.values())
            raise AnsibleError(f"npm {version} did not take {npm_lock.some(wrong)} for {hosts}: take npm 10.3 or newer")
        if scripts:
            env = {name: value for name, value in os.environ.items() if name in FOR_SCRIPTS or name.lower() in PROXIES}
            _npm(lock, work, "rebuild", "--ignore-scripts=false", *scripts, env={**env, "HOME": str(work)})
        (work / TREE / ".package-lock.json").unlink(missing_ok=True)  # npm's own, with the registry's address in it
        _pack(work / TREE, found / f"{TREE}.tar.gz")


def _scripts(lock: Lock, scripts: list[str], packages: npm_lock.Packages, tools: Mapping[str, str]) -> None:
    """Refuse install scripts of packages that are not there, and such as build what would not load on the hosts."""
    names = {path.rpartition(f"{TREE}/")[2] for path in packages}
    for name in set(scripts) - names:
        raise AnsibleError(f"build.scripts names {name}, which is not in {lock.name}; {nearest(name, names)}")
    if not scripts:
        return
    mine, node = here(), _run("node", "--version").strip().lstrip("v")
    alike = (node.partition(".")[0], mine["platform"]) == (tools["node"], tools["platform"])
    if not alike or not runs_on(mine["libc"], tools["libc"]):
        raise AnsibleError(
            f"build.scripts would build on this machine for Node {node} on {mine['platform']} with {mine['libc']};"
            f" the hosts have Node {tools['node_version']} on {tools['platform']} with {tools['libc']}:"
            " major version and platform must be the same, and this C library no newer"
        )


def _npm(lock: Lock, work: Path, *words: str, env: Mapping[str, str] | None = None) -> None:
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    try:
        _run("npm", *words, *quiet, cwd=work, env=env)
    except subprocess.CalledProcessError as error:
        last = "\n".join((error.stdout + error.stderr).strip().splitlines()[-12:])
        raise AnsibleError(f"npm {words[0]} could not make what {lock.name} says:\n{last}") from None


def _run(program: str, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a tool of the driver: in the whole environment, npm's settings may be there, unless another one is given."""
    whole = {**(os.environ if env is None else env), "PATH": tool_path()}
    try:
        done = building.run([program, *words], cwd=cwd, env=whole)
        done.check_returncode()
    except FileNotFoundError:
        raise AnsibleError(f"there is no {program} on this machine, where packages are fetched: install Node") from None
    return done.stdout


def _pack(tree: Path, target: Path) -> None:
    """Write a tree as one file, the same bytes for the same tree."""
    with (
        gzip.GzipFile(target, "wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in [tree, *sorted(tree.rglob("*"))]:
            member = archive.gettarinfo(path, arcname=str(path.relative_to(tree.parent)))
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if member.isreg():
                with path.open("rb") as stream:
                    archive.addfile(member, stream)
            else:
                archive.addfile(member)
