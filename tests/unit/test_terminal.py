"""What a terminal really shows while work goes on, and what is left on it."""

import os
import re
import sys
from pathlib import Path

import pytest
from tests.support.terminal import CTRL_C, Terminal

HOSTS = [f"web{number}.eu-central-1.internal.example.org" for number in range(1, 13)]
PLAYED = """
import sys, time
from ferryman.progress import Part, progress

seen, hosts, pause = progress(), {hosts!r}, {pause}
for name in ("Read the source, look at the hosts and take the lock", "Stage the release", "Send the clients to it"):
    seen.step("release : " + name)
    for host in hosts:
        seen.begun(host)
    time.sleep(pause)
    for host in hosts:
        parts = [Part("stage", 0.4, 23_100_000), Part("start", 2.7, 0, "ready after 1.2 s")] if "Stage" in name else []
        seen.ended("release : " + name, host, "ok", parts)
        time.sleep(pause / 10)
seen.step("release : Dump the database")
for host in hosts:
    seen.begun(host)
    seen.ended("release : Dump the database", host, "skipped")
seen.note("something to read")
seen.close()
print("the end")
"""


def play(hosts: list[str], *, pause: float = 0.3, rows: int = 24, columns: int = 80, **env: str) -> Terminal:
    script = PLAYED.format(hosts=hosts, pause=pause)
    given = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS", "LINES")}
    return Terminal([sys.executable, "-c", script], Path.cwd(), given | env, rows=rows, columns=columns)


def left(terminal: Terminal) -> list[str]:
    assert terminal.wait(30) == 0, terminal.text()
    return terminal.text().splitlines()


def test_each_step_leaves_a_line_with_its_hosts_parts_and_bytes_and_nothing_else_stays() -> None:
    terminal = play(["web1"])
    assert terminal.wait_for("Stage the release (web1)")
    lines = left(terminal)
    assert [re.sub(r"\d+\.\d s", "N s", line) for line in lines] == [
        "✓    N s  Read the source, look at the hosts and take the lock (web1)",
        "✓    N s  Stage the release (web1)",
        "            stage N s, 23.1 MB sent; start N s, ready after N s",
        "✓    N s  Send the clients to it (web1)",
        "!           something to read",
        "the end",
    ]
    assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", [80, 60])
def test_many_hosts_with_long_names_fit_the_width_and_no_word_is_lost(columns: int) -> None:
    terminal = play(HOSTS, columns=columns)
    assert terminal.wait_for("Read the source")
    running = [line for line in terminal.shown() if line]
    assert len(running) == 1, running
    assert len(running[0]) < columns - 1
    lines = left(terminal)
    told = " ".join(" ".join(lines).split())
    assert "Read the source, look at the hosts and take the lock" in told
    assert f"{HOSTS[0]}, {HOSTS[1]}, {HOSTS[2]} and 9 more)".replace(" ", "") in told.replace(" ", "")
    assert "277.2 MB sent" in told
    assert all(line[:10].strip() == "" or line[0] in "✓!" for line in lines[:-1]), lines


def test_a_window_made_smaller_and_larger_leaves_one_line_for_each_step() -> None:
    terminal = play(["web1"], pause=0.8)
    assert terminal.wait_for("Read the source")
    terminal.resize(24, 60)
    assert terminal.wait_for("Stage the release (web1)")
    terminal.resize(24, 100)
    lines = left(terminal)
    marks = [line[0] for line in lines if not line.startswith(" ")]
    assert marks == ["✓", "✓", "✓", "!", "t"], lines


def test_on_a_screen_of_few_rows_what_is_done_scrolls_away_and_stays_readable() -> None:
    lines = left(play(["web1"], rows=3))
    assert [line[0] for line in lines if not line.startswith(" ")] == ["✓", "✓", "✓", "!", "t"], lines


def test_ctrl_c_leaves_no_trace_of_the_live_line_and_the_cursor_is_there() -> None:
    script = (
        "from ferryman.progress import progress; import time\n"
        "seen = progress(); seen.step('Stage'); seen.begun('web1')\n"
        "try: time.sleep(20)\n"
        "except KeyboardInterrupt: seen.note('going back'); time.sleep(0.3); seen.ended('Stage', 'web1', 'failed')\n"
        "seen.close()"
    )
    terminal = Terminal([sys.executable, "-c", script], Path.cwd(), dict(os.environ))
    assert terminal.wait_for("Stage (web1)")
    terminal.press(CTRL_C)
    lines = left(terminal)
    assert [line.split()[0] for line in lines] == ["!", "✗"], lines
    assert "^C" not in "".join(lines)
    assert not terminal.screen.cursor.hidden


# Steps that end as soon as they began, with a live line that grows and shrinks, redrawn as often as can be meanwhile.
HURRIED = """
import sys
from ferryman import progress

progress.Live.REDRAWN = 1000
sys.setswitchinterval(1e-6)
seen = progress.progress()
for number in range(200):
    seen.panel.lines = lambda *at, rows=number % 9, **how: [("row", "")] * rows
    seen.step(f"release : Step {number}")
    seen.ended(f"release : Step {number}", "web1", "ok")
    print(f"line {number}", file=sys.stderr)
seen.close()
"""


def test_no_line_is_lost_to_a_live_line_that_is_redrawn_at_that_moment() -> None:
    terminal = Terminal([sys.executable, "-c", HURRIED], Path.cwd(), dict(os.environ))
    lines = [line.split() for line in left(terminal)]
    assert [words[-2:] for words in lines if words[0] == "line"] == [["line", str(number)] for number in range(200)]
    assert [words[4] for words in lines if words[0] == "✓"] == [str(number) for number in range(200)]
    assert len(lines) == 400


def colours(terminal: Terminal) -> set[str]:
    """Return the colours of what is on the screen."""
    return {cell.fg for row in terminal.screen.buffer.values() for cell in row.values() if cell.data.strip()}


def test_colour_is_there_on_a_terminal_and_not_where_nobody_wants_it() -> None:
    coloured, plain = play(["web1"], pause=0.1), play(["web1"], pause=0.1, NO_COLOR="1")
    assert left(coloured)
    assert left(plain)
    assert "green" in colours(coloured)
    assert colours(plain) == {"default"}
    assert "Send the clients to it" in plain.text()


@pytest.mark.parametrize("name", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(name: str) -> None:
    terminal = play(["web1"], pause=0.1, columns=120, TERM=name)
    lines = left(terminal)
    assert b"\x1b" not in terminal.raw
    assert [line.partition("] ")[2] for line in lines] == [
        "Read the source, look at the hosts and take the lock (web1)",
        "Stage the release (web1)",
        "Stage the release: stage 0.4 s, 23.1 MB sent; start 2.7 s, ready after 1.2 s",
        "Send the clients to it (web1)",
        "something to read",
        "",
    ]


def test_where_the_terminal_has_ascii_alone_so_have_the_lines() -> None:
    terminal = play(["web1"], pause=0.1, PYTHONIOENCODING="ascii")
    assert left(terminal)[0].startswith("+ ")
    assert terminal.raw.isascii()
