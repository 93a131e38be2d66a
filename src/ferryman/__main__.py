"""`python -m ferryman`, which `./invoke` runs in a checkout, and the script `ferryman`."""

import signal
import sys

from ferryman import garbage


def main() -> None:
    """Run the command line; an interruption while it is still being imported is told as any other."""
    try:
        garbage.seldom()
        from ferryman import program

        program.main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what follows ends by itself, at once
        from ferryman import interrupts, program

        program.Program.fail(interrupts.untouched(), as_json="--json" in sys.argv)


if __name__ == "__main__":
    main()
