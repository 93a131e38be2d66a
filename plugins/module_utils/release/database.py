"""The database around a release.

A dump before its migration, the migration itself, and the schema's revision before and after.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import render
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, alone, deciding, read_json

RUNTIME_UNITS = Path("/run/systemd/system")
OUTPUTS_KEPT = 20
REVISION = re.compile(r"[\w.+-]{1,100}")
"""What a revision may look like that a way down is told."""


def snapshot(host: Host, *, database: str) -> dict[str, str]:
    """Dump a database of this host; return the dump's path, which `pg_restore` has read to its end, and its digest."""
    place = host.site.dumps
    path = place / f"{host.run_id}.dump"
    if host.check:
        host.changes.append(str(path))
        return {"restore_point": str(path)}
    if path.exists():
        return {"restore_point": str(path), "restore_point_sha256": digest(path)}
    host.directory(place, mode=0o700, owner="postgres")
    size = int(psql(host, database, "select pg_database_size(current_database())") or 0)
    free = shutil.disk_usage(place).free
    if free < size * 2:
        raise Failed(
            f"{place} has {free // 2**20} MiB free, a dump of {database} may need {size * 2 // 2**20}",
            hint="free some",
            refused=True,
        )
    host.journal("snapshot", "started", database=database)
    fresh = place / f".{path.name}.new"
    host.command(
        "runuser", "-u", "postgres", "--", "pg_dump", "--format=custom", f"--file={fresh}", database, timeout=3600
    )
    host.command("runuser", "-u", "postgres", "--", "pg_restore", "--list", str(fresh), timeout=600)
    fresh.rename(path)
    host.changes.append(str(path))
    told = {"restore_point": str(path), "restore_point_sha256": digest(path)}
    size, seen = path.stat().st_size, told["restore_point_sha256"]
    host.journal("snapshot", "done", database=database, path=str(path), bytes=size, sha256=seen)
    return told


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    seen = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            seen.update(block)
    return seen.hexdigest()


def psql(host: Host, database: str, query: str) -> str:
    """Return what a query answers; Debian's psql finds the server's port by itself."""
    words = ("psql", "--no-psqlrc", f"--dbname={database}", "-AtXc", query)
    return host.command("runuser", "-u", "postgres", "--", *words).strip()


def revision(host: Host, release: str) -> str:
    """Return the schema's revision as the release's own command tells it; empty for none, and where it has none."""
    if not _migrations(host, release).get("revision"):
        return ""
    with alone(host.site.state / "revision.flock"):  # a look may ask just when a migration does: both are answered
        lines = once(host, "revision", release, timeout_s=30).strip().splitlines()
    words = lines[-1].split() if lines else []
    return words[0] if words else ""


def _migrations(host: Host, release: str) -> dict[str, Any]:
    record = read_json(host.site.release(release) / "release.json")
    return dict(record.get("manifest", {}).get("description", {}).get("migrations") or {})


