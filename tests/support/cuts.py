"""A host that whoever drives does not reach, while it goes on with its work and its clients come to it."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.site import Site

from ferryman.sandbox.probing import probe

REFUSED = "reject with tcp reset"
"""What comes is answered at once: nobody is here."""
SILENT = "drop"
"""Nothing comes through either way, and connections wait for it; once it is healed they go on."""


def within(site: Site, host: str, script: str, *, check: bool = True) -> str:
    """Run a script on a host that SSH may not lead to."""
    return probe().run("exec", f"{site.name}-{host}", "bash", "-c", script, check=check).strip()


@contextmanager
def unreached(site: Site, host: str, how: str = REFUSED) -> Iterator[None]:
    """Have the driver not reach a host."""
    port = "$(sshd -T | sed -n 's/^port //p')"
    rules = [f"input tcp dport {port} {how}", *([f"output tcp sport {port} {how}"] if how == SILENT else [])]
    made = ["nft add table inet away"]
    for hook, rule in (each.split(" ", 1) for each in rules):
        made += [
            f"nft 'add chain inet away {hook} {{ type filter hook {hook} priority -1; }}'",
            f"nft add rule inet away {hook} {rule}",
        ]
    within(site, host, " && ".join(made))
    try:
        yield
    finally:
        within(site, host, "nft delete table inet away")
