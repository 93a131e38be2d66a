"""Deploy, roll back, and what else people do with releases: prepare, run the playbook, tell how it ended.

Everything that a deploy does and decides is in the collection; here it is found, started, shown and explained.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ferryman import (
    asking,
    changes,
    explaining,
    following,
    outcomes,
    outside,
    paths,
    places,
    planned,
    playing,
    pointing,
    readiness,
    runs,
    telling,
    worktree,
)
from ferryman.environments import PROD, Environment
from ferryman.errors import REFUSED, RETURNED, Stop

Told = dict[str, Any]
VANTAGES = ("driver", "hosts", "both")
"""From where a verification may ask."""
MENDED = "once that is mended, the same command goes on: what is done stays"


def deploy(
    env: str,
    *,
    app: str,
    ref: str,
    allow_dirty: bool,
    wait: int,
    partial: int,
    plan: str,
    detach: bool,
    hotfix: bool = False,
) -> Told:
    """Deploy a commit, or what a `plan` says; return the report. A failure is a Stop that carries it.

    A `hotfix` goes by its short stages, and must be no more than one. With `detach` the arbiter drives it once it is
    built, and the report says no more than that (status `handed_over`).
    """
    over = {**_over(wait, partial), **({"release_detach": True} if detach else {})}
    if plan:
        if ref or allow_dirty:
            raise Stop("--plan says what is deployed", hint="leave out --ref and --allow-dirty, or --plan")
        return _as_planned(env, app=app, file=Path(plan), hotfix=hotfix, over=over)
    wanted = {**_wanted(env, ref=ref, allow_dirty=allow_dirty, hotfix=hotfix), **over}
    environment = readiness.agreed(env, app=app)
    if reason := _uncommitted(environment, app, wanted):
        raise _refused({"reason": reason}, environment, app)
    return _told("deploy", environment, app, wanted, provisioned=_prepared(environment))


def _refused(failure: Told, environment: Environment, app: str) -> Stop:
    """Return what a deploy says that is refused before its playbook runs."""
    story = outcomes.Story(failure={**failure, "refused": True})
    said = outcomes.report("deploy", story, runs.Ended("failed", 0.0), environment=environment.name, app=app)
    return _failed(said, story, environment)


def _as_planned(env: str, *, app: str, file: Path, hotfix: bool, over: Mapping[str, Any]) -> Told:
    """Do what the plan in a file says, provisioning first where it has changes; or nothing, where that is not so now.

    The role looks again once it has the lock.
    """
    then = following.read(file)
    environment = readiness.agreed(env, app=app)
    following.require_of(then, environment.name, readiness.only(environment, app), file)
    readiness.make_ready(environment)
    wanted = {"release_ref": then["wanted"]["ref"], "release_plan_file": str(file.resolve()), **_short(hotfix)}
    now, changed = _planned(environment, app, wanted)
    changed += following.changed(then, now)
    if changed:
        reason = f"{file} was made at {then['made_at']}, and this is no longer so"
        anew = f"`{paths.command('plan --out FILE', environment.name, app)}` makes a new one"
        raise _refused({"reason": reason, "evidence": changed, "hint": anew}, environment, app)
    provisioned = bool(then["provision"]["changes"] and _provision(environment)["changed"])
    provisioned |= _prepared(environment)
    return _told("deploy", environment, app, {**wanted, **over}, provisioned=provisioned)


def _short(hotfix: bool) -> dict[str, Any]:
    """Return as the role takes it whether a deploy is a hotfix."""
    return {"release_hotfix": True} if hotfix else {}


def _wanted(env: str, *, ref: str, allow_dirty: bool, hotfix: bool) -> dict[str, Any]:
    """Return what is to be deployed as the role takes it."""
    if allow_dirty and ref:
        raise Stop("--allow-dirty takes the work tree as it is, --ref a commit", hint="take one of the two")
    if allow_dirty and env == PROD:
        raise Stop("--allow-dirty is not for prod", hint="commit the changes, so that somebody can see what is live")
    return {"release_ref": ref, "release_allow_dirty": allow_dirty, **_short(hotfix)}


def _over(wait: int, partial: int) -> dict[str, Any]:
    """Return as the role takes it for how long the lock is waited for, and how many hosts may be left out.

    For 0 the inventory may say so.
    """
    if wait < 0:
        raise Stop(f"--wait takes seconds, and {wait} are none", hint="take 600 for ten minutes")
    if partial < 0:
        raise Stop(f"--partial takes a count of hosts, and {partial} is none", hint="take 1 to go on without one")
    return {**({"release_wait_s": wait} if wait else {}), **({"release_partial": partial} if partial else {})}


def _uncommitted(environment: Environment, app: str, wanted: Mapping[str, Any]) -> str:
    """Return why a deploy would refuse the work tree, in its words; asked before any host is made or provisioned."""
    source = readiness.source(environment, app)
    named = wanted["release_ref"] or wanted["release_allow_dirty"] or source["ref"]
    if named or not source["repository"]:
        return ""
    return worktree.refusal(environment.directory.parent.parent, source)


def rollback(
    env: str, *, app: str, to: str, accept_schema: bool, with_database: bool, yes: bool, wait: int, partial: int
) -> Told:
    """Go back to the last good release, or to a named one; return the report.

    With the database, what was written since is counted first and, unless `yes`, somebody is asked: a Stop carries the
    counts as `lost`.
    """
    if accept_schema and with_database:
        raise Stop("--accept-schema leaves the data, --with-database takes them along", hint="take one of the two")
    values = {"release_to": to, "release_accept_schema": accept_schema, "release_with_database": with_database}
    values |= _over(wait, partial)
    environment, provisioned = _ready(env, app)
    if with_database and not yes:
        story, ended = playing.run("release_compare", environment, {"release_app": app, **values}, way_back=True)
        untouched = not provisioned and (story.failure.get("refused") or not story.touched)
        playing.stop_unless_done(story, ended, environment, code=REFUSED if untouched else RETURNED)
        plan, lost = story.facts["plan"], story.facts["lost"]
        asking.sure(
            pointing.question(environment.name, plan, lost), yes=False, facts={"point": plan["point"], "lost": lost}
        )
        # What was agreed to is what is done, or nothing: somebody may have deployed meanwhile.
        values |= {"release_to": plan["release"], "release_restore_point": plan["point"]["path"]}
    return _told("rollback", environment, app, values, provisioned=provisioned)


def provision(env: str, *, check: bool = False) -> Told:
    """Bring every host of an environment to its state; return what changed."""
    environment = readiness.agreed(env, app=None)
    if check:
        readiness.make_plannable(environment)
    else:
        readiness.make_ready(environment)
    return _provision(environment, check=check)


def plan(env: str, *, app: str, ref: str, allow_dirty: bool, out: str, hotfix: bool = False) -> Told:
    """Return what provisioning and a deploy would change, and write it to `out` where that is named."""
    if out:
        planned.require_writable(Path(out))
    wanted = _wanted(env, ref=ref, allow_dirty=allow_dirty, hotfix=hotfix)
    environment = readiness.agreed(env, app=app)
    if reason := _uncommitted(environment, app, wanted):
        raise Stop(reason)  # in the words of the deploy that would refuse it
    readiness.make_plannable(environment)
    told, _ = _planned(environment, app, wanted)
    if out:
        planned.write(told, Path(out))
    return told


def _planned(environment: Environment, app: str, wanted: Mapping[str, Any]) -> tuple[Told, list[str]]:
    """Return a plan, and in what the world differs from the one whose file is among what is `wanted`."""
    # First what may be refused: how the application describes itself.
    story, ended = playing.run("release_plan", environment, {"release_app": app, **wanted})
    playing.stop_unless_done(
        story, ended, environment, what=f"no plan for {environment.name}, and nothing was touched: "
    )
    provisioning = _provision(environment, check=True)
    told = {**story.facts["planned"], "provision": {"changes": changes.in_one_run(provisioning["changes"])}}
    return told, list(story.facts["differences"])


def look(env: str, *, app: str, some: bool = False) -> Told:
    """Return what every host serves; changes nothing. Hosts that cannot be reached are named where `some` is enough."""
    environment = readiness.looked_at(env, app=app, one=True)
    story, ended = playing.look_at("release_look", environment, {"release_app": app})
    away = out_of_reach(story)
    if not (some and away):
        playing.stop_unless_done(story, ended, environment)
    hosts = answered(story, environment)
    return {"environment": environment.name, "hosts": hosts, **({"unreachable": away} if away else {})}


def answered(story: outcomes.Story, environment: Environment) -> dict[str, Told]:
    """Return what hosts said of a site; a Stop where there are none to ask."""
    if not story.hosts:
        place = environment.inventory
        raise Stop(
            f"{environment.name} has no host to ask",
            hint=f"name them in {place}; `{paths.command('check', environment.name)}` says what it lacks",
        )
    return story.hosts


def out_of_reach(story: outcomes.Story) -> dict[str, str]:
    """Return the hosts that could not be reached, with the reason, where others were and nothing else went wrong."""
    lost = {host: str(each["reason"]) for host, each in story.failures.items() if each["lost"]}
    return lost if story.answered and lost.keys() == story.failures.keys() else {}


def state(env: str, *, app: str) -> Told:
    """Return what every host serves, and as `outside` what a client here gets."""
    told = look(env, app=app, some=True)
    arbiter = telling.arbiter(told)
    if arbiter.get("live") or (arbiter.get("shift") or {}).get("release_stable"):
        told["outside"] = outside.look(arbiter["url"], ca=arbiter["ca"])
    return told


def health(env: str, *, app: str) -> Told:
    """Ask everything that is served; return the answers by host, of several applications each one's as `apps`."""
    environment = readiness.looked_at(env, app=app)
    named = places.applications(environment)
    if app or len(named) < 2:
        return health_of(environment, app)
    apps = [health_of(environment, each) for each in named]
    return {"environment": environment.name, "good": all(each["good"] for each in apps), "apps": apps}


