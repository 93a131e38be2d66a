"""What sshd is told, and whether it heard it; and whose connection it is."""

import subprocess
import sys

from ansible_collections.ferryman.ops.plugins.module_utils.host import sshd, trial

SETTINGS = {"PasswordAuthentication": "no", "PermitRootLogin": "prohibit-password"}


def test_settings_are_one_a_line() -> None:
    assert sshd.render(SETTINGS).splitlines()[1:] == ["PasswordAuthentication no", "PermitRootLogin prohibit-password"]


def test_another_name_of_a_value_is_the_same_value() -> None:
    assert sshd.unheard(SETTINGS, "port 22\npasswordauthentication no\npermitrootlogin without-password\n") == []


def test_what_another_file_said_first_is_told() -> None:
    assert sshd.unheard(SETTINGS, "passwordauthentication yes\n") == [
        "PasswordAuthentication is yes and not no",
        "PermitRootLogin is nothing and not prohibit-password",
    ]


def test_connection_is_found_among_the_ancestors_though_sudo_empties_the_environment() -> None:
    look = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from ansible_collections.ferryman.ops.plugins.module_utils.host import trial\nprint(trial.connection())"
    )
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], env={}, check=True)"
    seen = subprocess.run(
        [sys.executable, "-c", outer, look],
        env={"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 2222"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "192.0.2.1 50000 192.0.2.2 2222\n"


def test_undoing_never_happens_twice(tmp_path: object) -> None:
    script = trial.UNDO.format(directory=tmp_path, undo=f"echo undone >> {tmp_path}/seen")
    for _ in range(2):
        subprocess.run(["sh", "-c", f"[ -e {tmp_path}/seen ] || : > {tmp_path}/pending; {script}"], check=True)
    assert subprocess.run(["cat", f"{tmp_path}/seen"], capture_output=True, text=True, check=True).stdout == "undone\n"
