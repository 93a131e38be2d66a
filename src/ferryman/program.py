"""The program behind `./invoke` and `ferryman`: Invoke with our tasks, one way to fail, and two options everywhere.

`--json` and `--yes` are options of the program, so that every command takes them, before or after its name;
tasks read them as `ctx.ferryman.json` and `ctx.ferryman.yes`.
"""

import json
import select
import signal
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from invoke.config import Config as InvokeConfig
from invoke.exceptions import Exit, ParseError
from invoke.parser import Argument
from invoke.program import Program as InvokeProgram
from invoke.util import helpline

from ferryman import __version__, interrupts, paths, typed
from ferryman.errors import NEEDS_PERSON, Stop
from ferryman.progress import nobody_reads


def explain(stop: Stop, *, as_json: bool) -> str:
    """Return what a person (or, as JSON, a pipeline) is told about `stop`."""
    if as_json:
        said = {"error": stop.message, "hint": stop.hint, "code": stop.code}
        return json.dumps(stop.facts | said, ensure_ascii=False)
    return stop.message + (f"\n  {stop.hint}" if stop.hint else "")


class Config(InvokeConfig):
    """Invoke's settings and our two."""

    @staticmethod
    def global_defaults() -> dict[str, Any]:
        return {**InvokeConfig.global_defaults(), "ferryman": {"json": False, "yes": False}}


