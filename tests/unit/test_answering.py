"""Answering on a terminal: what is pressed there, what is sent, and how the terminal is left."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support import canary_looks
from tests.support.terminal import CTRL_C, Terminal

from ferryman import answering
from ferryman.decision import Decision, State

ASKED = "Go on (p) or back (a)?"
BELL = b"\a"
QUIET = canary_looks.now(canary_looks.looks(canary_looks.QUIET))
ASKS = [look for look in QUIET if look["verdict"]["ask"]][:2]
DOES_NOT = QUIET[0]
PERCENT = round(ASKS[0]["share"] * 100)

PLAYED = """
import json, sys, termios, time
from pathlib import Path
from ferryman import answering, playing, runs
from ferryman.environments import Environment

here, looks, cannot = Path.cwd(), {looks!r}, {cannot!r}
SAY = '''
import sys, time
from pathlib import Path
word, problem = sys.argv[1:]
time.sleep(0.3)
with Path("said").open("a") as stream:
    print(word, file=stream)
if problem and not Path("tried").exists():
    Path("tried").touch()
    print(problem)
    sys.exit(1)
'''
answering.command = lambda *words: [sys.executable, "-c", SAY, " ".join(map(str, words)), cannot]


def play(playbook, environment, *, values, listen, stop, **_):
    '''Tell looks as a deploy does; the file `do` says which.'''
    listen(runs.Event("task", "Send the clients to it"))
    listen(runs.Event("begun", "Send the clients to it", "web1"))
    done = 0
    while not stop():
        words = Path("do").read_text().split() if Path("do").exists() else []
        for word in words[done:]:
            if word == "break":
                raise RuntimeError("something broke")
            if word == "end":
                listen(runs.Event("ok", "Send the clients to it", "web1"))
                return runs.Ended("done", 1.0)
            with Path(values["release_progress_file"]).open("a") as stream:
                print(json.dumps(looks[word]), file=stream)
        done = len(words)
        time.sleep(0.05)
    return runs.Ended("left", 1.0)


runs.play = play
before = termios.tcgetattr(0)
environment = Environment("prod", here / "inventories" / "prod")
try:
    _, ended = playing.run("release_deploy", environment, {{"release_app": "shop"}}, stand_ins={{}}, way_back=True)
    print("the end:", ended.status)
except RuntimeError as error:
    print("the end:", error)
