"""The program behind `./invoke` and `ferryman`: Invoke with our tasks, one way to fail, and two options everywhere.

`--json` and `--yes` are options of the program, so that every command takes them, before or after its name;
tasks read them as `ctx.ferryman.json` and `ctx.ferryman.yes`.
"""

import json
import sys
from typing import Any, NoReturn

from invoke.exceptions import Exit, ParseError
from invoke.parser import Argument
from invoke.program import Program as InvokeProgram

from ferryman import __version__
from ferryman.errors import REFUSED, Stop


def explain(stop: Stop, *, as_json: bool) -> str:
    """Return what a person (or, as JSON, a pipeline) is told about `stop`."""
    if as_json:
        said = {"error": stop.message, "hint": stop.hint, "code": stop.code}
        return json.dumps(stop.facts | said, ensure_ascii=False)
    return stop.message + (f"\n  {stop.hint}" if stop.hint else "")


class Program(InvokeProgram):
    """Invoke, with its tasks from the package and its failures told in one place."""

    def core_args(self) -> list[Argument]:
        ours = [
            Argument(name="json", kind=bool, default=False, help="Print one JSON object; progress goes to stderr."),
            Argument(name="yes", kind=bool, default=False, help="Ask nothing: every answer is yes."),
        ]
        return [*super().core_args(), *ours]

    def create_config(self) -> None:
        super().create_config()
        self.config.load_defaults({**self.config._defaults, "ferryman": {"json": False, "yes": False}})

    def update_config(self, merge: bool = True) -> None:
        super().update_config(merge=False)
        ours = {"json": bool(self.args.json.value), "yes": bool(self.args.yes.value)}
        self.config._overrides = {**self.config._overrides, "ferryman": ours}
        if merge:
            self.config.merge()

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002  # the name is Invoke's
        words = list(sys.argv if argv is None else argv)
        try:
            super().run(words, exit=exit)
        except Stop as stop:
            self.fail(stop, as_json="--json" in words)

    def execute(self) -> None:
        try:
            super().execute()
        except ParseError as error:
            raise Stop(str(error)) from error

    @staticmethod
    def fail(stop: Stop, *, as_json: bool) -> NoReturn:
        """Say it (JSON on stdout, where a pipeline reads; words on stderr) and leave with its code."""
        print(explain(stop, as_json=as_json), file=sys.stdout if as_json else sys.stderr)
        sys.exit(stop.code)


def main() -> None:
    """Run the command line."""
    from ferryman.tasks import namespace

    in_checkout = sys.argv[0].endswith("__main__.py")
    name = "./invoke" if in_checkout else "ferryman"
    Program(name="Ferryman", binary=name, binary_names=[name], version=__version__, namespace=namespace).run()
