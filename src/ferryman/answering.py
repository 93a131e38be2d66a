"""Answering on the spot whether a release in its stages goes on: a key sends what `release.promote` would.

The deploy's own run is followed meanwhile, so the word is sent by a process of its own: the same command, as somebody
would type it at a second terminal.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ferryman import runs, terminal
from ferryman.decision import Decision
from ferryman.keyboard import Keyboard

END_S = 2.0
"""So long a word that is left has to end what it began, before that is ended for it."""
NO_ANSWER = "the command was ended before it could say it"


def able() -> bool:
    """Say whether somebody is here who sees what he is asked and can press a key: not a pipeline, nor a program."""
    is_pipeline = os.environ.get("CI", "") not in ("", "0", "false") or "--json" in sys.argv
    there = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    return there and terminal.able(sys.stderr) and not is_pipeline


def command(word: str, env: str, app: str, percent: int) -> list[str]:
    """Return the command that says a word, as a list of words for a process.

    To go on is said for the stage of `percent` alone: that may end by itself until the word has come.
    """
    # -P: a module of the directory that somebody works in must not stand in for one of ours.
    words = [sys.executable, "-P", "-m", "ferryman", f"release.{word}", "--json", "--env", env]
    share = ["--share", str(percent)] if word == "promote" else []
    return [*words, *(["--app", app] if app else []), *share]


class Sending(Protocol):
    """A word on its way."""

    def ended(self) -> str | None:
        """Return None while it is under way, then why it was not said, in one line; empty where it was."""

    def leave(self) -> None:
        """Ask it to end: nobody waits for it any more, and not for its end either."""

    def close(self) -> None:
        """Have it ended, with all that it began; that is waited for, but not long."""


class Said:
    """A word that a command says in the background.

    It has a session of its own, as Ansible has: Ctrl-C is for the run that is followed.
    """

    def __init__(self, words: list[str]) -> None:
        # Python writes its output in the encoding of a locale, whichever that is.
        self.told = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # read at the end
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self.told, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def ended(self) -> str | None:
        code = self.process.poll()
        if code is None:
            return None
        self.told.seek(0)
        text = self.told.read()
        self.told.close()
        return "" if code == 0 else problem(text)

    def leave(self) -> None:
        if self.process.poll() is None:
            with suppress(OSError):  # gone by now
                os.killpg(self.process.pid, signal.SIGTERM)

    def close(self) -> None:
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            below = runs.below(self.process.pid)  # Ansible and its workers have sessions of their own
            self.process.kill()
            self.process.wait()
            for each in below:
                with suppress(OSError):
                    os.kill(each, signal.SIGTERM)
        self.told.close()


def problem(told: str) -> str:
    """Return the first line of the reason that a command told as JSON for its failure."""
    try:
        reason = str(json.loads(told)["error"]).strip()
    except (ValueError, KeyError, TypeError):
        reason = ""
    return reason.partition("\n")[0] or NO_ANSWER


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or NO_ANSWER)


class Answering:
    """Listens for an answer as long as one is wanted, and has it sent; `poll` is called several times a second.

    Nothing that goes wrong here is told by an exception: the run that asks goes on without a key.
    """

    def __init__(self, decision: Decision, keyboard: Keyboard, send: Callable[[str, int], Sending]) -> None:
        self.decision, self.keyboard, self.send = decision, keyboard, send
        self.sending: Sending | None = None
        self.left: list[Sending] = []

    def poll(self, *, going_back: bool = False) -> None:
        """Send what was pressed, see what became of what was sent, and ask no more once the run is `going_back`."""
        if going_back:
            self.decision.stop()
        self._hear()
        if not self.decision.saying:
            self._leave()
        try:
            if not self.decision.listens:
                self.keyboard.release()
            elif answer := self.decision.press(self.keyboard.pressed(), time.monotonic()):
                self._say(*answer)
        except (OSError, termios.error):  # the terminal is gone
            self.decision.by_key = False

    def _hear(self) -> None:
        try:
            ended = self.sending.ended() if self.sending else None
        except (OSError, ValueError) as error:
            ended = _said(error)
        if ended is not None:
            self.sending = None
            self.decision.sent(ended, time.monotonic())

    def _say(self, word: str, percent: int) -> None:
        try:
            self.sending = self.send(word, percent)
        except OSError as error:
            self.decision.sent(_said(error), time.monotonic())

    def _leave(self) -> None:
        if self.sending:
            self.sending.leave()
            self.left.append(self.sending)
            self.sending = None

    def close(self) -> None:
        """Leave the terminal as it was, and a word that is still under way: the run that it is for has ended."""
        with suppress(OSError, termios.error):
            self.keyboard.release()
        self._leave()
        for each in self.left:
            each.close()
        self.left.clear()


@contextmanager
def answered(decision: Decision, env: str, app: str) -> Iterator[Answering]:
    """Have keys answer what is asked during a run, where `decision` says that they can; whoever runs it polls."""
    keyboard = Keyboard(sys.stdin.fileno() if decision.by_key else -1)
    answering = Answering(decision, keyboard, lambda word, percent: Said(command(word, env, app, percent)))
    try:
        yield answering
    finally:
        answering.close()
