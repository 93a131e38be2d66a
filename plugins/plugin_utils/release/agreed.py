"""What must still be so for a plan to be true: written into its file, and held against the world before it is followed.

Nothing in it is secret: settings are named here one by one, of secrets there are names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import SETTINGS, ReleaseAction, Stopped

FORMAT = 1
SETTLED = (
    *SETTINGS,
    *("ask_s", "domains", "entry_port", "host_shared", "hotfix_stages", "limits", "stages"),
    *("verify", "verify_timeout_s", "verify_writes"),
)
"""The role's variables by which the same deploy would do something else."""
SHOWN = 12  # letters of a digest
NONE = "none"
ANEW = "`plan --out FILE` makes a new one"

Conditions = Mapping[str, Any]


def conditions(action: ReleaseAction, built: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an action's run has found that a plan depends on; `built` is what was made, empty for nothing."""
    source, arbiter, record = action.recall("source"), action.look_of(action.arbiter), built.get("record") or {}
    book = arbiter.get("ledger") or {}
    found: dict[str, Any] = {
        "environment": action.environment,
        "app": action.app,
        "live release": arbiter.get("shift", {}).get("release_stable", ""),
        "schema": ledger.story(book.get("lines", [])).schema,
        "ledger": _head(book.get("lines", []), but=action.run_id),
        "commit": source["commit"],
        "description": {part: _digest(value) for part, value in source["description"].items()},
        "configuration": source["configuration"],
        "setting": {
            **{f"release_{name}": action.value(name) for name in SETTLED},
            "release_hotfix": action.hotfix,
            "release_database": str(dict(action.value("database", {}) or {}).get("name", "")),  # beside its password
        },
        "host": {host: _host(action.look_of(host)) for host in action.vars["ansible_play_hosts_all"]},
    }
    if record:
        found |= {"artifact": record["digest"], "dependencies": record["environment_key"]}
    secrets = {
        f"{name} on {host}": how
        for host in action.groups["app"]
        for name, how in (action.look_of(host).get("planned", {}).get("secrets") or {}).items()
    }
    # What is read of a host for a plan alone is not known to a deploy.
    return {**found, "secret": secrets} if "planned" in action.look_of(action.groups["app"][0]) else found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _head(lines: list[dict[str, Any]], *, but: str) -> str:
    """Return the hash of the last line that is not of the run `but`, which may have written down what it met."""
    return next((str(line["hash"]) for line in reversed(lines) if line.get("run") != but), "")


def _host(look: Mapping[str, Any]) -> str:
    """Return in words what a host does, has for live, and what was edited on it by hand."""
    if look.get("away"):
        return str(look["away"])
    serves = look.get("live") or look.get("shift", {}).get("release_stable", "")
    edited = look.get("edited") or []
    does = f"{', '.join(look.get('roles', []))}, serves {serves or 'nothing'}"
    return does + (f", edited by hand: {', '.join(edited)}" if edited else "")


def differences(then: Conditions, now: Conditions) -> list[str]:
    """Return a sentence for each condition that is no longer as it was; what only one of the two knows is no matter."""
    found: list[str] = []
    for name in (name for name in then if name in now):
        if isinstance(then[name], Mapping) and isinstance(now[name], Mapping):
            found += [
                line for key in dict.fromkeys([*then[name], *now[name]]) for line in _of_each(name, key, then, now)
            ]
        elif then[name] != now[name] and not (name == "dependencies" and not then[name]):  # "": not to be known then
            found.append(f"{name}: {_shown(then[name])} then, {_shown(now[name])} now")
    return found


def _of_each(name: str, key: str, then: Conditions, now: Conditions) -> Iterator[str]:
    one, other = (side[name].get(key) for side in (then, now))
    if one != other:
        yield f"{name} {key}: {_shown(one)} then, {_shown(other)} now"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        digest = len(value) == len(hashlib.sha256().hexdigest()) and value.isalnum()
        return (value[:SHOWN] if digest else value) or NONE
    return NONE if value is None else json.dumps(value, ensure_ascii=False)


def read(action: ReleaseAction) -> Conditions:
    """Return the conditions in the plan's file that an action is given (`release_plan_file`); Stopped for none."""
    path = Path(str(action.value("plan_file"))).expanduser()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] == FORMAT:
            return dict(told["conditions"])
        wrong = f"its format is {told['format']}, and this is {FORMAT}"
    except OSError as error:
        wrong = str(error.strerror)
    except (ValueError, LookupError, TypeError):
        wrong = "it is no plan that can be followed"
    raise Stopped(action.host, {"reason": f"{path}: {wrong}", "hint": ANEW, "refused": True})


def require(action: ReleaseAction, built: Mapping[str, Any]) -> None:
    """Refuse to go on where the world has changed since the plan that this run follows, if it follows one."""
    if not action.value("plan_file", ""):
        return
    changed = differences(read(action), conditions(action, built))
    if changed:
        told = {"reason": "the plan is no longer true", "evidence": changed, "hint": ANEW, "refused": True}
        raise Stopped(action.host, told)
