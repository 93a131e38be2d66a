"""`./invoke bench deploy`: what a deploy costs, beside the least that could do it, in one interleaved run.

    python -m tests.bench.deploy [--rounds 7] [--hosts 6 10 30] [--capistrano] [--record]

Every round measures each thing once, one after the other, so that a busy machine is busy for all of them alike; what is
printed are medians and ratios of medians. Nothing is asserted: a benchmark that fails on a busy day teaches nobody.
"""

import argparse
import functools
import math
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.bench import _record, _use
from tests.bench._project import WAITS, Project
from tests.bench._rivals import Bare, Capistrano, Nothing
from tests.support import histories
from tests.support.wire import Cost, Meter

from ferryman import paths

ROOT = paths.CHECKOUT
Of = TypeVar("Of")
WANTED = {10: 1.6}
"""How many times the bare floor an update of so many hosts may take; twice of any other number."""
SEED = 23  # of the application's files: tests/support/histories.py


@dataclass
class Table:
    """What was measured, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[str, Cost] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Return the median of a measure's seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, to: str, target: float | None = None) -> None:
        """Add a row with the ratio of two medians, and what it is to be at most where something was promised."""
        if name in self.seconds and to in self.seconds:
            hundredths = math.ceil(100 * self.median(name) / self.median(to))
            said = f"{hundredths / 100:.2f}x"  # it is compared as it is written, so never less than it was
            self.rows.append((f"{name} : {to}", said, f"at most {target}x" if target else ""))

    def print(self) -> None:
        """Show medians, then ratios beside their targets."""
        width = max(map(len, [*self.seconds, *(row[0] for row in self.rows)]))
        for name, all_of in self.seconds.items():
            each = " ".join(f"{one:.2f}" for one in all_of)
            print(f"{name:<{width}}  {self.median(name):7.2f} s   ({each})")
        print()
        for what, is_now, wanted in self.rows:
            print(f"{what:<{width}}  {is_now:>9}   {wanted}")


def clocked(project: Project, *words: str) -> tuple[float, dict[str, Any]]:
    """Run a command of Ferryman; return its seconds without the application's start and waits, and its answer."""
    began = time.monotonic()
    answer = project.run(*words, "--env", "bench")
    seconds = time.monotonic() - began
    return seconds - answer.get("gate_s", 0.0) - answer.get("drained_s", 0.0), answer


def one_host(project: Project, table: Table, *, rounds: int, capistrano: bool) -> None:
    """Measure everything that is promised of one host."""
    bare, warm, nothing = Bare(project, "cold"), Bare(project, "warm"), Nothing(project)
    cap = Capistrano(project) if capistrano else None
    project.run("deploy", "--env", "bench")
    first = project.repository.commits[-1]
    for deploy in [bare.deploy, warm.deploy, *([cap.deploy] if cap else [])]:
        deploy(first)
    for number in range(1, rounds + 1):
        commit = project.repository.commit(histories.changes(f"v{number}"))
        project.cold()
        table.seconds["bare, cold"].append(bare.deploy(commit))
        warm.deploy(project.repository.commits[-2])
        os.sync()
        table.seconds["bare, warm"].append(warm.deploy(commit))
        if cap:
            os.sync()
            table.seconds["Capistrano"].append(cap.deploy(commit))
        _update(project, table, "update", fresh=False)
        for name, words in {"of what is live": ["deploy"], "rollback": ["rollback"]}.items():
            project.cold()
            table.seconds["playbook of one task"].append(nothing.run())
            project.cold()
            meter = Meter(project.hosts[0].inside)
            seconds, answer = clocked(project, *words)
            table.seconds[name].append(seconds)
            table.costs[name] = meter.read()
            if name == "rollback":
                waits = answer.get("gate_s", 0.0) + answer.get("drained_s", 0.0)
                table.seconds["rollback: the app's start and waits, not counted"].append(waits)
            if name == "of what is live" and (answer["status"] != "unchanged" or answer["changed"]):
                print(f"a deploy of what is live was {answer['status']}, changed={answer['changed']}")
        project.run("deploy", "--env", "bench")  # what was rolled back from
        commit = project.repository.commit(histories.changes(f"v{number} again"))
        project.forget()
        _update(project, table, "update, fresh checkout", fresh=True)
    table.ratio("update", "bare, cold", 2.5)
    table.ratio("update, fresh checkout", "bare, cold", 2.5)
    table.ratio("update", "Capistrano", 0.65)
    table.ratio("of what is live", "playbook of one task", 2.2)
    table.ratio("rollback", "playbook of one task", 2.2)
    _counts(table)


def _update(project: Project, table: Table, name: str, *, fresh: bool) -> None:
    project.cold()
    meter = Meter(project.hosts[0].inside)
    seconds, answer = clocked(project, "deploy")
    table.seconds[name].append(seconds)
    table.seconds[f"{name}: the app's start, not counted"].append(answer["gate_s"])
    table.costs[name] = meter.read()
    changed = project.changed_bytes()
    table.rows = [row for row in table.rows if not row[0].startswith(f"{name}: bytes")]
    table.rows.append((f"{name}: bytes of files sent", f"{table.costs[name].files:,}", f"at most {changed:,}"))
    table.rows.append(
        (f"{name}: bytes on the wire, with all that goes with them", f"{table.costs[name].received:,}", "")
    )


