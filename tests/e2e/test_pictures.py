"""The picture of a deploy: what stands on a terminal after a real one."""

import re
import socket

import pytest
from rich.text import Text
from tests.support import drawing
from tests.support.histories import good
from tests.support.newcomer import Newcomer
from tests.support.terminal import Terminal

ROWS = 50


@pytest.mark.picture
def test_a_deploy_on_a_terminal_ends_with_its_steps_and_where_it_serves(newcomer: Newcomer) -> None:
    newcomer.repository.commit(good("As the picture shows"))
    environment = newcomer.environment()
    environment.pop("NO_COLOR")
    shown = Terminal(["bash", "-c", "./invoke deploy"], newcomer.root, environment, rows=ROWS, columns=drawing.COLUMNS)
    code = shown.wait(400)
    lines = drawing.screen(as_in_the_readme(newcomer, shown.raw.decode()))
    text = "\n".join(line.plain for line in lines)
    assert code == 0, text
    assert re.search(rf"{newcomer.served()} is live on local \(\d+\.\d s\)", text), text
    assert "https://notes.localhost:8443" in text
    assert "✓" in text
    assert len(text.splitlines()) <= ROWS, "more than a screen"
    assert not any(word in text for word in (str(newcomer.root), socket.gethostname()))
    drawing.keep("deploy.svg", [Text("$ ./invoke deploy"), *lines], "~/ferryman")


def as_in_the_readme(newcomer: Newcomer, seen: str) -> str:
    """Return what was written with the names that the README's reader has: those of this clone are the test's own."""
    for ours, theirs in {str(newcomer.root): "~/ferryman", newcomer.name: "ferryman"}.items():
        seen = seen.replace(ours, theirs)
    for told, port in newcomer.ports.items():
        seen = re.sub(rf"(?<=:){port}\b", str(told), seen)
    return seen.replace(socket.gethostname(), "laptop")