print("left as it was" if termios.tcgetattr(0) == before else "left otherwise")
"""


class Deploy:
    """A deploy on a terminal whose hosts are not there: looks come when the test says so."""

    def __init__(self, root: Path, cannot: str, within: tuple[str, ...], env: dict[str, str]) -> None:
        self.root, self.words = root, list[str]()
        (root / "inventories" / "prod").mkdir(parents=True)
        looks = {"ask": ASKS[0], "again": ASKS[1], "other": DOES_NOT}
        unset = ("NO_COLOR", "TERM", "COLUMNS", "LINES", "CI")
        given = {key: value for key, value in os.environ.items() if key not in unset}
        words = [*within, sys.executable, "-c", PLAYED.format(looks=looks, cannot=cannot)]
        self.terminal = Terminal(words, root, given | env, columns=100)
        assert self.terminal.wait_for("Send the clients to it"), self.terminal.text()

    def do(self, word: str) -> None:
        """Have a look come (ask, again: of the same question, other: that asks nothing), break or end."""
        self.words.append(word)
        fresh = self.root / "do.new"
        fresh.write_text(" ".join(self.words))
        fresh.rename(self.root / "do")

    def ask(self) -> None:
        """Have a look ask, and let time pass in which somebody reads it."""
        self.do("ask")
        assert self.terminal.wait_for(ASKED), self.terminal.text()
        time.sleep(1.3)

    @property
    def said(self) -> list[str]:
        path = self.root / "said"
        return path.read_text().splitlines() if path.exists() else []

    def ends(self, how: str) -> None:
        """Assert that it ends so, and leaves the terminal as it was."""
        assert self.terminal.wait(30) == 0, self.terminal.text()
        assert self.terminal.text().splitlines()[-2:] == [f"the end: {how}", "left as it was"], self.terminal.text()
        assert not self.terminal.screen.cursor.hidden


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[..., Deploy]]:
    began: list[Deploy] = []

    def begin(*, cannot: str = "", within: tuple[str, ...] = (), **env: str) -> Deploy:
        began.append(Deploy(tmp_path / "project", cannot, within, env))
        return began[-1]

    yield begin
    for each in began:
        each.terminal.process.kill()
        each.terminal.process.wait()


@pytest.mark.parametrize(
    ("key", "word", "told"), [("p", "promote", "Said to go on."), ("a", "abort", "Said to go back.")]
)
def test_a_key_sends_the_word_while_the_run_is_followed_and_the_bell_rings_once(
    deploy: Callable[..., Deploy], key: str, word: str, told: str
) -> None:
    run = deploy()
    run.ask()
    assert run.terminal.raw.count(BELL) == 1
    assert "min left, then it goes back." in " ".join(run.terminal.text().split())
    run.terminal.press(key)
    assert run.terminal.wait_for(told), run.terminal.text()
    assert run.said == [f"{word} prod shop {PERCENT}"]
    run.do("other")
    run.do("end")
    run.ends("done")
    assert run.terminal.raw.count(BELL) == 1
    assert ASKED not in run.terminal.text(), "the panel is gone"


def test_a_word_that_cannot_be_sent_is_told_and_can_be_sent_again(deploy: Callable[..., Deploy]) -> None:
    run = deploy(cannot=json.dumps({"error": "web1 cannot be reached\nno route", "hint": "", "code": 1}))
    run.ask()
    run.terminal.press("p")
    assert run.terminal.wait_for("Not said: web1 cannot be reached"), run.terminal.text()
    assert run.terminal.wait_for(ASKED)
    run.do("again")
    run.terminal.press("p")
    assert run.terminal.wait_for("Said to go on."), run.terminal.text()
    assert run.said == [f"promote prod shop {PERCENT}"] * 2
    assert run.terminal.raw.count(BELL) == 1, "it is the same question"
    run.do("end")
    run.ends("done")


def test_what_was_typed_before_the_question_and_after_it_decides_nothing(deploy: Callable[..., Deploy]) -> None:
    run = deploy()
    run.terminal.press("ppp")
    run.do("other")
    assert run.terminal.wait_for("of the clients have it")
    run.ask()
    assert run.said == []
    run.do("other")
    time.sleep(0.5)
    run.terminal.press("a")
    time.sleep(0.5)
    run.do("end")
    run.ends("done")
    assert run.said == []


def test_ctrl_c_goes_back_as_ever_and_ends_the_question(deploy: Callable[..., Deploy]) -> None:
    run = deploy()
    run.ask()
    run.terminal.press(CTRL_C)
    assert run.terminal.wait_for("interrupted: going back"), run.terminal.text()
    run.do("again")
    time.sleep(0.5)
    assert ASKED not in " ".join(run.terminal.shown())
    run.terminal.press("p")
    time.sleep(0.5)
    assert run.said == []
    run.terminal.press(CTRL_C)
    run.ends("left")


def test_a_run_that_breaks_off_while_it_asks_leaves_the_terminal_as_it_was(deploy: Callable[..., Deploy]) -> None:
    run = deploy()
    run.ask()
    run.do("break")
    run.ends("something broke")


def test_a_run_in_the_background_asks_and_is_not_stopped_for_that(deploy: Callable[..., Deploy]) -> None:
    run = deploy(within=("sh", "-c", 'set -m; "$@" & wait', "sh"))
    run.ask()
    run.terminal.press("p\n")
    time.sleep(0.5)
    run.do("end")
    run.ends("done")
    assert run.said == []


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}], ids=["CI", "dumb"])
def test_a_pipeline_with_a_terminal_is_told_what_to_type(deploy: Callable[..., Deploy], env: dict[str, str]) -> None:
    run = deploy(**env)
    run.do("ask")
    assert run.terminal.wait_for("release.promote --env prod --app shop` goes on"), run.terminal.text()
    run.terminal.press("p\n")
    time.sleep(1.5)
    run.do("end")
    run.ends("done")
    assert run.said == []


def test_the_word_is_said_by_the_command_that_people_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "json.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    said = answering.Said(answering.command("promote", "nowhere", "shop", 10))
    deadline = time.monotonic() + 30
    while (ended := said.ended()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ended.startswith("no environment 'nowhere'")


def test_a_word_to_go_on_says_for_which_stage_and_one_to_go_back_is_for_all() -> None:
    assert answering.command("promote", "prod", "", 10)[-2:] == ["--share", "10"]
    assert "--share" not in answering.command("abort", "prod", "shop", 10)


class Sent:
    """A word that is under way until the test says how it ended."""

    def __init__(self, *said: object) -> None:
        self.said, self.is_left, self.is_closed, self.breaks = said, False, False, False
        self.how: str | None = None

    def ended(self) -> str | None:
        if self.breaks:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.how

    def leave(self) -> None:
        self.is_left = True

    def close(self) -> None:
        self.is_closed = True


class Keys:
    """A keyboard on which the test presses."""

    def __init__(self) -> None:
        self.keys = ""

    def pressed(self) -> str:
        keys, self.keys = self.keys, ""
        return keys

    def release(self) -> None:
        self.keys = ""


class Asking:
    """A run that asks, on a keyboard of the test's own, since two seconds."""

    def __init__(self) -> None:
        self.decision, self.keyboard, self.sent = Decision(by_key=True), Keys(), list[Sent]()
        self.answering = answering.Answering(self.decision, cast("Any", self.keyboard), self.send)
        self.decision.take(ASKS[0], time.monotonic() - 2)

    def send(self, word: str, percent: int) -> Sent:
        self.sent.append(Sent(word, percent))
        return self.sent[-1]

    def press(self, key: str) -> None:
        self.keyboard.keys = key
        self.answering.poll()