def _counts(table: Table) -> None:
    wanted = {"update": 8, "update, fresh checkout": 8, "of what is live": 1, "rollback": 4}
    for name, cost in table.costs.items():
        table.rows.append((f"{name}: connections", str(cost.connections), "at most 1"))
        table.rows.append((f"{name}: sessions", str(cost.sessions), f"at most {wanted[name]}"))


def many_hosts(project: Project, table: Table, *, rounds: int) -> _use.Use:
    """Measure an update of many light hosts against the bare script on as many; return what it takes of the driver."""
    count = len(project.hosts)
    bare, in_turn, nothing = Bare(project, "cold"), Bare(project, "turn", at_once=False), Nothing(project)
    project.run("deploy", "--env", "bench")
    for each in (bare, in_turn):
        each.deploy(project.repository.commits[-1])
    for number in range(1, rounds + 1):
        commit = project.repository.commit(histories.good(f"v{number}"))
        project.cold()
        table.seconds[f"bare, cold, {count} hosts"].append(bare.deploy(commit))
        project.cold()
        table.seconds[f"bare, cold, {count} hosts in turn"].append(in_turn.deploy(commit))
        project.cold()
        table.seconds[f"playbook of one task, {count} hosts"].append(nothing.run())
        project.cold()
        table.seconds[f"update, {count} hosts"].append(clocked(project, "deploy")[0])
    for floor in (f"bare, cold, {count} hosts", f"bare, cold, {count} hosts in turn"):
        table.ratio(f"update, {count} hosts", floor, WANTED.get(count, 2))
    # What Ansible takes by itself to come to as many hosts once: the floor cannot be reached from above it.
    table.ratio(f"playbook of one task, {count} hosts", f"bare, cold, {count} hosts")
    table.ratio(f"update, {count} hosts", f"playbook of one task, {count} hosts")
    # Once more with somebody who looks, which takes time itself.
    project.repository.commit(histories.good("watched"))
    project.cold()
    use = _use.of(project.argv("deploy", "--env", "bench"), cwd=project.root, env=project.environment)
    table.rows.append((f"update, {count} hosts: the driver's processor", f"{use.cpu_s:.1f} s", ""))
    table.rows.append((f"update, {count} hosts: the driver's memory at most", f"{use.memory_mb:.0f} MB", ""))
    return use


def reckon(table: Table, uses: Mapping[int, _use.Use], hosts: int = 100) -> None:
    """Add what the straight lines through what was measured say of so many hosts, and how far they miss it."""
    of = {
        "": {count: table.median(f"update, {count} hosts") for count in uses},
        ": the driver's processor": {count: use.cpu_s for count, use in uses.items()},
        ": the driver's memory at most": {count: use.memory_mb for count, use in uses.items()},
    }
    for what, measured in of.items():
        unit = "MB" if "memory" in what else "s"
        slope, begin = statistics.linear_regression(list(measured), list(measured.values()))
        missed = max(abs(begin + slope * count - is_now) / is_now for count, is_now in measured.items())
        table.rows.append((f"update{what}, for each host more", f"{slope:.2f} {unit}", ""))
        table.rows.append((f"update, {hosts} hosts{what}, reckoned", f"{begin + slope * hosts:.0f} {unit}", ""))
        table.rows.append((f"update{what}: the line misses what was measured by", f"{100 * missed:.0f} %", ""))


def main() -> None:
    """Measure, print, and record where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hosts", type=int, nargs="*", default=[], help="also measure so many hosts at once, each")
    parser.add_argument("--only-hosts", action="store_true", help="leave out what is measured on one host")
    parser.add_argument("--capistrano", action="store_true", help="install Capistrano here, and measure it too")
    parser.add_argument("--record", action="store_true", help="write docs/records/bench-*.json")
    parser.add_argument("--name", default="bench", help="of the sandbox")
    words = parser.parse_args()
    table = Table()
    state = paths.state_directory(ROOT)
    with tempfile.TemporaryDirectory(prefix="fb-") as sockets:  # a short name: that of a socket may have 108 bytes
        if not words.only_hosts:
            project = Project(state / words.name, words.name, count=1, kind="bulk", sockets=Path(sockets))
            _measured(project, lambda: one_host(project, table, rounds=words.rounds, capistrano=words.capistrano))
        uses = {}
        for count in words.hosts:
            many = Project(state / f"{words.name}-many", f"{words.name}-many", count=count, kind="tiny",
                           sockets=Path(sockets))  # fmt: skip
            uses[count] = _measured(many, functools.partial(many_hosts, many, table, rounds=words.rounds))
        if len(uses) > 1:
            reckon(table, uses)
    table.print()
    print(f"\nwaits on purpose, all off: {', '.join(f'{name}={value}' for name, value in WAITS.items())}")
    if words.record:
        alone = "bench-hosts" if words.only_hosts else "bench-deploy"
        _record.write(
            "bench-capistrano" if words.capistrano else alone,
            table.rows,
            seed=SEED,
            rounds=words.rounds,
            waits=WAITS,
            median_s={key: round(table.median(key), 3) for key in table.seconds},
            seconds={key: [round(each, 3) for each in value] for key, value in table.seconds.items()},
        )


def _measured(project: Project, measure: Callable[[], Of]) -> Of:
    try:
        project.make()
        return measure()
    finally:
        project.down()


if __name__ == "__main__":
    main()
