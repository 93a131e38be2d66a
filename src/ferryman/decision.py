"""What somebody is asked of a release in its stages, and what became of the answer: when, in which words, by which key.

Nothing is read from a terminal here, and nothing is sent (see `answering`).
"""

import textwrap
from dataclasses import dataclass, replace
from enum import Enum

from ferryman import canary
from ferryman.logs_telling import printable

KEYS = {"p": "promote", "a": "abort"}
"""Which key sends which word. Small letters alone: an arrow's sequence ends in a capital A."""
MEANING = {"promote": "go on", "abort": "go back"}
ASKED = "Go on (p) or back (a)?"
READ_S = 1.0
"""Who presses a key sooner than that has not read the question: he was typing something else."""
HEARD_S = 30.0
"""A look that still asks may have been under way for so long, and not have heard the answer."""


class State(Enum):
    """How far an answer is."""

    OPEN = "open"
    SENDING = "sending"
    SENT = "sent"


@dataclass(frozen=True)
class Question:
    """A question that a `rule` of the verdict asks in the stage in which `percent` of the clients have a release.

    Moments are of the monotonic clock; `left_s` is how long was left when last `seen`.
    """

    stage: int
    rule: str
    percent: int
    left_s: float | None
    since: float
    seen: float
    state: State = State.OPEN
    word: str = ""
    sent: float = 0.0
    problem: str = ""


class Decision:
    """The question that is open, if one is; `by_key` says whether keys can answer it here.

    Each change replaces the question as a whole: it is drawn by another thread.
    """

    def __init__(self, *, by_key: bool = False) -> None:
        self.by_key = by_key
        self.question: Question | None = None
        self.saying = ""
        """The word that is under way: one to go on is for its question alone, one to go back for all that follow."""
        self.stopped = False

    def take(self, look: canary.Look, moment: float) -> bool:
        """Take in a look at a moment of the monotonic clock; say whether somebody is asked anew."""
        if self.stopped or not (look.get("verdict") or {}).get("ask"):
            self.end()
            return False
        before, left_s = self.question, canary.answer_left_s(look)
        stage, rule = look["stage"], look["verdict"]["rule"]
        if before is None or (before.stage, before.rule) != (stage, rule):
            percent = round(look["share"] * 100)
            self._give_up()
            state = State.SENDING if self.saying else State.OPEN
            self.question = Question(stage, rule, percent, left_s, moment, moment, state, self.saying)
            return not self.saying
        unheard = before.state is State.SENT and moment - before.sent > HEARD_S
        state = State.OPEN if unheard else before.state
        self.question = replace(before, left_s=left_s, seen=moment, state=state)
        return False

    @property
    def listens(self) -> bool:
        """Whether keys are read: also those that change nothing any more, or a shell would get them."""
        return self.by_key and self.question is not None

    def press(self, keys: str, moment: float) -> tuple[str, int] | None:
        """Return the word that keys send which were pressed together, and of which stage (percent); None for none.

        Different ones are no answer: somebody has pasted something, or pressed a key that sends several.
        """
        now, word = self.question, KEYS.get(keys[:1], "") if len(set(keys)) == 1 else ""
        if not word or not self.by_key or now is None or now.state is not State.OPEN or moment - now.since < READ_S:
            return None
        self.question, self.saying = replace(now, state=State.SENDING, word=word, problem=""), word
        return word, now.percent

    def sent(self, problem: str, moment: float) -> None:
        """Take in that the word was sent, or with a problem that it was not; of a question that is over it is late."""
        self.saying = ""
        if self.question is not None and self.question.state is State.SENDING:
            state = State.OPEN if problem else State.SENT
            self.question = replace(self.question, state=state, sent=moment, problem=problem)

    def end(self) -> None:
        """Ask nothing any more until the next look that asks."""
        self.question = None
        self._give_up()

    def _give_up(self) -> None:
        if self.saying == "promote":
            self.saying = ""

    def stop(self) -> None:
        """Ask nothing any more: it goes back anyway."""
        self.stopped = True
        self.end()

    def lines(self, moment: float, *, ways: str, width: int) -> list[str]:
        """Return what stands below a release at a moment of the monotonic clock; `ways` are for whom no key helps."""
        now = self.question
        if now is None:
            return []
        if now.state is State.SENT:
            return [f"Said to {MEANING[now.word]}."]
        left_s = None if now.left_s is None else now.left_s - (moment - now.seen)
        if not self.by_key:
            return [canary.asked(ways, left_s)]
        asked = f"Saying to {MEANING[now.word]} ..." if now.state is State.SENDING else ASKED
        said = asked if left_s is None else f"{asked} {canary.otherwise(left_s)}."
        problem = textwrap.shorten(printable(f"Not said: {now.problem}"), width, placeholder=" ...")
        return [problem, said] if now.problem else [said]