def test_a_word_to_go_on_that_is_under_way_is_left_once_its_question_ends() -> None:
    run = Asking()
    run.press("p")
    run.answering.poll()
    assert [(each.said, each.is_left) for each in run.sent] == [(("promote", PERCENT), False)]
    run.decision.take(DOES_NOT, time.monotonic())
    run.answering.poll()
    assert run.sent[0].is_left


def test_a_word_to_go_back_goes_on_after_its_question_and_no_other_one_is_sent_beside_it() -> None:
    run = Asking()
    run.press("a")
    run.decision.take(DOES_NOT, time.monotonic())
    run.answering.poll()
    run.decision.take(ASKS[0], time.monotonic() - 2)
    run.press("p")
    assert [(each.said, each.is_left) for each in run.sent] == [(("abort", PERCENT), False)]
    run.sent[0].how = ""
    run.answering.poll()
    assert run.decision.question
    assert run.decision.question.state is State.SENT
    run.answering.close()


LATIN = r"""import sys; sys.stdout.buffer.write(b'{"error": "caf\xe9 is closed"}'); sys.exit(1)"""


def test_what_a_command_tells_in_another_encoding_is_told_as_well_as_can_be() -> None:
    said = answering.Said([sys.executable, "-c", LATIN])
    said.process.wait()
    assert said.ended() == "caf\N{REPLACEMENT CHARACTER} is closed"


def test_what_goes_wrong_with_a_word_under_way_is_told_and_raises_nothing() -> None:
    run = Asking()
    run.press("p")
    run.sent[0].breaks = True
    run.answering.poll()
    told = run.decision.lines(time.monotonic(), ways="", width=60)
    assert told[0] == "Not said: No space left on device"
    assert run.decision.by_key
    run.press("p")
    assert len(run.sent) == 2


STUBBORN = """
import signal, subprocess, sys, time
worker = subprocess.Popen(["sleep", "60"], start_new_session=sys.argv[1] == "stubborn")
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(worker.pid, flush=True)
time.sleep(60)
"""
"""A command with a process below it; a stubborn one hears nothing, and that process has a session of its own."""


@pytest.mark.parametrize("how", ["heeding", "stubborn"])
def test_a_word_that_is_left_ends_with_all_below_it_and_nobody_waits_for_that_but_at_the_end(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "END_S", 0.3)
    said = answering.Said([sys.executable, "-c", STUBBORN, how])
    while not (worker := os.pread(said.told.fileno(), 64, 0).decode().strip()):
        time.sleep(0.01)
    began = time.monotonic()
    said.leave()
    assert time.monotonic() - began < 0.2
    said.close()
    assert time.monotonic() - began < 5
    assert said.process.returncode is not None
    deadline = time.monotonic() + 5
    while is_at_work(int(worker)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    said.leave()
    said.close()


def is_at_work(process: int) -> bool:
    """Say whether a process is there, and no mere entry that nobody has asked for yet."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False).stdout
    return bool(told.strip()) and not told.startswith("Z")


def test_a_word_that_is_left_during_the_run_is_waited_for_at_its_end() -> None:
    run = Asking()
    run.press("p")
    run.decision.take(DOES_NOT, time.monotonic())
    run.answering.poll()
    assert (run.sent[0].is_left, run.sent[0].is_closed) == (True, False)
    run.decision.take(ASKS[0], time.monotonic() - 2)
    run.press("a")
    run.answering.close()
    assert [(each.is_left, each.is_closed) for each in run.sent] == [(True, True)] * 2


@pytest.mark.parametrize("told", ["", "no JSON", "[]", "{}", '{"error": ""}', "3"])
def test_a_command_that_gives_no_reason_is_told_to_have_failed_all_the_same(told: str) -> None:
    assert answering.problem(told) == answering.NO_ANSWER
