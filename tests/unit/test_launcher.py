"""The launcher `./invoke`, run in copies of the checkout's few files that it reads."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose .venv is there and whose Python only says what it was asked."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "invoke", tmp_path)
    for name in ("run", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"# {name}\n")
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    shutil.copy(tmp_path / "requirements" / "run.txt", venv / ".lock-run")
    python = venv / "bin" / "python"
    python.write_text('#!/bin/sh\necho "ran $*"\n')
    python.chmod(0o755)
    return tmp_path


def invoke(checkout: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    keep = {key: value for key, value in os.environ.items() if key not in ("CI", "FERRYMAN_PYTHON")}
    return subprocess.run(
        [str(checkout / "invoke"), *words], text=True, capture_output=True, env=keep | environment,
        stdin=subprocess.DEVNULL, check=False, timeout=60,
    )  # fmt: skip


def test_words_arrive_as_they_were_typed(checkout: Path) -> None:
    done = invoke(checkout, "deploy", "--env", "prod", "--ref", "a b")
    assert done.stdout == "ran -m ferryman deploy --env prod --ref a b\n"


def test_the_checkout_becomes_a_collection(checkout: Path) -> None:
    invoke(checkout, "--list")
    link = checkout / ".ansible/collections/ansible_collections/ferryman/ops"
    assert link.resolve() == checkout
    assert not link.readlink().is_absolute()


def test_no_python_is_told_with_what_to_do(checkout: Path) -> None:
    (checkout / "requirements" / "run.txt").write_text("# newer\n")
    bare = checkout / "bare"
    bare.mkdir()
    for tool in ("dirname", "cmp", "flock", "id", "rm", "sed"):
        (bare / tool).symlink_to(str(shutil.which(tool)))
    instead(checkout, " /usr/bin/python3 /usr/local/bin/python3")
    done = invoke(checkout, "deploy", PATH=str(bare))
    assert done.returncode == 1
    assert "python3" in done.stderr


def instead(checkout: Path, was: str, now: str = "") -> None:
    """Have the launcher look for Python somewhere else."""
    script = (checkout / "invoke").read_text()
    assert was in script
    (checkout / "invoke").write_text(script.replace(was, now))


SYSTEMS = "$(readlink -f /usr/bin/python3)"


def a_python(place: Path, *, venv: bool = True) -> Path:
    """Return a Python of the right version, with `venv` or without, that otherwise only says what it was asked."""
    place.write_text(
        f"#!/bin/sh\ncase $2 in *import*venv*) exit {int(not venv)} ;; *version_info*) exit 0 ;; esac\n"
        f'echo "{place.name} $*" >&2; exit 1\n'
    )
    place.chmod(0o755)
    return place


@pytest.fixture
def shims(checkout: Path) -> Path:
    """A directory for Pythons that goes first on the PATH of a checkout that is to make its .venv anew."""
    (checkout / "shims").mkdir()
    (checkout / "requirements" / "run.txt").write_text("# newer\n")
    (checkout / ".venv" / "bin" / "python").unlink()
    return checkout / "shims"


def test_a_python_that_refuses_to_run_is_passed_over(checkout: Path, shims: Path) -> None:
    """pyenv has a shim for every version, and most of them only print an error."""
    instead(checkout, SYSTEMS)
    for name in ("python3", "python3.13"):
        (shims / name).write_text("#!/bin/sh\nexit 127\n")
        (shims / name).chmod(0o755)
    a_python(shims / "python3.12")
    done = invoke(checkout, "--list", PATH=f"{shims}:{os.environ['PATH']}")
    assert "python3.12 -m venv --clear" in done.stderr


def test_the_python_of_the_system_goes_before_the_one_of_the_path_and_the_one_that_is_named_before_both(
    checkout: Path, shims: Path
) -> None:
    named, systems = (a_python(checkout / name) for name in ("named", "systems"))
    a_python(shims / "python3")
    instead(checkout, SYSTEMS, str(systems))
    path = f"{shims}:{os.environ['PATH']}"
    assert "systems -m venv --clear" in invoke(checkout, "--list", PATH=path).stderr
    assert "named -m venv --clear" in invoke(checkout, "--list", PATH=path, FERRYMAN_PYTHON=str(named)).stderr
    systems.write_text("#!/bin/sh\nexit 1\n")
    assert "python3 -m venv --clear" in invoke(checkout, "--list", PATH=path).stderr


def test_a_python_that_needs_a_package_for_environments_goes_last(checkout: Path, shims: Path) -> None:
    a_python(shims / "python3", venv=False)
    a_python(shims / "python3.13")
    instead(checkout, SYSTEMS)
    done = invoke(checkout, "--list", PATH=f"{shims}:{os.environ['PATH']}")
    assert "python3.13 -m venv --clear" in done.stderr


def test_a_python_that_is_named_is_taken_or_refused_and_no_other_in_its_place(checkout: Path, shims: Path) -> None:
    named = a_python(shims / "named", venv=False)
    done = invoke(checkout, "--list", FERRYMAN_PYTHON=str(named))
    assert "nobody to ask whether to install system packages: python3-venv" in done.stderr
    done = invoke(checkout, "--list", FERRYMAN_PYTHON="/usr/bin/false")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1, "FERRYMAN_PYTHON is no Python 3.11 to 3.14 that runs: /usr/bin/false",
    )  # fmt: skip


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    """The lock is as it was: what is gone is what it stands on, by an upgrade of the system."""
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout / "python3.9")
    done = invoke(checkout, "--list", FERRYMAN_PYTHON=str(a_python(checkout / "named")))
    assert "named -m venv --clear" in done.stderr


def test_a_new_lock_is_installed_and_an_interrupted_install_taken_up(checkout: Path) -> None:
    (checkout / "requirements" / "run.txt").write_text("# newer\n")
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(
        '#!/bin/sh\ncase $* in *"pip install"*) echo "pip $*" >&2; exit ${FAIL:-0} ;; esac\necho "ran $*"\n'
    )
    broken = invoke(checkout, "--list", FAIL="1")
    assert broken.returncode == 1
    assert "could not be installed" in broken.stderr
    assert not (checkout / ".venv" / ".lock-run").exists()
    repaired = invoke(checkout, "--list")
    assert "--require-hashes" in repaired.stderr
    assert repaired.stdout.endswith("ran -m ferryman --list\n")
    assert invoke(checkout, "--list").stderr == ""


@pytest.mark.parametrize(
    ("told", "broken", "by_pip"),
    [("", False, False), ("", True, True), ("global.index-url='https://index.example.org'", False, True)],
    ids=["as it comes", "uv finds no index", "pip has an index of its own"],
)
def test_uv_of_the_lock_installs_it_and_where_only_pip_can_pip_does(
    checkout: Path, told: str, broken: bool, by_pip: bool
) -> None:
    (checkout / "requirements" / "run.txt").write_text("uv==1 \\\n    --hash=sha256:00\nzipp==2 --hash=sha256:01\n")
    programs = checkout / ".venv" / "bin"
    (programs / "python").write_text(
        f'#!/bin/sh\ncase $* in *"config list"*) echo "{told}" ;; '
        f'*"pip install"*) for last; do :; done; echo "pip $last" >>"{checkout}/done" ;; esac\n'
    )
    (programs / "uv").write_text(f'#!/bin/sh\necho "uv $2" >>"{checkout}/done"\nexit {int(broken)}\n')
    (programs / "uv").chmod(0o755)
    assert invoke(checkout, "--list").returncode == 0
    done = (checkout / "done").read_text().splitlines()
    assert ("uv install" in done) is not bool(told)
    assert (f"pip {checkout}/requirements/run.txt" in done) is by_pip
    if not told:
        assert (checkout / ".venv" / ".uv.txt").read_text() == "uv==1 \\\n    --hash=sha256:00\n"


def test_tests_take_the_larger_lock_and_others_then_keep_it(checkout: Path) -> None:
    assert "requirements/dev.txt" in invoke(checkout, "test", "unit", "--yes", CI="true").stderr
    assert "Preparing" not in invoke(checkout, "--list").stderr


@pytest.fixture
def lacking(checkout: Path) -> Path:
    """A directory of tools that know of no package: apt-get only says what it was asked, and ends with $APT."""
    (checkout / "requirements" / "system-debian.txt").write_text("ferryman-no-such-package  # a comment\n")
    tools = checkout / "tools"
    tools.mkdir()
    (tools / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tools / "apt-get").write_text('#!/bin/sh\necho "apt-get $*"\nexit "${APT:-0}"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return tools


def beside(tools: Path) -> str:
    """A PATH on which the tools come first."""
    return f"{tools}:{os.environ['PATH']}"


def test_missing_packages_are_named_and_not_installed_unasked(checkout: Path, lacking: Path) -> None:
    path = beside(lacking)
    refused = invoke(checkout, "deploy", PATH=path)
    assert refused.returncode == 1
    assert "ferryman-no-such-package" in refused.stderr
    assert "apt-get install" in refused.stderr
    assert "ran" not in refused.stdout
    assert "ran -m ferryman deploy --env prod" in invoke(checkout, "deploy", "--env", "prod", PATH=path).stdout
    assert "ran -m ferryman --list" in invoke(checkout, "--list", PATH=path).stdout


@pytest.mark.parametrize(
    ("said", "pipeline"),
    [("true", True), ("1", True), ("woodpecker", True), ("", False), ("0", False), ("false", False)],
)
def test_a_pipeline_is_known_by_whatever_it_says_and_is_not_asked(
    checkout: Path, lacking: Path, said: str, pipeline: bool
) -> None:
    done = invoke(checkout, "deploy", PATH=beside(lacking), CI=said)
    assert ("apt-get update" in done.stderr) is pipeline
    assert (done.returncode == 0) is pipeline


def test_an_apt_that_fails_is_a_refusal_with_what_to_type_and_not_its_own_code(checkout: Path, lacking: Path) -> None:
    done = invoke(checkout, "deploy", "--yes", PATH=beside(lacking), APT="100")
    assert done.returncode == 1
    *_, error, hint = done.stderr.splitlines()
    assert error == "system packages could not be installed: ferryman-no-such-package"
    assert hint.endswith("apt-get install ferryman-no-such-package")
    assert "apt-get install -y" not in done.stderr, "it went on after the lists could not be read"


def test_who_is_not_root_and_has_no_sudo_is_told_so(checkout: Path, lacking: Path) -> None:
    for tool in ("dirname", "cmp", "sed", "grep", "git", "rsync", "ssh", "mkdir", "ln"):
        (lacking / tool).symlink_to(str(shutil.which(tool)))
    (lacking / "id").write_text("#!/bin/sh\necho 1000\n")
    (lacking / "id").chmod(0o755)
    done = invoke(checkout, "deploy", "--yes", PATH=str(lacking))
    assert done.returncode == 1
    assert "there is no sudo: ferryman-no-such-package\n  as root: apt-get install" in done.stderr


@pytest.mark.parametrize("words", [["deploy", "--json"], ["--json", "deploy"], ["deploy", "--yes", "--json"]])
def test_a_refusal_of_the_launcher_is_one_object_for_a_pipeline(
    checkout: Path, lacking: Path, words: list[str]
) -> None:
    done = invoke(checkout, *words, PATH=beside(lacking), APT="100")
    said = json.loads(done.stdout)
    assert (done.returncode, said["code"], set(said)) == (1, 1, {"error", "hint", "code"})
    assert said["error"].endswith(": ferryman-no-such-package")
    assert "apt-get install ferryman-no-such-package" in said["hint"]
    assert said["error"] not in done.stderr


def test_a_place_whose_name_json_would_stumble_over_is_told_as_it_is(checkout: Path) -> None:
    odd = checkout / 'a "quoted" \\ name\nof two lines'
    (odd / "requirements").mkdir(parents=True)
    (odd / "requirements" / "run.txt").touch()
    (odd / ".venv").write_text("a file is in the way")
    shutil.copy(checkout / "invoke", odd)
    done = invoke(odd, "--list", "--json")
    assert done.returncode == 1
    assert str(odd / ".venv") in json.loads(done.stdout)["error"]


def test_what_breaks_off_where_nobody_thought_of_it_is_a_refusal_too(checkout: Path) -> None:
    (checkout / ".ansible").write_text("a file is in the way")
    for words in (["--list"], ["--list", "--json"]):
        done = invoke(checkout, *words)
        assert done.returncode == 1
        assert ".ansible" in done.stderr
        told = json.loads(done.stdout)["error"] if "--json" in words else done.stderr
        assert "broke off before the command began" in told


def test_the_script_is_plain_sh(checkout: Path) -> None:
    dash = shutil.which("dash") or "sh"
    assert subprocess.run([dash, "-n", str(ROOT / "invoke")], check=False).returncode == 0
