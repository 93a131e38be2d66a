"""Keys as they are pressed, without Enter and unseen, for as long as somebody is asked."""

import os
import select
import termios
import tty
from typing import Any


class Keyboard:
    """The keys of a terminal. It is left as it was found until it is listened to, and once it is released.

    Ctrl-C stays a signal. Whoever has gone to the background must not touch the terminal: that would stop him.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.before: list[Any] | None = None

    def pressed(self) -> str:
        """Return what was pressed since the last time; what was typed before the first time is dropped."""
        if not self._is_ours():
            return ""
        mode = termios.tcgetattr(self.descriptor)
        if self.before is None or mode[tty.LFLAG] & termios.ICANON:  # a shell sets its own meanwhile, after Ctrl-Z
            self.before = mode
            tty.setcbreak(self.descriptor, termios.TCSAFLUSH)
            return ""
        if not select.select([self.descriptor], [], [], 0)[0]:
            return ""
        return os.read(self.descriptor, 1024).decode(errors="replace")

    def release(self) -> None:
        """Leave the terminal as it was found; what was pressed too late is dropped, and no shell gets it."""
        before, self.before = self.before, None
        if before is None or not self._is_ours():
            return
        try:
            termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, before)
        except termios.error:  # a signal came while it waited for what is still to be printed
            termios.tcsetattr(self.descriptor, termios.TCSANOW, before)

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self.descriptor) == os.getpgrp()
        except OSError:  # no terminal that controls us, so none that would stop us
            return True