def limits(migrations: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells PostgreSQL's clients how long a statement of a migration may wait for a lock, and may take.

    libpq reads it, and what is built on it (psycopg), and node-postgres. Nothing where neither has a limit: a pooler
    may take no such option.
    """
    lock_s = int(migrations.get("lock_timeout_s") or 0)
    statement_s = int(migrations.get("statement_timeout_s") or 0)
    if not lock_s and not statement_s:
        return {}
    told = {"lock_timeout": lock_s, "statement_timeout": statement_s or int(migrations.get("timeout_s") or 30)}
    return {"PGOPTIONS": " ".join(f"-c {name}={value}s" for name, value in told.items() if value)}


def migrate(host: Host, release: str) -> dict[str, Any]:
    """Run the release's migrations once, within their time, and return the schema's revision before and after.

    The command is a unit of systemd's: it survives the driver, and a second one is refused while it runs.
    """
    if host.check:
        host.changes.append("migrations run")
        return {"schema_before": "", "schema_after": ""}
    migrations = _migrations(host, release)
    before = revision(host, release)
    host.journal("migrate", "started", release=release, schema_before=before)
    timeout_s = int(migrations.get("timeout_s") or 30)
    try:
        once(host, "migrate", release, timeout_s=timeout_s, environment=limits(migrations))
    except Failed as failed:
        after, known = "", f"not known, it was at {before or 'none'}"
        with suppress(Failed):  # the database may be what is wrong
            after = revision(host, release)
            known = "left as it was" if after == before else f"now at {after or 'none'}, it was at {before or 'none'}"
        host.journal("migrate", "failed", release=release, schema_after=after)
        raise Failed(
            f"the migration failed: {failed}; the schema is {known}",
            evidence=failed.evidence,
            hint=failed.hint,
            facts={"schema_before": before, "schema_after": after, "migrated": True},
        ) from None
    after = revision(host, release)
    host.journal("migrate", "done", release=release, schema_before=before, schema_after=after)
    host.changes.append(f"schema {before or 'none'} -> {after or 'none'}")
    return {"schema_before": before, "schema_after": after, "migrated": True}


def downgrade(host: Host, release: str, *, to: str) -> str:
    """Take the schema back to a revision, by the way down of the release that left it; return where it is then.

    Nothing is done where it has none: the revision stays.
    """
    migrations = _migrations(host, release)
    if not (migrations.get("downgrade") and REVISION.fullmatch(to)):
        return revision(host, release)
    timeout_s = int(migrations.get("timeout_s") or 30)
    environment = {**limits(migrations), "FERRYMAN_REVISION": to}
    host.journal("migrate", "started", release=release, schema_before=to)  # it outlives its driver, as the way up does
    with suppress(Failed):  # where the schema is then says what came of it
        once(host, "downgrade", release, timeout_s=timeout_s, environment=environment)
    after = ""
    with suppress(Failed):
        after = revision(host, release)
    host.journal("migrate", "undone", release=release, schema_after=after)
    return after


def unit(host: Host, name: str) -> str:
    """Return the unit of what runs once under a name: a process of this kind, `migrate`, `revision`, `downgrade`."""
    return f"{host.site.name}-{name}.service"


def runs_once(host: Host, name: str) -> bool:
    """Say whether what runs once under a name does so now."""
    return _runs(host, unit(host, name))


def _runs(host: Host, unit: str) -> bool:
    return host.systemctl("show", "-P", "ActiveState", unit).strip() in ("activating", "active", "deactivating")


def stop_once(host: Host, release: Mapping[str, Any]) -> None:
    """Stop what of a release (its record) runs once, and outlives whoever began it: also a migration."""
    processes = release.get("processes", {})
    known = ["migrate", "downgrade", *(name for name, told in processes.items() if told["kind"] == "once")]
    units = [each for each in (unit(host, name) for name in known) if _runs(host, each)]
    if units:
        stopping = [int(told.get("stop_timeout_s") or 0) for told in processes.values() if told["kind"] == "once"]
        host.systemctl("stop", *units, timeout=180 + max(stopping, default=0))


def _output(host: Host, name: str) -> Path:
    """Return where what runs once writes to, for root alone; what is older than the last ones is removed."""
    place = host.site.state / "once"
    host.directory(place, mode=0o700)
    for old in sorted(place.iterdir(), key=lambda path: path.stat().st_mtime)[:-OUTPUTS_KEPT]:
        old.unlink()
    return place / f"{host.run_id}-{name}.out"


def once(
    host: Host,
    name: str,
    release: str,
    *,
    timeout_s: int,
    process: Mapping[str, Any] | None = None,
    may: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a launcher of the release as a transient unit of its own and return what it wrote.

    A `process` that was described has its limits and its network there; commands of migrations have neither.

    Where somebody may object (`may` raises), the host's decision is held until the unit runs: who decides otherwise
    afterwards finds it, and stops it.
    """
    record = read_json(host.site.release(release) / "release.json")
    service = unit(host, name)
    if _runs(host, service):
        hint = f"wait for it: journalctl -fu {service} on the host"
        raise Failed(f"`{name}` of an earlier run still runs", hint=hint)
    output = _output(host, name)
    secrets = render.all_secrets(record["manifest"]["description"])
    described = {**(process or {}), "timeout_s": timeout_s}
    text = render.transient(host.site, name, described, release=release, secrets=secrets, environment=environment or {})
    path = RUNTIME_UNITS / service
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("[Service]\n", f"[Service]\nStandardOutput=truncate:{output}\n", 1), encoding="utf-8")
    try:
        with ExitStack() as held:
            if may:
                held.enter_context(deciding(host))
                may()
            stops_s = int((process or {}).get("stop_timeout_s") or 0)
            return _ran(host, name, service, output, timeout_s=timeout_s, stops_s=stops_s, begun=held.close)
    finally:
        path.unlink(missing_ok=True)


def _ran(
    host: Host, name: str, unit: str, output: Path, *, timeout_s: int, stops_s: int, begun: Callable[[], None]
) -> str:
    """Run a unit to its end and return what it wrote; `begun` is called once it is seen to run."""
    began = time.time()

    def look() -> None:
        with suppress(Failed):  # it is asked again in a moment
            if _runs(host, unit):
                begun()

    try:
        host.systemctl("daemon-reload")
        host.command("systemctl", "start", unit, timeout=timeout_s + stops_s + 30, meanwhile=look)
        return output.read_text(encoding="utf-8", errors="replace")
    except Failed:
        result = host.systemctl("show", "-P", "Result", unit).strip()
        said = output.read_text(encoding="utf-8", errors="replace").splitlines()[-5:] if output.exists() else []
        reason = f"it took longer than {timeout_s} s" if result == "timeout" else f"`{name}` ended with {result}"
        raise Failed(reason, evidence=[*said, *host.logs(unit, since=began)]) from None
