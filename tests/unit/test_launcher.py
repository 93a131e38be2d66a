"""The launcher `./invoke`, run in copies of the checkout's few files that it reads."""

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
    script = (checkout / "invoke").read_text().replace("/usr/bin/python3 /usr/local/bin/python3", "")
    (checkout / "invoke").write_text(script)
    done = invoke(checkout, "deploy", PATH=str(bare))
    assert done.returncode == 1
    assert "python3" in done.stderr


def test_a_python_that_refuses_to_run_is_passed_over(checkout: Path) -> None:
    """pyenv has a shim for every version, and most of them only print an error."""
    shims = checkout / "shims"
    shims.mkdir()
    for name in ("python3", "python3.13"):
        (shims / name).write_text("#!/bin/sh\nexit 127\n")
        (shims / name).chmod(0o755)
    good = shims / "python3.12"
    good.write_text('#!/bin/sh\ncase $* in *version_info* | *ensurepip*) exit 0 ;; esac\necho "good $*" >&2; exit 1\n')
    good.chmod(0o755)
    (checkout / "requirements" / "run.txt").write_text("# newer\n")
    (checkout / ".venv" / "bin" / "python").unlink()
    done = invoke(checkout, "--list", PATH=f"{shims}:{os.environ['PATH']}")
    assert "good -m venv --clear" in done.stderr


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


def test_missing_packages_are_named_and_not_installed_unasked(checkout: Path) -> None:
    (checkout / "requirements" / "system-debian.txt").write_text("ferryman-no-such-package  # a comment\n")
    tools = checkout / "tools"
    tools.mkdir()
    (tools / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tools / "apt-get").write_text('#!/bin/sh\necho "apt-get $*"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    refused = invoke(checkout, "deploy", PATH=path)
    assert refused.returncode == 1
    assert "ferryman-no-such-package" in refused.stderr
    assert "apt-get install" in refused.stderr
    assert "ran" not in refused.stdout
    assert "ran -m ferryman deploy --env prod" in invoke(checkout, "deploy", "--env", "prod", PATH=path).stdout
    assert "ran -m ferryman --list" in invoke(checkout, "--list", PATH=path).stdout


def test_the_script_is_plain_sh(checkout: Path) -> None:
    dash = shutil.which("dash") or "sh"
    assert subprocess.run([dash, "-n", str(ROOT / "invoke")], check=False).returncode == 0
