"""The hosts' images: built on first use, named after their recipe, so that a changed recipe is a new image."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ferryman.errors import Stop
from ferryman.sandbox import command, machine
from ferryman.sandbox.lock import locked
from ferryman.sandbox.model import DEBIANS
from ferryman.sandbox.probing import Engine, environment, last_lines

Say = Callable[[str], None]

RECIPES = Path(__file__).parent / "data"
EXECUTABLE = {"init.sh"}


def recipe(kind: str) -> dict[str, bytes]:
    """Return the files of an image's recipe: name -> content."""
    return {path.name: path.read_bytes() for path in sorted((RECIPES / kind).iterdir()) if path.is_file()}


def digest(files: Mapping[str, bytes], *more: str) -> str:
    """Return a short name for a set of files: equal sets have equal names."""
    whole = hashlib.sha256("\0".join(more).encode())
    for name, content in sorted(files.items()):
        whole.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:12]


def tags(machine_files: Mapping[str, bytes], debian: int) -> dict[str, str]:
    """Return the name of each kind of image of a Debian on a machine that hands over `machine_files`."""
    base = digest(recipe("base"), digest(machine_files), DEBIANS[debian])
    acme = digest(recipe("acme"), base)
    origin = {name: machine_files[name] for name in (machine.SOURCES, machine.APT_CONF) if name in machine_files}
    return {
        "raw": f"localhost/ferryman/sandbox-raw:{digest(origin, DEBIANS[debian])}",
        "base": f"localhost/ferryman/sandbox-base:{base}",
        "acme": f"localhost/ferryman/sandbox-acme:{acme}",
    }


def write_context(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write a build's files, with modes that do not depend on this user's umask."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if path.name in EXECUTABLE else 0o644)
    for path in (directory, *directory.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def exists(engine: Engine, tag: str) -> bool:
    """Say whether this machine has the image."""
    return bool(engine.run("images", "--quiet", "--filter", f"reference={tag}").strip())


def ensure(engine: Engine, kind: str, debian: int, say: Say) -> str:
    """Return the name of an image of this kind, building it (and what it stands on) where it is missing."""
    handed = machine.image_files(debian)
    names = tags(handed, debian)
    if exists(engine, names[kind]):
        return names[kind]
    with locked("image"):  # two that build at once: the second finds it done
        for one in ["base", "acme"] if kind == "acme" else ["base"]:
            if not exists(engine, names[one]):
                base = _base(engine, names, handed, debian, say) if one == "base" else names["base"]
                _build(engine, one, names[one], base, handed if one == "base" else {}, say)
    return names[kind]


@contextmanager
def _scratch(where: Path) -> Iterator[Path]:
    """Give a private directory for a build, and remove what a killed one left (the lock is held: none is at work)."""
    prefix = f"ferryman-image-{os.getuid()}-"
    for left in where.glob(f"{prefix}*"):
        if left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where) as name:
        yield Path(name)


def _build(engine: Engine, kind: str, tag: str, base: str, handed: Mapping[str, bytes], say: Say) -> None:
    say(f"building the sandbox's image `{kind}` (once, up to a minute)")
    with _scratch(Path(tempfile.gettempdir())) as context:
        (context / "machine").mkdir()
        write_context(context, recipe(kind) | {f"machine/{path}": content for path, content in handed.items()})
        engine.run(*command.build(engine, tag, base, context), timeout=1800)


def _base(engine: Engine, names: Mapping[str, str], handed: Mapping[str, bytes], debian: int, say: Say) -> str:
    """Return what the base image is built on: Debian's own image, or one made from package sources."""
    official = f"debian:{debian}"
    if exists(engine, names["raw"]):
        return names["raw"]
    if engine.run("images", "--quiet", official).strip():
        return official
    say(f"fetching {official}")
    try:
        engine.run("pull", "--quiet", official, timeout=300)
    except Stop as stop:
        if not shutil.which("mmdebstrap"):
            raise Stop(
                f"{official} can't be fetched: {stop.message}",
                hint="install mmdebstrap, and the image is made from this machine's package sources",
            ) from stop
        say(
            f"no registry in reach: making a Debian {debian} from this machine's package sources (once, up to a minute)"
        )
        _bootstrap(engine, names["raw"], handed, DEBIANS[debian])
        return names["raw"]
    return official


def bootstrap_argv(sources: str, target: Path, proxies: list[str], codename: str) -> list[str]:
    """Return mmdebstrap's command line; without sources of this machine it takes its own."""
    mirrors = machine.one_line_sources(sources) if sources else []
    options = [f"--aptopt={line}" for line in proxies]
    return ["mmdebstrap", "--quiet", "--variant=minbase", *options, codename, str(target), *mirrors]


def _bootstrap(engine: Engine, tag: str, handed: Mapping[str, bytes], codename: str) -> None:
    sources = handed.get(machine.SOURCES, b"").decode()
    proxies = [line for line in handed[machine.APT_CONF].decode().splitlines() if "proxy" in line.lower()]
    # Some 200 MB that live for seconds: in memory where there is room for them.
    memory = Path("/dev/shm")  # noqa: S108  # a fresh private directory is made in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30
    with _scratch(memory if roomy else Path(tempfile.gettempdir())) as scratch:
        target = scratch / "debian.tar"
        argv = bootstrap_argv(sources, target, proxies, codename)
        told = environment() | {"TMPDIR": str(scratch)}
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=told)
        if done.returncode:
            raise Stop(
                f"mmdebstrap failed: {last_lines(done.stderr)}",
                hint="`apt-get update` must work on this machine",
            )
        engine.run("import", str(target), tag)


def remove_all(engine: Engine) -> None:
    """Remove every image that the sandbox ever built on this machine, but for those that another sandbox runs on."""
    for kind in ("acme", "base", "raw"):  # what stands on another goes first
        reference = f"reference=localhost/ferryman/sandbox-{kind}"
        for tag in engine.run("images", "--filter", reference, "--format", "{{.Repository}}:{{.Tag}}").split():
            # Never by force, which would take running hosts along; what is in use is refused, and stays.
            engine.run("rmi", tag, check=False)
