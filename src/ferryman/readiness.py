"""Before a run: the environment is found and checked, and one of sandbox hosts is brought up.

What was found good is not read again until a file changes: a check costs as much as half a deploy.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ferryman import environments, fitting, interrupts, paths, places, secrets
from ferryman.environments import Environment
from ferryman.errors import Stop
from ferryman.progress import progress


def agreed(env: str, *, app: str | None) -> Environment:
    """Return the environment that `env` names, without a mistake in it; nothing is made for it yet: no host, no secret.

    Stop with everything that is wrong. An `app` that is given must be one of its applications, and must be named where
    there are several.
    """
    environment = environments.resolve(env)
    _require_agreement(environment, app)
    return environment


def make_ready(environment: Environment) -> None:
    """Make what a good environment still lacks: the hosts of its sandbox, and the secrets of `local`."""
    bring_up(environment)
    secrets.ensure_local(environment)


def make_plannable(environment: Environment) -> None:
    """Make the secrets of `local` that a good environment lacks, and no host: refused where a sandbox is not up."""
    require_sandbox(environment)
    secrets.ensure_local(environment)


def acted_on(env: str, *, app: str) -> Environment:
    """Return the environment that `env` names for an act on what it serves: without a mistake in it, and up already."""
    environment = environments.resolve(env)
    require_sandbox(environment)
    _require_agreement(environment, app)
    return environment


def _require_agreement(environment: Environment, app: str | None) -> None:
    with interrupts.nothing_touched():
        apps = _apps_of_a_good(environment)
        if app is not None:
            require_app(environment, app, list(apps))


def looked_at(env: str, *, app: str, one: bool = False) -> Environment:
    """Return the environment that `env` names for a look at its hosts, which no mistake in its files should prevent.

    Stop where its files name applications in clear, and `app` is none of them, or where `one` is looked at and it is
    not said which; and where its hosts are those of a sandbox that was never brought up, or taken down.
    """
    environment = environments.resolve(env)
    require_sandbox(environment)
    named = places.applications(environment)
    if (app or one) and named:
        require_app(environment, app, named)
    return environment


def unbegun(environment: Environment) -> str:
    """Return what to type after a run that ended before its first step: where its files are why, `check` says it."""
    from ferryman import agreement

    if agreement.survey(environment)[0]:
        return f"`{paths.command('check', environment.name)}` says what is wrong in its files, line by line"
    return "the guide `troubleshooting` has what its last words mean; with none, the same command again"


def require_sandbox(environment: Environment) -> None:
    """Refuse an environment whose sandbox has no hosts: SSH would complain of a file that nobody has written."""
    if not _has_sandbox(environment):
        return
    from ferryman.sandbox import access, inventory

    sandbox = inventory.read(environment.directory, paths.state_directory())
    if not (sandbox.directory / access.SSH_CONFIG).is_file():
        wrong = f"the sandbox of {environment.name} is not up, so nothing is deployed to it"
        raise Stop(wrong, hint=f"`{paths.command('deploy', environment.name)}` brings it up")


def bring_up(environment: Environment) -> None:
    """Bring the hosts of a sandbox up; one's own servers are left as they are."""
    if _sandbox_up(environment):
        forget_hosts(environment)


def wants_provisioning(environment: Environment) -> bool:
    """Say whether sandbox hosts are new, or were provisioned from other settings; one's own servers wait to be told."""
    if not _has_sandbox(environment):
        return False
    done = _provisioned(environment)
    return not done.is_file() or done.read_bytes() != _digest(environment).encode()


def remember_provisioned(environment: Environment) -> None:
    """Write down that the hosts are as the settings say."""
    done = _provisioned(environment)
    done.parent.mkdir(exist_ok=True)
    paths.write(done, _digest(environment))