class Program(InvokeProgram):
    """Invoke, with its failures told in one place."""

    rest: list[str]
    """What was typed after the program's own options."""

    def core_args(self) -> list[Argument]:
        from ferryman.tasks import EVERYWHERE

        ours = [Argument(name=name, kind=bool, default=False, help=about) for name, about in EVERYWHERE.items()]
        return [*super().core_args(), *ours]

    def update_config(self, merge: bool = True) -> None:
        super().update_config(merge)
        self.config.ferryman.json = bool(self.args.json.value)
        self.config.ferryman.yes = bool(self.args.yes.value)

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002  # the name is Invoke's
        words = list(sys.argv if argv is None else argv)
        try:
            super().run(words, exit=exit)
        except Stop as stop:
            self.fail(stop, as_json="--json" in words)
        except KeyboardInterrupt:
            self.fail(interrupts.untouched(), as_json="--json" in words)

    def parse_core(self, argv: list[str] | None) -> None:
        try:
            with _read_or_not():
                super().parse_core(argv)
        except (ParseError, ValueError) as error:
            raise Stop(typed.misread(error, ""), hint=f"{self.binary} --help") from error

    def parse_core_args(self) -> None:
        super().parse_core_args()
        shell = self.args["print-completion-script"].value
        if shell:
            from ferryman import completion

            print(completion.script(shell, self.binary), end="")
            raise Exit

    def parse_cleanup(self) -> None:
        """Answer a shell's question for an environment's name; the others are Invoke's to answer."""
        if self.args.complete.value:
            from ferryman import completion

            found = completion.values(self.core.remainder)
            if found:
                print("\n".join(found))
                raise Exit
        try:
            with _read_or_not():
                super().parse_cleanup()
        except ParseError as error:
            raise Stop(typed.misread(error, ""), hint=self._meant(str(self.args.help.value))) from error

    def parse_tasks(self) -> None:
        self.rest = list(self.core.unparsed)
        words = self.core.unparsed = typed.name_positionals(self.core.unparsed, self.collection)
        tasks = {word: self.collection[word] for word in words if word in self.collection.task_names}
        if "--complete" not in self.argv:  # a shell that asks what could follow has not typed all of it
            typed.require_values(words, tasks, self.initial_context.flags, self.binary)
        try:
            super().parse_tasks()
        except ParseError as error:
            command = str(getattr(error.context, "name", None) or "")
            taken = {*typed.options(tasks[command]), *self.initial_context.flags} if command in tasks else ()
            near = typed.near(typed.unread(error), taken)
            raise Stop(typed.misread(error, command), hint=near + self._meant()) from error
        except ValueError as error:  # one of Invoke's own options
            raise Stop(f"a number is wanted: {error}", hint=f"{self.binary} --help") from error

    def _meant(self, word: str = "") -> str:
        """Return the way out for words that nothing takes: the command that was meant, or what it takes."""
        words, known = self.rest, list(self.collection.task_names)
        word = word or words[0]
        if word.startswith("-"):
            return typed.moved(words, {name: self.collection[name] for name in known}, self.binary)
        if word in known:
            return f"`{self.binary} {word} --help` says what it takes"
        return f"{typed.near(word, known)}`{self.binary} --list` shows all"

    def print_version(self) -> None:
        if self.args.json.value:
            print(json.dumps({"name": self.name, "version": self.version}))
        else:
            super().print_version()

    def print_task_help(self, name: str) -> None:
        """Say what a command does and takes, from what the reference is written from."""
        from ferryman import tasks, telling

        found = self.collection[name]
        what, options = tasks.described(found, tasks.help_texts.get(name, {}))
        everywhere = [(f"--{option}", about) for option, about in tasks.EVERYWHERE.items()]
        if self.args.json.value:
            print(json.dumps({"command": name, "help": what, "options": dict([*options, *everywhere])}))
            return
        word = "".join(f" [{given.upper()}]" for given in list(found.positional or [])[:1])
        paragraphs = [textwrap.fill(" ".join(each.split()), telling.WIDTH) for each in what.split("\n\n")]
        print("\n\n".join([f"Usage: {self.binary} {name}{word} [--option ...]", *paragraphs]), end="\n\n")
        self.print_columns([*options, *everywhere])

    def print_help(self) -> None:
        """Say how commands are typed, and which there are: what Invoke's own options do is of use to nobody here."""
        if self.args.json.value:
            names = sorted(self.collection.task_names)
            print(json.dumps({"commands": {name: helpline(self.collection[name]) for name in names}}))
            return
        print(f"Usage: {self.binary} COMMAND [--option ...]\n")
        ours = {f"{self.binary} COMMAND --help": "What a command takes.", "--version": "Which version this is."}
        ours |= {f"--{name}": str(self.args[name].help) for name in ("json", "yes")}
        self.print_columns(list(ours.items()))
        self.list_tasks()

    def execute(self) -> None:
        """Run the tasks; exit code 1 says "nothing was touched", so what is not a `Stop` must not end with it."""
        try:
            super().execute()
            sys.stdout.flush()
        except ParseError as error:
            raise Stop(str(error), hint=f"{self.binary} --list") from error
        except KeyboardInterrupt as error:
            hint = f"`{paths.command('status', *self._aim())}` tells what was done"
            raise Stop("interrupted", hint=hint, code=NEEDS_PERSON) from error
        except (Stop, SystemExit):
            raise
        except Exception as error:
            if _is_left_alone(error):  # `status | head`: what was asked for was done, and told as far as it was read
                raise Exit from error
            import traceback

            traceback.print_exc()
            told = f"{type(error).__name__}: {error}"
            raise Stop(
                f"a fault in Ferryman itself: {told}",
                hint="the lines above belong into a report of it",
                code=NEEDS_PERSON,
            ) from error

    def _aim(self) -> tuple[str, str]:
        """Return environment and application of the command that runs, as they were typed."""
        typed = self.tasks[-1].args if self.tasks else {}
        env, app = (str(typed[name].value or "") if name in typed else "" for name in ("env", "app"))
        return env, app

    @staticmethod
    def fail(stop: Stop, *, as_json: bool) -> NoReturn:
        """Say it (JSON on stdout, where a pipeline reads; words on stderr) and leave with its code."""
        out = sys.stdout if as_json else sys.stderr
        try:
            print(explain(stop, as_json=as_json), file=out, flush=True)
        except BrokenPipeError:
            nobody_reads(out)
        sys.exit(stop.code)


@contextmanager
def _read_or_not() -> Iterator[None]:
    """End well where a reader has left, as in `--help | head`: what was asked for was told as far as it was read."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except Exception as error:
        if _is_left_alone(error):
            raise Exit from error
        raise


def _is_left_alone(error: Exception) -> bool:
    """Say whether an error is that nobody reads stdout any more, and let it lead nowhere; other pipes break, too."""
    if not isinstance(error, BrokenPipeError):
        return False
    asked = select.poll()
    asked.register(sys.stdout.fileno(), 0)
    broken = any(state & (select.POLLERR | select.POLLHUP) for _, state in asked.poll(0))
    if broken:
        nobody_reads(sys.stdout)
    return broken


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a pipeline that is cancelled presses Ctrl-C
    from ferryman.tasks import namespace

    name = "./invoke" if sys.argv[0].endswith("__main__.py") else "ferryman"
    Program(
        name="Ferryman", binary=name, binary_names=[name], version=__version__, namespace=namespace, config_class=Config
    ).run()
