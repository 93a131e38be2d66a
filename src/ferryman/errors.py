"""The one error of the package, and what its exit codes mean.

Every refusal and failure that a person should read is a `Stop`. `program.py` alone turns it into a line
(or a JSON object) and an exit code, so no other place prints or exits.
"""

DONE = 0
REFUSED = 1  # refused or bad input: nothing was touched
RETURNED = 2  # failed, and the environment is back in its stable state
NEEDS_PERSON = 3  # failed, and somebody has to look


class Stop(Exception):  # noqa: N818  # it is said and read as "stop", and not every stop is an error
    """Work ends here, for a reason that a person can read.

    `message` says what and where, `hint` what to do next, `code` is one of the exit codes above.
    `facts` are further fields of the object that `--json` prints (never secrets).
    """

    def __init__(self, message: str, *, hint: str = "", code: int = REFUSED, facts: dict[str, object] | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.facts = facts or {}
