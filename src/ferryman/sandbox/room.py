"""Room for systemd hosts in this machine's kernel: their systemd and its services watch files, and that is limited."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ferryman.errors import Stop
from ferryman.sandbox.image import Say

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")  # for all that one user runs, in whichever container
PER_HOST = 8  # measured on provisioned hosts: 7 to 8
WATCH = "anon_inode:inotify"


def enough(limit: int, used: int, hosts: int) -> int:
    """Return the limit that so many more hosts want: the one that there is, or one with as much room again."""
    wanted = used + hosts * PER_HOST
    return limit if wanted <= limit else 1 << (2 * wanted).bit_length()


def ensure(hosts: int, say: Say, limit: Path = LIMIT, processes: Path = Path("/proc")) -> None:
    """Have room for so many hosts more, or stop and say how to make it: a host without it does not boot.

    Whoever runs the engine as root may raise the limit, and it holds until the machine boots; it is said.
    """
    if not limit.exists():
        return  # no Linux: the engine's own machine sees to it
    now = int(limit.read_text())
    wanted = enough(now, watches(processes.glob("[0-9]*/fd")), hosts)
    if wanted == now:
        return
    told = f"fs.inotify.max_user_instances is {now}, too little for {hosts} more hosts with systemd"
    try:
        limit.write_text(f"{wanted}\n")
    except OSError:
        raise Stop(told, hint=f"sudo sysctl -w fs.inotify.max_user_instances={wanted}") from None
    say(f"{told}: set to {wanted} until this machine boots again")


def watches(descriptors: Iterable[Path]) -> int:
    """Count what watches files now, of all processes that this one may look into."""
    found = 0
    for directory in descriptors:
        with suppress(OSError):  # it has ended, or is another's
            for each in directory.iterdir():
                with suppress(OSError):
                    found += str(each.readlink()) == WATCH
    return found