def health_of(environment: Environment, app: str, over: Mapping[str, Any] | None = None) -> Told:
    """Ask everything that is served of one application; `over` are values that win over the inventory's."""
    story, ended = playing.look_at("release_health", environment, {"release_app": app, **(over or {})})
    away = out_of_reach(story)
    if not away:
        playing.stop_unless_done(story, ended, environment)
    answers = {**(story.facts.get("health") or {}), **{host: _unreached(why) for host, why in away.items()}}
    hidden = any((story.facts.get("maintenance") or {}).values())
    good = not hidden and all_well(answers)
    return {"environment": environment.name, "app": app, "good": good, "maintenance": hidden, "hosts": answers}


def _unreached(why: str) -> dict[str, Told]:
    """Return the one answer of a host that gave none."""
    return {"host": {"good": False, "said": why.partition("\n")[0]}}


def all_well(answers: Mapping[str, Mapping[str, Told]]) -> bool:
    """Say whether everything that was asked, by host and name, is well; where nothing answered, nobody knows."""
    each = [answer["good"] for host in answers.values() for answer in host.values()]
    return bool(each) and all(each)


def verify(env: str, *, app: str, vantage: str, junit: str) -> Told:
    """Go through the live release's steps under verify; return every result by host, `driver` for those from here."""
    if vantage not in VANTAGES:
        raise Stop(f"no vantage {vantage!r}", hint=f"--from takes one of: {', '.join(VANTAGES)}")
    environment = readiness.looked_at(env, app=app, one=True)
    report = str(Path(junit).resolve()) if junit else ""
    return verified(environment, app, {"release_verify_from": vantage, "release_verify_junit": report})


