"""The engine of sets `media` and `config`: borg takes and restores; what is kept and what is good is not its matter."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import manifest as compared
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup import tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.backup.space import size

PROGRAM = "/usr/bin/borg"
COMPRESSION = "zstd,3"
LOCK_WAIT_S = 3600
LOCK_TRY_S = (
    10  # borg looks again after a tenth of what it may wait: a killed run's lock, which it breaks, is no minute
)
LOCKED = b"Failed to create/acquire the lock"
WRONG = "passphrase supplied in"  # and where; it is incorrect
NOGROUP = 65534
TOLD = ".told"  # what is told of a backup lies beside it in an archive of this name: borg's own are never changed
DOCUMENTS = ".ferryman"
RECORD, MANIFEST = f"{DOCUMENTS}/record.json", f"{DOCUMENTS}/manifest.json"
NOT_WHOLE = frozenset("CE")  # of a file: it changed while it was read, or could not be read
NOT_AS_IT_WAS = "AMCEdhsbcfi-x?"  # all that borg says of a path, but U: what it remembers of that file is so still
WARNED = 1  # borg's exit code where a file changed or went while it was read
SETTINGS = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "BORG_EXIT_CODES": "legacy",
    # Whatever borg would ask a person about is refused.
    "BORG_RELOCATED_REPO_ACCESS_IS_OK": "no",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
}
FULL = ("No space left on device", "Insufficient free space")
# What borg says beside what it ended with: parts of a traceback, where it ran, and locks of killed runs that it broke.
BESIDE = (" ", "Traceback", "Platform:", "Linux:", "Borg:", "PID:", "sys.argv:", "SSH_ORIGINAL_COMMAND:",
          "Killed stale", "Removed stale", "Local Exception")  # fmt: skip
CHAINED = "During handling of the above exception"


class Place(NamedTuple):
    """A repository, as one side reaches it.

    `repository` is a path or ssh://; `passphrase` a file; `user`, a name or a number, runs borg; `base` is for its
    caches, and for what it remembers of the repository; `rsh` is the ssh command of a client.
    """

    repository: str
    passphrase: str
    base: str
    user: str | int = "root"
    rsh: str = ""


class Borg:
    """A set of files in a repository of its own."""

    def __init__(self, place: Place, kind: str) -> None:
        self.place, self.kind = place, kind

    @contextlib.contextmanager
    def started(self, *words: str, wait_s: int = LOCK_WAIT_S, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Run borg; its passphrase goes by a descriptor, so that no environment and no argument holds it."""
        uid, gid = account(self.place.user)
        with open(self.place.passphrase, "rb") as secret:
            settings = {
                **SETTINGS,
                "HOME": self.place.base,
                "BORG_BASE_DIR": self.place.base,
                "BORG_PASSPHRASE_FD": str(secret.fileno()),
            }
            if self.place.rsh:
                settings["BORG_RSH"] = self.place.rsh
            who: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": []}
            if uid == os.geteuid():
                who = {}
            argv = [PROGRAM, "--lock-wait", str(wait_s), *words]
            more = {"cwd": "/", **who, **more}
            process = subprocess.Popen(argv, env=settings, pass_fds=[secret.fileno()], umask=0o077, **more)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

    def call(self, *words: str, text: bytes = b"", warned: bool = False, cwd: str = "/") -> tuple[bytes, bytes]:
        """Run borg to its end; return what it printed and what it said, or raise with its last words.

        `text` is what it reads, from a file in memory: a pipe would have it wait for whoever fills that beside other
        work.
        """
        pipe, until = subprocess.PIPE, time.monotonic() + LOCK_WAIT_S
        while True:
            with (
                in_memory(text) as given,
                self.started(*words, wait_s=LOCK_TRY_S, stdin=given, stdout=pipe, stderr=pipe, cwd=cwd) as process,
            ):
                out, err = process.communicate()
            if process.returncode <= WARNED or LOCKED not in err or time.monotonic() > until:
                require(process.returncode, err, words[0], warned=warned)
                return out, err

    def named(self, name: str) -> str:
        return f"{self.place.repository}::{name}"

    # The verbs

    def create(self, name: str, paths: list[str]) -> dict[str, Any]:
        """Put paths into a new archive; return its id and sizes, how many `files` it holds (no second names), and
        `told`: what borg says of paths, by path.

        Said is one letter of borg's, as `borg help create` has them; of a file that borg has as it was, nothing is.
        """
        listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        words = ["create", "--json", "--log-json", "--list", "--filter", NOT_AS_IT_WAS, "--compression", COMPRESSION]
        from_list = ["--paths-from-stdin", "--paths-delimiter", "\\0"]
        out, err = self.call(*words, *from_list, self.named(name), text=listed, warned=True)
        told = json.loads(out)["archive"]
        said: dict[str, str] = {}
        for line in io.BytesIO(err):
            one = json.loads(line) if line.startswith(b"{") else {}
            path = "/" + one.get("path", "").lstrip("/")
            if one.get("type") == "file_status" and said.get(path) not in NOT_WHOLE:
                said[path] = one["status"]
        return {
            "id": told["id"],
            "bytes": told["stats"]["original_size"],
            "sent_bytes": told["stats"]["deduplicated_size"],
            "files": told["stats"]["nfiles"],
            "told": said,
        }

    def tell(self, record: Record, manifest: str) -> None:
        """Put a record and the text of its manifest beside a backup."""
        with tempfile.TemporaryDirectory(prefix="ferryman-backup-") as directory:
            os.mkdir(f"{directory}/{DOCUMENTS}")
            for path, text in ((RECORD, of.written(record)), (MANIFEST, manifest)):
                with open(f"{directory}/{path}", "w", encoding="utf-8") as file:
                    file.write(text)
            alone = "--files-cache=disabled"  # what borg remembers of a backup's files is not read and written for two
            self.call("create", alone, self.named(record["id"] + TOLD), RECORD, MANIFEST, cwd=directory)

    def told(self, name: str) -> tuple[Record, str]:
        """Return the record that lies beside a backup, and the text of its manifest."""
        both = self.call("extract", "--stdout", self.named(name + TOLD), RECORD, MANIFEST)[0].decode(errors="replace")
        record, end, manifest = both.partition("\n}\n")  # as `of.written` ends
        return of.read(record + end, f"the record of {name}"), manifest

    def ids(self) -> dict[str, str]:
        """Return the id of every archive that is there, by its name."""
        listed = json.loads(self.call("list", "--json", self.place.repository)[0])["archives"]
        return {one["name"]: one["id"] for one in listed}

    def require(self, record: Record) -> None:
        """Refuse an archive that is not the very one of a record: another's place can be taken, its id cannot."""
        there = self.ids()
        if record["id"] not in there:
            raise Trouble(f"the archive {record['id']} is gone from its repository: look at `backup-files collect`")
        if there[record["id"]] != record["engine_id"]:
            raise Trouble(
                f"the archive {record['id']} is not the one that was taken, another lies there: take an older one"
            )

    def contents(self, name: str, only: list[str] | None = None) -> dict[str, tree.Held]:
        """Return what an archive holds, read to the last byte; of `only` those of these paths that are in it."""
        with tempfile.TemporaryDirectory(prefix="ferryman-backup-") as directory:
            os.chmod(directory, 0o711)  # noqa: S103 -- borg may run as another account
            words = ["export-tar", self.named(name), "-"]
            if only is not None and all(map(_is_plain, only)):
                words[1:1] = ["--patterns-from", _patterns(directory, only)]
            with (
                tempfile.TemporaryFile() as said,
                self.started(*words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process,
            ):
                trouble = None
                try:
                    wanted = None if only is None else set(only)
                    found = {
                        path: held
                        for path, held in tree.archived(process.stdout)  # type: ignore[arg-type]  # a pipe, as asked for
                        if wanted is None or path in wanted
                    }
                except Trouble as error:
                    trouble = error
                process.stdout.close()  # type: ignore[union-attr]  # as above
                process.wait()
                said.seek(0)
                require(process.returncode, said.read(), words[0])
                if trouble:
                    raise trouble
                return found

    def compare(self, record: Record, manifest: Record) -> list[dict[str, str]]:
        """Read all that a restore of a backup would read; return what is not as it was written."""
        try:
            found = {"files": tree.totals(list(manifest["files"]), self.contents(record["id"]).items())}
        except (Trouble, OSError) as error:
            return [{"what": "archive", "said": str(error)}]
        return [{"what": "content", "said": str(each)} for each in compared.compare(manifest, found)]

    def extract(
        self, record: Record, into: str, roots: list[str], say: Callable[[str], None], *, owned: bool = True
    ) -> None:
        """Write directories of a backup below an empty directory, with owners by name, modes and times.

        `say` gets a line about once a second: how much of how much, how fast, how long it takes. Where they are not to
        be `owned`, all becomes the account's that writes, which could set neither owners nor what only root may.
        """
        wanted = [f"pp:{root.lstrip('/')}" for root in roots]
        plain = [] if owned else ["--numeric-ids", "--noacls", "--noxattrs", "--noflags"]
        words = ["extract", "--progress", "--log-json", "--list", *plain, self.named(record["id"]), *wanted]
        began, lines, at = time.monotonic(), [], ""
        with self.started(*words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=into) as process:
            for line in process.stderr:  # type: ignore[union-attr]  # a pipe, as asked for
                told = progress(line, time.monotonic() - began)
                if told is not None:
                    if told:
                        say(told)
                elif (begun := listed(line)) is not None:
                    at = begun
                else:
                    lines.append(line)
            process.wait()
        require(process.returncode, b"".join(lines[-50:]), f"extract, at {at}," if at else words[0])

    def export(self, name: str, out: IO[bytes]) -> None:
        """Write an archive to a stream as a tar: with owners by name, modes and times, without ACLs and attributes."""
        with (
            tempfile.TemporaryFile() as said,
            self.started(
                "export-tar", self.named(name), "-", stdin=subprocess.DEVNULL, stdout=out, stderr=said
            ) as process,
        ):
            process.wait()
            said.seek(0)
            require(process.returncode, said.read(), "export-tar")

    def astray(self, name: str) -> list[str]:
        """Return what of a backup would not stay below the directory it is written to, as `tree.astray` has it."""
        words = ["list", "--json-lines", "--format", "{type}{path}{linktarget}", self.named(name)]
        items = (json.loads(line) for line in self.call(*words)[0].splitlines())
        return tree.astray((one["type"], one["path"], one["linktarget"]) for one in items)

    def delete(self, names: list[str]) -> None:
        """Drop archives, and what only they held. For the archive's own hands alone: a client's word is not final."""
        there = self.ids()
        gone = [name for name in names if name in there]
        if gone:
            self.call("delete", self.place.repository, *gone)
            self.call("compact", self.place.repository)

    def initialise(self) -> None:
        """Make the repository."""
        self.call("init", "--encryption", "repokey-blake2", "--make-parent-dirs", self.place.repository)


def account(user: str | int) -> tuple[int, int]:
    """Return the numbers of an account and its group; that of a number that has no name here is nobody's."""
    if isinstance(user, int):
        return user, NOGROUP if user else 0
    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid


@contextlib.contextmanager
def in_memory(text: bytes) -> Iterator[IO[bytes]]:
    """Give a file that is on no disk, to be read from its beginning."""
    with open(os.memfd_create("text"), "w+b") as file:
        file.write(text)
        file.seek(0)
        yield file


@contextlib.contextmanager
def unwritten(secret: str) -> Iterator[str]:
    """Give a path by which this process alone reads a secret, which is on no disk."""
    with in_memory(f"{secret}\n".encode()) as held:
        yield f"/proc/self/fd/{held.fileno()}"


def opens(place: Place, secret: str) -> bool:
    """Say whether a passphrase opens a repository, reached as `place` has it; Trouble where something else is wrong.

    Neither the passphrase nor anything of the repository is remembered, and no lock is waited for: on a host made anew
    it may be that of a host that is gone.
    """
    with tempfile.TemporaryDirectory(prefix="ferryman-backup-") as base, unwritten(secret) as path:
        os.chown(base, *account(place.user))
        looking = Borg(place._replace(passphrase=path, base=base), "")
        try:
            looking.call("--bypass-lock", "list", "--short", place.repository)
        except Trouble as trouble:
            if WRONG in str(trouble):
                return False
            raise Trouble(
                f"{place.repository} cannot be opened, so nothing was written: {trouble}; "
                "look at its disk, or move the repository aside to begin anew"
            ) from None
    return True


def _is_plain(path: str) -> bool:
    """Return whether borg's list of patterns, one a line, can carry a path."""
    return path.isprintable() and path == path.strip()


def _patterns(directory: str, only: list[str]) -> str:
    path = f"{directory}/patterns"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), "w", encoding="utf-8") as file:
        file.writelines(f"+pf:{each.lstrip('/')}\n" for each in only)
        file.write("-re:.\n")
    return path


