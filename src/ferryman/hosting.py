"""What an environment's files say of each host alone: where it is, and what the sandbox would make of it."""

import ipaddress
import re
from collections.abc import Iterator
from difflib import get_close_matches

from ferryman.errors import Stop
from ferryman.places import Problem
from ferryman.sandbox import model
from ferryman.sandbox.model import OPTIONS
from ferryman.variables import Loaded, Unfilled

# One that only this machine or its SSH knows may hold capitals and underscores.
NAME = re.compile(r"(?i)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
NUMBERS = re.compile(r"[\d.]+")
NOBODY = "x"


def misspelt(loaded: Loaded) -> Iterator[Problem]:
    """Return settings of sandbox hosts that are misspelt: a host whose image is would be none. Other names are free."""
    for host, values in loaded.hosts.items():
        for name in values:
            option = name.removeprefix("sandbox_")
            if option != name and option not in OPTIONS and (near := get_close_matches(option, OPTIONS, 1, 0.8)):
                right = f"did you mean sandbox_{near[0]}?"
                yield Problem(loaded.place(host, name), name, "is no setting of a sandbox host", right)


def no_sandbox(loaded: Loaded) -> Iterator[Problem]:
    """Return settings of sandbox hosts that the sandbox would not take."""
    for host, values in loaded.hosts.items():
        for option in (option for option in OPTIONS if f"sandbox_{option}" in values):
            name = f"sandbox_{option}"
            try:
                model.host(NOBODY, {option: loaded.fill(host, values[name])})
            except Unfilled:
                continue  # another rule tells
            except Stop as stop:
                wrong = re.sub(rf"^host {NOBODY}: \w+:? ", "", stop.message)
                yield Problem(loaded.place(host, name), name, wrong, stop.hint)


def unreachable(loaded: Loaded) -> Iterator[Problem]:
    """Return addresses of hosts that are none, and no names either: all digits and dots is meant as an address."""
    for host, values in loaded.hosts.items():
        try:
            given = str(loaded.fill(host, values.get("ansible_host", host)))
            if NAME.fullmatch(given) and not NUMBERS.fullmatch(given):
                continue
            ipaddress.ip_address(given)
        except Unfilled:
            continue  # another rule tells
        except ValueError:
            place = loaded.place(host, "ansible_host")
            right = "like 203.0.113.7, 2001:db8::7 or web1.example.org"
            yield Problem(place, "ansible_host", f"{given!r} is no address and no host name", right)