def verified(environment: Environment, app: str, values: Mapping[str, Any]) -> Told:
    """Go through the live release's steps under verify in an environment; `values` win over the inventory's."""
    values = {"release_app": app, **values}
    # Its steps may send secrets: none but the real ones.
    story, ended = playing.run("release_verify", environment, values)
    results = story.facts.get("verify") or {}
    good = not any(each["result"] == "failed" for listed in results.values() for each in listed)
    if good:  # then what failed, if something did, is not the application
        playing.stop_unless_done(story, ended, environment)
    return {
        "environment": environment.name,
        "app": app,
        "release": story.facts.get("release", ""),
        "good": good,
        "maintenance": any((story.facts.get("maintenance") or {}).values()),
        "results": results,
        "junit": values.get("release_verify_junit", ""),
    }


def maintenance(env: str, *, app: str, on: bool) -> Told:
    """Show or hide the maintenance page on every entry; a Stop says on which alone where one is not reached."""
    environment = readiness.acted_on(env, app=app)
    story, ended = playing.run("release_maintenance", environment, {"release_app": app, "release_maintenance": on})
    done = sorted(each["host"] for each in story.steps if each["step"] == "maintenance")
    what = f"{telling.page_on(done, on=on)}: " if done else ""
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended), what=what)
    return {"environment": environment.name, "maintenance": on, "changed": story.changed}


def fence(env: str, *, app: str, host: str, off: bool, why: str) -> Told:
    """Have every entry send no clients to an app host (`off`), or let it in; return whether that has emptied it."""
    environment = readiness.acted_on(env, app=app)
    if not host:
        raise Stop("no host named", hint=f"{paths.program()} fence.on HOST: an app host of {environment.inventory}")
    values = {"release_app": app, "release_fence_host": host, "release_fenced": off, "release_fence_why": why}
    story, ended = playing.run("release_fence", environment, values)
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended))
    told = {"environment": environment.name, "host": host, "off": off, "fenced": story.facts.get("fenced", [])}
    return {**told, "emptied": story.facts.get("emptied", {}), "changed": story.changed}