def progress(line: bytes, spent_s: float) -> str | None:
    """Return borg's progress as a sentence, empty where it says nothing yet; None for any other line."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("type") != "progress_percent":
        return None
    done, whole = told.get("current") or 0, told.get("total") or 0
    if told.get("finished") or not done or not whole or spent_s <= 0:
        return ""
    rate = done / spent_s
    return f"{size(done)} of {size(whole)}, {size(int(rate))}/s, {(whole - done) / rate:.0f} s left"


def listed(line: bytes) -> str | None:
    """Return the path that borg says it begins to write; None for any other line."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    is_path = isinstance(told, dict) and told.get("name") == "borg.output.list"
    return "/" + str(told["message"]).lstrip("/") if is_path else None


def require(code: int, said: bytes, verb: str, *, warned: bool = False) -> None:
    """Raise for an exit code that is no success, with what was said last, in one sentence."""
    if code == 0 or (warned and code == WARNED):
        return
    raise Trouble(f"borg {verb} ended with {code}: {last_words(said.decode('utf-8', errors='replace'))}")


def last_words(said: str) -> str:
    """Return the lines that say why: borg's first, without what it says beside them."""
    lines: list[str] = []
    for line in said.splitlines():
        told = line
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                told = str(json.loads(line).get("message") or "")
        lines += [each.removeprefix("Borg server: ") for each in told.splitlines() if each.strip()]
    full = [line for line in lines if any(each in line for each in FULL)]
    if full:
        return f"the archive's disk is full ({full[0][:200]})"
    after = max((number for number, line in enumerate(lines, 1) if line.startswith(CHAINED)), default=0)
    whole = [line for line in lines[after:] if not line.startswith(BESIDE)]
    return " ".join(whole[:2])[:400] or "it said nothing"
