"""The one door to a PostgreSQL cluster of Debian's: finding it, asking it, writing its files, waking it up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_plan as plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Whatever a server waits for before it acknowledges, these sessions do not: a standby that is not there yet may need
# what is said in them. And whatever a server is told to log, they stay out of it: a verifier is not a password, but
# nobody's business.
SILENCE = """set synchronous_commit = 'local'; set log_statement = 'none'; set log_min_duration_statement = -1;
set log_min_error_statement = 'panic'; set log_min_messages = 'panic'; set log_duration = off;
"""
PLACES = """select coalesce(json_agg(json_build_object('name', name, 'setting', setting, 'file', sourcefile)
order by seqno), '[]') from pg_file_settings where sourcefile is not null"""
ENDED = re.compile(r"\b(FATAL|PANIC):")
MORE = re.compile(r"\b(DETAIL|HINT|CONTEXT):")
RECENT, TOLD, BEFORE = 20, 6, 2  # lines of a log: as many as a start writes, are told, and lead to what ended it


class Trouble(Exception):
    """Something that ends the work, as one sentence."""


class Cluster(NamedTuple):
    """A cluster as pg_lsclusters names it."""

    version: str
    name: str
    port: int
    running: bool
    data: str
    log: str

    @property
    def conf(self) -> Path:
        return Path("/etc/postgresql") / self.version / self.name

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}.service"

    def program(self, name: str) -> str:
        """Return the path of one of the server's own programs.

        What Debian has on the PATH is a script that looks for server and port first, which takes longer than a query.
        """
        return f"/usr/lib/postgresql/{self.version}/bin/{name}"


def parse(listing: str) -> list[Cluster]:
    """Return the clusters of `pg_lsclusters -h`."""
    found = []
    for line in listing.splitlines():
        version, name, port, status, _, data, *log = line.split()
        found.append(Cluster(version, name, int(port), status.startswith("online"), data, log[0] if log else ""))
    return found


def find(port: int) -> Cluster:
    """Return the cluster `main` on the port, or the newest `main` there is."""
    mains = [cluster for cluster in parse(run(["pg_lsclusters", "-h"])) if cluster.name == "main"]
    if not mains:
        raise Trouble("PostgreSQL is installed, but has no cluster `main`; pg_createcluster VERSION main makes one")
    ours = [cluster for cluster in mains if cluster.port == port]
    return (ours or sorted(mains, key=lambda cluster: float(cluster.version)))[-1]


def run(words: Sequence[str], text: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run a program; return what it printed, or raise with its last words."""
    settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **(environment or {})}
    done = subprocess.run(list(words), input=text, text=True, capture_output=True, cwd="/", env=settings)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        program = os.path.basename(words[4] if words[0] == "runuser" else words[0])
        raise Trouble(f"{program}: {' '.join(lines[-3:])}")
    return done.stdout


def of_a_start(lines: Sequence[str]) -> list[str]:
    """Return those of a server's log that say why it did not start: what led to its end, and the last there are.

    Without its own files a server ends with no such line, and the last one may be of a client that it turned away when
    it was stopped before.
    """
    last = [*lines[-RECENT:]]
    ends = [number for number, line in enumerate(last) if ENDED.search(line)]
    after = ends[-1] + 1 if ends else 0
    while ends and after < len(last) and MORE.search(last[after]):
        after += 1
    around = range(max(ends[-1] - BEFORE, 0), after) if ends else ()
    at_the_end = range(max(len(last) - TOLD + len(around), after), len(last))
    return [last[number] for number in sorted({*around, *at_the_end})]