def word(env: str, *, app: str, word: str, share: int = 0) -> Told:
    """Say to a release that is in its stages that it goes on (promote) or back (abort); return whom it was said to.

    To go on is meant for the stage with a `share` of the clients in percent, 0 for the one that is under way.
    """
    environment = readiness.acted_on(env, app=app)
    values = {"release_app": app, "release_word": word, "release_word_share": share or None}
    story, ended = playing.run("release_word", environment, values)
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended))
    return {"environment": environment.name, "word": word, **(story.facts.get("said") or {})}


def unlock(env: str, *, app: str, yes: bool, force: bool = False) -> Told:
    """Free the lock by force; return whose it was. That of a run at work is freed only where somebody says yes.

    The arbiter alone must be reached; hosts that are away are named. With `force` it takes over lock and ledger from a
    host that is gone for good, which somebody must say; `took_over` tells whose copy of the ledger (of) with how many
    lines, nothing where its own has them all.
    """
    environment = readiness.acted_on(env, app=app)
    seen = look(env, app=app, some=True)
    held = telling.arbiter(seen).get("lock") or {}
    if held.get("alive"):
        asking.sure(telling.at_work(environment.name, held), yes=yes)
    if force:
        asking.sure(telling.takes_over(environment.name, seen), yes=yes)
    # By its name: whoever took the lock since then was not asked about.
    values = {"release_app": app, "release_unlock_run": held.get("run", ""), "release_unlock_force": force}
    story, ended = playing.run("release_unlock", environment, values)
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended))
    away = {"unreachable": seen["unreachable"]} if "unreachable" in seen else {}
    taken = {"took_over": story.facts.get("took_over") or {}} if force else {}
    return {"environment": environment.name, "broken": story.facts.get("broken") or {}, **taken, **away}


def once(env: str, *, app: str, process: str) -> Told:
    """Run a process of kind `once` of the live release, on one host, and return what it wrote."""
    if not process:
        raise Stop("no process named", hint=f"{paths.program()} run NAME: a process of kind once in ferryman.yml")
    environment, provisioned = _ready(env, app)
    story, ended = playing.run("release_once", environment, {"release_app": app, "release_process": process})
    code = outcomes.code_of_act(story, ended)
    playing.stop_unless_done(story, ended, environment, code=RETURNED if provisioned and code == REFUSED else code)
    return {"environment": environment.name, "process": process, "output": str(story.facts.get("output", ""))}


# The run


def _ready(env: str, app: str) -> tuple[Environment, bool]:
    """Return the environment, checked, and whether its hosts were provisioned for this: those of a sandbox are where
    need be, and where there are none it is refused: of what is not there, nothing can be gone back from."""
    environment = readiness.acted_on(env, app=app)
    return environment, _prepared(environment)


def _prepared(environment: Environment) -> bool:
    """Make the hosts ready, provisioned where they want it; return whether that changed any."""
    readiness.make_ready(environment)
    return readiness.wants_provisioning(environment) and bool(_provision(environment)["changed"])


def _provision(environment: Environment, *, check: bool = False) -> Told:
    story, ended = playing.run("host_provision", environment, {}, check=check)
    code = REFUSED if check else outcomes.code_of_act(story, ended)
    playing.stop_unless_done(story, ended, environment, code=code, again=MENDED)
    if not check:
        readiness.remember_provisioned(environment)
    took = round(ended.seconds, 3)
    return {
        "environment": environment.name,
        "changed": story.changed,
        "changes": story.changes,
        "duration_s": took,
    }


def _told(
    command: str, environment: Environment, app: str, values: Mapping[str, Any], *, provisioned: bool = False
) -> Told:
    story, ended = playing.run(f"release_{command}", environment, {"release_app": app, **values}, way_back=True)
    said = outcomes.report(command, story, ended, environment=environment.name, app=app)
    return told_of(outcomes.after_provisioning(said) if provisioned else said, story, environment)


def told_of(said: Told, story: outcomes.Story, environment: Environment) -> Told:
    """Return a run's report with what a client here gets now; a Stop that carries it where the run has failed."""
    if said["code"]:
        raise _failed(said, story, environment)
    if said["url"] and said["status"] != "handed_over":
        with suppress(KeyboardInterrupt):  # it is done; only this look is cut short
            said["outside"] = outside.look(said["url"], ca=said["ca"])
    return said


def _failed(said: Told, story: outcomes.Story, environment: Environment) -> Stop:
    hint = said.get("hint") or explaining.next_command(said) or playing.after(story, environment)
    return Stop(explaining.explain(said), hint=hint, code=said["code"], facts=said)