def forget_hosts(environment: Environment) -> None:
    """Forget what was known of a sandbox's hosts that are gone or new: new ones are bare, and begin a ledger anew."""
    _provisioned(environment).unlink(missing_ok=True)
    for kind in ("heads", "live"):
        for seen in (paths.state_directory() / kind).glob(f"{environment.name}-*"):
            seen.unlink()


def _provisioned(environment: Environment) -> Any:
    return paths.state_directory() / "provisioned" / environment.name


def _has_sandbox(environment: Environment) -> bool:
    return (environment.variables / "sandbox.yml").is_file()


def _sandbox_up(environment: Environment) -> bool:
    """Bring the hosts of a sandbox up; return whether one of them is new. Nothing happens for servers of one's own."""
    if not _has_sandbox(environment):
        return False
    from ferryman.sandbox import hosts, inventory

    sandbox = inventory.read(environment.directory, paths.state_directory())
    if hosts.answer(sandbox):
        return False
    seen = progress()
    try:
        return bool(hosts.up(sandbox, seen.step))
    finally:
        seen.close()


def source(environment: Environment, app: str) -> dict[str, str]:
    """Return where the commits of an application of an agreed environment come from; an empty name: the only one."""
    return _apps_of_a_good(environment)[only(environment, app)]


def _apps_of_a_good(environment: Environment) -> dict[str, dict[str, str]]:
    """Return the applications of an environment that a check has found good, with their sources, by name."""
    project = environment.directory.parent.parent  # one environment is judged beside the others
    others = (environments.resolve(name, project=project) for name in environments.names(project))
    beside = [path.name for path in environment.more_inventories()]
    digest = " ".join([_digest(environment, *others), _key(environment), *beside])
    remembered = paths.state_directory() / "checked" / f"{environment.name}.json"
    if (known := _sources_of(remembered, digest)) is not None:
        return known
    from ferryman import agreement

    sources = dict(sorted(agreement.sources(agreement.require(environment)).items()))
    remembered.parent.mkdir(exist_ok=True)
    paths.write(remembered, json.dumps({"digest": digest, "sources": sources}))
    return sources


def _key(environment: Environment) -> str:
    """Return a sign of the vault's key that changes with it, and says nothing of what is in it."""
    try:
        key = secrets.key_file(environment)
        told = key.stat() if key else None
    except (Stop, OSError):
        return "missing"
    return f"{key} {told.st_size} {told.st_mtime_ns}" if told else "none"


def _sources_of(remembered: Path, digest: str) -> dict[str, dict[str, str]] | None:
    """Return what a check of the same files wrote down; None where nobody can tell, and they are judged again."""
    try:
        told = json.loads(remembered.read_text(encoding="utf-8"))
        known = told["sources"] if told["digest"] == digest else None
        return None if known is None else {str(app): dict(source) for app, source in known.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def only(environment: Environment, app: str) -> str:
    """Return the name of an application of an agreed environment; an empty name: the only one."""
    return app or next(iter(_apps_of_a_good(environment)))


def require_app(environment: Environment, app: str, apps: list[str]) -> None:
    """Refuse an application that is not there; an empty name means the only one."""
    if not apps:
        place = environment.variables / "apps.yml"
        raise Stop(f"{environment.name} has no application", hint=f"name it in {place} under `apps`")
    if app and app not in apps:
        raise Stop(f"{environment.name} has no application {app!r}", hint=fitting.nearest(app, apps))
    if not app and len(apps) > 1:
        raise Stop(f"{environment.name} has several applications: --app is needed", hint=f"one of: {', '.join(apps)}")


def _digest(*judged: Environment) -> str:
    """Return a digest over environments' files and what they are judged by: the roles' specs and the playbooks."""
    root = paths.collection_root()
    files = [path for environment in judged for path in places.files(environment)]
    for pattern in ("roles/*/meta/*.yml", "playbooks/**/*.yml"):
        files += sorted(root.glob(pattern))
    whole = hashlib.sha256()
    for path in files:
        whole.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()