class Server:
    """A cluster at work."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def sql(self, statements: str, database: str = "postgres") -> str:
        """Run SQL as the superuser; it goes through standard input, so that no list of processes shows it."""
        # Terse, since the ordinary form of an error repeats the statement.
        words = ["runuser", "-u", "postgres", "--", self.cluster.program("psql"), "-XAtq"]
        words += ["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"]
        return run([*words, "-p", str(self.port()), "-d", database], SILENCE + statements)

    def answer(self, query: str, database: str = "postgres") -> Any:
        """Return the one JSON value that a query gives."""
        return json.loads(self.sql(query + ";", database))

    def port(self) -> int:
        """Return the port that the running server really has, which a changed file does not tell."""
        try:
            return int((Path(self.cluster.data) / "postmaster.pid").read_text().splitlines()[3])
        except (OSError, IndexError, ValueError):
            return self.cluster.port

    def has_standby(self, names: Sequence[str]) -> bool:
        """Return whether one of these standbys is connected, or commits wait for one already."""
        listed = ", ".join(plan.literal(name) for name in names)
        query = f"""select to_json(current_setting('synchronous_standby_names') <> ''
            or exists (select from pg_stat_replication where application_name in ({listed})))"""  # noqa: S608 -- quoted by literal()
        return bool(self.answer(query))

    def start(self) -> None:
        try:
            run(["systemctl", "start", self.cluster.unit])
        except Trouble as trouble:  # systemd knows nothing of why: Debian's unit passes over what its program says
            raise Trouble(f"{trouble}; {self.last_words()}") from None

    def reload(self) -> list[str]:
        """Make the server read its files; return the settings that wait for a restart."""
        before = self.sql("select pg_conf_load_time();")
        self.sql("select pg_reload_conf();")
        until = time.monotonic() + 10
        while self.sql("select pg_conf_load_time();") == before:
            if time.monotonic() > until:
                raise Trouble("the server was told to reload its configuration and did not within 10 s")
            time.sleep(0.05)
        return self.pending()

    def has_read(self, paths: Sequence[Path]) -> bool:
        """Return whether the server has read these files since they were last written."""
        read = float(self.sql("select extract(epoch from pg_conf_load_time());"))
        return all(path.stat().st_mtime <= read for path in paths if path.exists())

    def pending(self) -> list[str]:
        query = "select coalesce(json_agg(name order by name), '[]') from pg_settings where pending_restart"
        return [str(name) for name in self.answer(query)]

    def restart(self) -> None:
        try:
            run(["systemctl", "restart", self.cluster.unit])
            self.sql("select 1;")
        except Trouble as trouble:
            raise Trouble(f"{trouble}; {self.last_words()}") from None

    def last_words(self) -> str:
        """Return what the server's log says of its last start; that holds no data."""
        try:
            lines = Path(self.cluster.log).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "; ".join(of_a_start(lines))

    def foreign(self, own: Path) -> list[dict[str, str]]:
        """Return what other files than ours set (name, setting)."""
        return [line for line in self.answer(PLACES) if line["file"] != str(own)]

    def overridden(self, own: Path, names: Sequence[str]) -> list[str]:
        """Return those of our settings that a later file wins over."""
        last = {line["name"]: line["file"] for line in self.answer(PLACES)}
        return [f"{name} ({last[name]})" for name in sorted(names) if last.get(name, str(own)) != str(own)]

    def roles(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        listed = ", ".join(plan.literal(name) for name in names) or "''"
        query = f"""select coalesce(json_object_agg(rolname, json_build_object(
            'password', rolpassword, 'super', rolsuper, 'login', rolcanlogin)), '{{}}')
            from pg_authid where rolname in ({listed})"""  # noqa: S608 -- quoted by literal(), names are checked
        return dict(self.answer(query))

    def bases(self, databases: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        listed = ", ".join(plan.literal(base["name"]) for base in databases) or "''"
        query = f"""select coalesce(json_object_agg(datname, json_build_object('owner', pg_get_userbyid(datdba),
            'public', has_database_privilege('public', oid, 'connect'), 'extensions', '[]'::json)), '{{}}')
            from pg_database where datname in ({listed})"""  # noqa: S608 -- as above
        found = dict(self.answer(query))
        for base in databases:
            if base.get("extensions") and base["name"] in found:
                asked = "select coalesce(json_agg(extname), '[]') from pg_extension"
                found[base["name"]]["extensions"] = self.answer(asked, base["name"])
        return found

    def test(self, text: str) -> None:
        """Let the server's own program read its files with `text` in place of ours; raise with what it says."""
        program = self.cluster.program("postgres")
        main = self.cluster.conf / "postgresql.conf"
        if not re.search(r"^\s*include_dir\s*=?\s*'conf\.d'", main.read_text(), re.MULTILINE):
            raise Trouble(f"{main} does not include conf.d, so nothing would read Ferryman's settings")
        with tempfile.TemporaryDirectory(prefix="ferryman-") as folder:
            trial = Path(folder) / "trial.conf"
            trial.write_text(f"include '{main}'\n{text}")
            os.chmod(folder, 0o755)  # noqa: S103 -- settings are no secret, and postgres reads them
            words = ["runuser", "-u", "postgres", "--", program, "-D", self.cluster.data]
            try:
                run([*words, f"--config-file={trial}", "-C", "shared_buffers"])
            except Trouble as trouble:
                raise Trouble(str(trouble).replace(str(trial), "the new settings")) from None

    def refused_rules(self) -> list[str]:
        """Return what the server can't read in pg_hba.conf as it lies on the disk."""
        query = """select coalesce(json_agg(format('line %s: %s', line_number, error)), '[]')
            from pg_hba_file_rules where error is not null"""
        return [str(line) for line in self.answer(query)]

    def log_in(self, database: Mapping[str, Any]) -> None:
        """Log in as the owner over TCP with its password, as the application will; raise where that fails."""
        # libpq takes a password from a file, the environment or a terminal: the file is private and lies in memory.
        with tempfile.TemporaryDirectory(prefix="ferryman-", dir="/run") as folder:
            file = Path(folder) / "pass"
            file.touch(mode=0o600)
            secret = database["password"].replace("\\", "\\\\").replace(":", "\\:")
            file.write_text(f"*:*:*:*:{secret}\n")
            words = [self.cluster.program("psql"), "-XAtqw", "-h", "127.0.0.1"]
            words += ["-p", str(self.port()), "-U", database["owner"]]
            environment = {"PGPASSFILE": str(file), "PGCONNECT_TIMEOUT": "5"}
            try:
                run([*words, "-d", database["name"]], "select 1;", environment)
            except Trouble as trouble:
                raise Trouble(f"{database['owner']} can't log in to {database['name']}: {trouble}") from None


def write(path: Path, text: str) -> None:
    """Replace a file in one rename; owner and mode are those of the server's own files."""
    like = path if path.exists() else path.parent.parent / "postgresql.conf"
    status = like.stat()
    part = path.with_name(f".{path.name}.ferryman")
    part.write_text(text)
    os.chown(part, status.st_uid, status.st_gid)
    part.chmod(status.st_mode & 0o777)
    part.replace(path)


def memory(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this host has, or that its control group leaves it."""
    total = int(re.search(r"^MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)[1]) * 1024  # type: ignore[index]  # always there
    limits = [total]
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base, name = ("memory", "memory.limit_in_bytes") if controllers else ("", "memory.max")
        folder = root / "sys/fs/cgroup" / base
        for part in [Path(path.lstrip("/")), *Path(path.lstrip("/")).parents]:
            limits += _limit(folder / part / name)
    return min(limits)


def _limit(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []
