"""A person with the paper copy of keys and a repository, and nothing else: types in what stands there."""

import subprocess
import textwrap
from pathlib import Path

PASSPHRASE_MARKS = ("    >", "<")
ODD = "IFS=$'/-:_ \\tabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'\n"
"""A shell that somebody has set up as no manual expects."""
LISTING = "borg --bypass-lock list"


def blocks(paper: str) -> list[str]:
    """Return what is to be typed or written, in its order: the indented blocks after the last key."""
    how = paper[paper.index("HOW TO RESTORE BY HAND") :]
    found: list[list[str]] = [[]]
    for line in how.splitlines():
        if line.startswith("    "):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [textwrap.dedent("\n".join(lines)) for lines in found if lines]


def passphrase(paper: str) -> str:
    begin, end = PASSPHRASE_MARKS
    (line,) = (line for line in paper.splitlines() if line.startswith(begin))
    return line.removeprefix(begin).removesuffix(end)


def of_set(paper: str, kind: str) -> dict[str, str]:
    """Return what the paper has of a set: its id, the fingerprint, and the lines of its key after their colons."""
    text = paper[paper.index(f"SET {kind}, ") :]
    told = dict(line.split(": ", 1) for line in text.splitlines()[1:3])
    key = text[text.index("BORG PAPER KEY v1") :].split("\n\n")[0].splitlines()[1:]
    return {**told, "typed": "".join(f"{line.split(':', 1)[1].strip()}\n" for line in key)}


def restored(paper: str, kind: str, repository: Path, backup: str, here: Path) -> Path:
    """Go through the paper with a repository whose file `config` is gone; return the directory with what came back."""
    restore, fingerprint, key_import, config = blocks(paper)
    told, env = of_set(paper, kind), {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(here)}
    (repository / "config").write_text(config.replace("= ID", f"= {told['id']}") + "\n")
    begin, rest = restore.replace("REPOSITORY", str(repository)).split(LISTING, 1)
    rest = LISTING + rest.replace("BACKUP", backup)
    script = "\n".join(["set -e", ODD, begin, key_import, fingerprint, rest])
    done = subprocess.run(
        ["bash", "-c", script], cwd=here, env=env, text=True, capture_output=True, check=False,
        input=passphrase(paper) + "\n" + told["typed"],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert told["fingerprint"] in done.stdout, done.stdout + done.stderr
    assert backup in done.stdout.split()
    return here / "back"


def as_it_lies(paper: str, repository: str, backup: str) -> str:
    """Return a script that restores from a repository whose key is in its place, as the paper has it."""
    restore, fingerprint, _, _ = blocks(paper)
    typed = restore.replace("'REPOSITORY'", f"'{repository}'").replace("BACKUP", backup)
    return "\n".join(["set -e", ODD, typed, fingerprint])
