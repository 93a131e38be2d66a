"""Running Ferryman's own tests: which there are, several at a time where they wait, and one sum at the end."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ferryman import paths, sampling
from ferryman.errors import RETURNED, Stop
from ferryman.sandbox.model import DEBIANS, DEFAULT_DEBIAN

PARTS = ("unit", "roles", "e2e")
WORKERS = 3  # of what needs no hosts: two of the tests, which wait for nothing, and one of a linter
HOSTED_WORKERS = 4  # those with hosts wait for them between their own work; four keep two cores busy
# What begins first, so that the others fill what is left beside it. "e2e" is short, or as long as the one journey that
# it may have: begun late, that would be all that is left to wait for.
LONG = ("faults", "e2e", "role backup", "e2e of a newcomer", "e2e of backups")
MOST_S = 1800
"""So long all of the tests may take on two cores."""
NOTHING: Mapping[str, Collection[str]] = {}
Of = TypeVar("Of")
OUTCOME = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")


@dataclass(frozen=True)
class Step:
    """One run of a tool: a name for people, its command, whether it is counted as one or by its own tests, what its
    environment holds beside that of every test run, and how many workers it has of its own."""

    name: str
    command: list[str]
    counted: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    width: int = 1


@dataclass(frozen=True)
class Result:
    """What came of a step; `passed` and `failed` count tests, or the step itself where it has none."""

    name: str
    passed: int
    failed: int
    seconds: float


def prove(what: str, *, junit: str = "", record: bool = False, as_json: bool = False) -> None:
    """Run one part (or all, for an empty word) and print a sum; a failure is a `Stop`.

    With `record` it is written under docs/records how long all of it took; a run that fails leaves none.
    """
    if what and what not in PARTS:
        raise Stop(f"there is no part {what!r} of the tests", hint=f"one of: {', '.join(PARTS)}; or no word for all")
    if what and record:
        raise Stop(
            f"only all of the tests are recorded, and {what!r} is a part", hint="leave out the word, or --record"
        )
    root, began = checkout(), time.monotonic()
    out = sys.stderr if as_json else sys.stdout
    say: Callable[[str], None] = lambda text: print(text, file=out, flush=True)  # noqa: E731  # shorter than a class
    left = {} if what else left_out(root, commit(root))
    for kind, names in left.items():
        say(f"  {kind} left to ./invoke test {'roles' if kind == 'roles' else 'e2e (or roles)'}: {', '.join(names)}")
    results: list[Result] = []
    # What needs no hosts comes first: it fails soonest. What needs them waits a lot, and goes side by side.
    for parts in [[what]] if what else [["unit"], ["e2e", "roles"]]:
        wanted = [step for part in parts for step in steps(part, root, junit, left)]
        first = {name: at for at, name in enumerate(LONG)}
        wanted.sort(key=lambda step: first.get(step.name.partition(sampling.ON_DEBIAN)[0], len(LONG)))
        workers = WORKERS if parts == ["unit"] else HOSTED_WORKERS
        try:
            results += side_by_side(wanted, workers, lambda step: run(step, root, say))
        finally:
            shutil.rmtree(_scenarios_place(), ignore_errors=True)
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    say("")
    for result in results:
        state = "failed" if result.failed else "passed"
        say(f"{state:6}  {result.seconds:6.1f} s  {result.name}")
    say(f"\n{passed} passed, {failed} failed")
    told = {"passed": passed, "failed": failed, "steps": [vars(result) for result in results]}
    if failed:
        red = ", ".join(result.name for result in results if result.failed)
        raise Stop(f"tests failed: {red}", hint="their output is above", code=RETURNED, facts=told)
    if record:
        say(f"recorded in {write(root, _whole(root, left, told, time.monotonic() - began))}")
    if as_json:
        print(json.dumps(told))


def _whole(root: Path, left: Mapping[str, Collection[str]], told: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return the record of a whole run."""
    taken = sorted(sampling.journeys(root).keys() - set(left["journeys"]))
    row = {"what": "`./invoke test`", "measured": f"{seconds:,.0f} s", "target": f"at most {MOST_S:,} s"}
    return {"name": "test", **provenance(root), "journeys": taken, **told, "rows": [row]}


def write(root: Path, record: Mapping[str, Any]) -> Path:
    """Write a record below `root`, and return where."""
    target = root / "docs" / "records" / f"{record['name']}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target.relative_to(root)


def side_by_side(steps: Sequence[Step], workers: int, act: Callable[[Step], Of]) -> list[Of]:
    """Do something with every step, begun in their order, as many at a time as there are workers for."""
    free = threading.Semaphore(workers)
    turn = threading.Lock()  # who waits for two is not overtaken by those that want one

    def go(step: Step) -> Of:
        width = min(step.width, workers)
        with turn:
            for _ in range(width):
                free.acquire()
        try:
            return act(step)
        finally:
            free.release(width)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(go, steps))


def steps(part: str, root: Path, junit: str, left: Mapping[str, Collection[str]] = NOTHING) -> list[Step]:
    """Return what there is to run for a part, without what is `left` out of it, as `left_out` has it."""
    journeys = left.get("journeys", ())
    if part == "unit":
        # These need no hosts, and hardly wait: one worker for each core.
        split = ["--numprocesses", "2", "--dist", "worksteal"]
        return [
            *linters(root),
            *pytest("unit and contract", ["tests/unit", "tests/contract"], root, junit, *split, width=2),
        ]
    if part == "roles":
        return [step for step in scenarios(root, journeys) if step.name not in left.get("roles", ())]
    # Those of one newcomer go one after another: each begins where the one before it ended. So do those of one site,
    # which two workers would provision twice, and those of one pair with its archive; other files have hosts of their
    # own, and go two at a time where all of them go.
    pair = "tests/e2e/test_backups.py"
    split = [] if journeys else ["--numprocesses", "2", "--dist", "loadfile"]

    def only(*marks: str) -> list[str]:
        words = sampling.only(journeys, *marks)
        return ["-m", words] if words else []

    others = [*only("not newcomer", "not hosted"), f"--ignore={pair}", *split]
    return [
        *pytest("e2e of a newcomer", ["tests/e2e"], root, junit, *only("newcomer")),
        *pytest("faults", ["tests/faults"], root, junit, *only()),
        *pytest("e2e of backups", [pair], root, junit, *only()),
        *pytest("e2e", ["tests/e2e"], root, junit, *others, width=1 if journeys else 2),
        *pytest("e2e of a site", ["tests/e2e"], root, junit, *only("hosted")),
    ]


def left_out(root: Path, of: str) -> dict[str, list[str]]:
    """Return what the whole run of a commit leaves out, as `sampling.left_out` has it."""
    return sampling.left_out(root, sampling.turn(of), [step.name for step in scenarios(root)])


def scenarios(root: Path, left: Collection[str] = ()) -> list[Step]:
    """Return every role's Molecule scenario, once for each Debian that the role's own meta names, without the journeys
    that are `left` out of its tests."""
    found = []
    less = {"PYTEST_ADDOPTS": shlex.join(["-m", sampling.only(left)])} if left else {}
    for name in sorted(path.parent.name for path in root.glob("molecule/*/molecule.yml")):
        for debian in debians(root / "roles" / name / "meta" / "main.yml"):
            on = f"{sampling.ON_DEBIAN}{debian}" if debian != DEFAULT_DEBIAN else ""
            # Two of one scenario may run at once, and one may have been killed before: each keeps its hosts and files
            # apart.
            place = _scenarios_place() / f"{name}-{debian}"
            variables = {"FERRYMAN_SANDBOX_DEBIAN": str(debian), "MOLECULE_EPHEMERAL_DIRECTORY": str(place), **less}
            command = [sys.executable, "-m", "molecule", "test", "-s", name]
            found.append(Step(f"role {name}{on}", command, variables=variables))
    return found


def _scenarios_place() -> Path:
    """Return where Molecule keeps the files of this process's scenarios."""
    return Path(tempfile.gettempdir()) / f"ferryman-molecule-{os.getpid()}"


def debians(meta: Path) -> list[int]:
    """Return the Debians that a role's meta/main.yml says it knows."""
    import yaml

    platforms = yaml.safe_load(meta.read_text(encoding="utf-8"))["galaxy_info"]["platforms"]
    names = {version for platform in platforms if platform["name"] == "Debian" for version in platform["versions"]}
    return [number for number, name in DEBIANS.items() if name in names]


def linters(root: Path) -> list[Step]:
    """Return the checkers; each counts as one test."""
    module = [sys.executable, "-m"]
    python = [name for name in ("src", "plugins", "tests", "molecule", "docs", "tasks.py") if (root / name).exists()]
    return [
        Step("ruff", [*module, "ruff", "check", *python]),
        Step("ruff format", [*module, "ruff", "format", "--check", *python]),
        Step("mypy", [*module, "mypy"]),
        Step("yamllint", [*module, "yamllint", "--strict", "."]),
        Step("ansible-lint", [str(Path(sys.executable).with_name("ansible-lint")), "--offline"]),
    ]


def pytest(name: str, places: list[str], root: Path, junit: str, *words: str, width: int = 1) -> list[Step]:
    """Return one pytest run over those places that there are; none for none, or pytest would take its defaults."""
    there = [place for place in places if (root / place).exists()]
    report = [f"--junit-xml={Path(junit).resolve() / name.replace(' ', '-')}.xml"] if junit else []
    command = [sys.executable, "-m", "pytest", "-q", *words, *report, *there]
    return [Step(name, command, counted=True, width=width)] if there else []


def run(step: Step, root: Path, say: Callable[[str], None]) -> Result:
    """Run a step; what failed shows all that it said, what passed says only its last line."""
    began = time.monotonic()
    say(f"  ...   {step.name}")
    done = subprocess.run(
        step.command, cwd=root, env=environment(**step.variables), text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    passed, failed = (
        count(done.stdout, done.returncode) if step.counted else (int(done.returncode == 0), int(done.returncode != 0))
    )
    last = done.stdout.strip().splitlines()[-1:] if step.counted else []
    text = done.stdout if failed else "\n".join(last)
    say(f"{'FAILED' if failed else 'passed'}  {step.name} ({seconds:.1f} s)" + (f"\n{text}" if text else ""))
    return Result(step.name, passed, failed, round(seconds, 1))


def count(output: str, code: int) -> tuple[int, int]:
    """Read a pytest run's closing line; a run that broke before it (or had no test) counts as one failure."""
    last = next((line for line in reversed(output.splitlines()) if OUTCOME.search(line)), "")
    found = {name: int(number) for number, name in OUTCOME.findall(last)}
    failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
    return found.get("passed", 0), failed if code == 0 else max(failed, 1)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a test run: the virtual environment's programs first, colours off, no prompts.

    Python keeps what it compiles, as it does for people, whatever is set here: all of the tests are a dozen runs of
    pytest, and each would rewrite every one of them.
    """
    programs = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "PATH": f"{programs}:{os.environ.get('PATH', '')}",
        "ANSIBLE_FORCE_COLOR": "0",
        "NO_COLOR": "1",
        "PY_COLORS": "0",
    } | more  # fmt: skip


def checkout() -> Path:
    """Return the checkout's root: an installed Ferryman has no tests."""
    if not paths.in_checkout():
        raise Stop(
            "the tests are in a checkout of Ferryman, and this one is installed",
            hint="clone Ferryman, then ./invoke test",
        )
    return paths.CHECKOUT


def soak(name: str, *, as_json: bool = False) -> None:
    """Run the soak `name` in full and write docs/records/<name>.json.

    A soak is a test called `test_soak_<name>` and marked `soak`; the fixture `soak` tells it how much to count and
    keeps its figures. As part of `test` it counts a seeded sample.
    """
    root = checkout()
    known = sorted(
        {
            found
            for path in root.glob("tests/**/*.py")
            for found in re.findall(r"def test_soak_(\w+)\(", path.read_text())
        }
    )
    if name not in known:
        raise Stop(
            f"there is no soak {name!r}" if name else "name a soak", hint=f"one of: {', '.join(known) or 'none yet'}"
        )
    figures = paths.state_directory(root) / f"soak-{name}-{os.getpid()}.json"
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "soak", "-k", f"test_soak_{name}", "tests"]
    out = sys.stderr if as_json else None
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment(FERRYMAN_SOAK="full", FERRYMAN_SOAK_FIGURES=str(figures)),
            stdout=out,
            check=False,
        )
        said = json.loads(figures.read_text()) if figures.exists() else {}
    finally:
        figures.unlink(missing_ok=True)
    if done.returncode:
        raise Stop(f"soak {name} failed", hint="nothing was recorded", code=RETURNED)
    record = {"name": name, **provenance(root), "duration_s": round(time.monotonic() - began, 1), **said}
    target = write(root, record)
    print(json.dumps(record) if as_json else f"recorded in {target}")


def pictures() -> list[Path]:
    """Run the tests that take pictures of what people see, and take them over into docs/pictures."""
    root = checkout()
    taken = paths.state_directory(root) / "pictures"
    shutil.rmtree(taken, ignore_errors=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "picture", "tests/e2e"]
    if subprocess.run(command, cwd=root, env=environment(), stdout=sys.stderr, check=False).returncode:
        raise Stop(
            "a picture could not be taken", hint="the tests' output is above; nothing was changed", code=RETURNED
        )
    return [Path(shutil.copy(path, root / "docs" / "pictures")) for path in sorted(taken.iterdir())]


def bench(name: str, *, as_json: bool = False) -> None:
    """Run the module tests.bench.<name>, with its output as it comes, or at its end as the lines of one object."""
    root = checkout()
    known = sorted(path.stem for path in root.glob("tests/bench/*.py") if not path.stem.startswith("_"))
    if name not in known:
        raise Stop(
            f"there is no benchmark {name!r}" if name else "name a benchmark",
            hint=f"one of: {', '.join(known) or 'none yet'}",
        )
    command, out = [sys.executable, "-m", f"tests.bench.{name}"], subprocess.PIPE if as_json else None
    done = subprocess.run(command, cwd=root, env=environment(), stdout=out, text=True, errors="replace", check=False)
    lines = (done.stdout or "").splitlines()
    if done.returncode:
        raise Stop(f"benchmark {name} failed", hint="its output says why", code=RETURNED, facts={"lines": lines})
    if as_json:
        print(json.dumps({"name": name, **provenance(root), "lines": lines}))


def provenance(root: Path) -> dict[str, object]:
    """Return what a figure is worth nothing without: commit (and whether the tree was clean), time, machine."""
    return {
        "commit": commit(root),
        # Records that were written a moment ago change nothing of what is measured.
        "dirty": bool(git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/records")),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
    }


def commit(root: Path) -> str:
    """Return the commit that is checked out; nothing where there is no git."""
    return git(root, "rev-parse", "HEAD")


def git(root: Path, *words: str) -> str:
    """Return what git prints, with no error where it can't."""
    return subprocess.run(["git", *words], cwd=root, text=True, capture_output=True, check=False).stdout.strip()


def machine() -> dict[str, object]:
    """Return what the machine is, without its name or addresses."""
    memory = model = ""
    with contextlib.suppress(OSError):
        memory = Path("/proc/meminfo").read_text().split("\n", 1)[0].split()[1]
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = found.group(1) if found else ""
    system = os.uname()
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": model,
        "memory_mb": int(memory) // 1024 if memory else None,
        "kernel": f"{system.sysname} {system.release.split('-')[0]} {system.machine}",
        "python": ".".join(map(str, sys.version_info[:3])),
        "yardstick_s": yardstick(),
    }


def yardstick() -> float:
    """Return how many seconds a fixed piece of work takes, at its best. By this, seconds that were measured on two days
    can be compared: a machine that shares its processor has more of it on one day than on another."""
    work = "sorted(str(n * 7919 % 100_003) for n in range(100_000))"
    return round(min(timeit.repeat(work, number=1, repeat=7)), 4)
