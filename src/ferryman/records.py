"""What long counts and benchmarks measured, as a table: docs/proof.md quotes the records, and nobody types a figure."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ferryman.errors import Stop

REGION = re.compile(r"(<!-- figures: [^\n]* -->\n).*?(<!-- end of figures -->\n)", re.DOTALL)
HEAD = ["| what | measured | wanted | reached | record |", "|---|---|---|---|---|"]
TOLD = ["What is measured beside these, and has no bound:", "", "| what | measured | record |", "|---|---|---|"]
FEW = 12
AROUND = {"name", "commit", "dirty", "at", "machine", "duration_s", "seed"}
"""What a record says of the run itself."""
BEFORE = ("Read the source", "Build the artifact")
"""What a deploy does before it is on any host."""
FLEET = {
    "deploy": "Deploys to a fleet that something struck at a boundary: which release stood on every host before "
    "anybody did anything about it, how often, and the most seconds until all agreed.",
    "rollback": "The same of rollbacks on a fleet: new is the release that it was to go back to.",
}
ONE = {
    "deploy": "Deploys to one host that something struck: which release stood once the host had settled by itself, how "
    "often, and the most seconds until then. Boundaries in small letters are those that its journal tells of.",
    "rollback": "The same of rollbacks on one host: new is the release that it was to go back to.",
}
Record = dict[str, Any]


def page(text: str, root: Path) -> str:
    """Return the page with what its marked region holds written anew from the records below `root`."""
    if not REGION.search(text):
        raise Stop("docs/proof.md has no place for figures", hint="`git checkout docs/proof.md` brings it back")
    known = read(root)
    lines = table(known, promises(root)) + "".join(matrices(known, {of: steps(root, of) for of in FLEET}))
    return REGION.sub(lambda found: f"{found[1]}\n{lines}\n{found[2]}", text)


def read(root: Path) -> list[Record]:
    """Return all records, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "docs" / "records").glob("*.json"))]


def promises(root: Path) -> dict[str, str]:
    """Return by name what each soak promises: the first line of its docstring, and which test it is."""
    found = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "def test_soak_" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_soak_"):
                said = (ast.get_docstring(node) or "").partition("\n")[0]
                place = f"`{path.relative_to(root)}::{node.name}`"
                found[node.name.removeprefix("test_soak_")] = f"{said} {place}".strip()
    return found


def table(records: list[Record], promised: dict[str, str]) -> str:
    """Return the records as a table, between how many figures miss what is wanted of them and where they are from;
    before the latter what was measured and is only told."""
    soaks, benches = ([each for each in records if ("rows" in each) is wanted] for wanted in (False, True))
    rows = [counted(each, promised) for each in soaks] + [row for each in benches for row in benched(each)]
    missed = sum(not row.reached for row in rows)
    lines = [
        f"| {row.what} | {row.measured} | {row.wanted} | {'yes' if row.reached else '**no**'} | {link(row.record)} |"
        for row in rows
    ]
    free = [(what, is_now, each) for each in benches for what, is_now, wanted in parts(each) if not wanted]
    told = [f"| {what} | {is_now} | {link(each)} |" for what, is_now, each in free]
    return "\n".join([f"{missed} of {len(rows)} miss what is wanted: those say **no**.", "", *HEAD, *lines, "",
                      *([*TOLD, *told, ""] if told else []),
                      *(f"- {link(each)}: {provenance(each)}" for each in [*soaks, *benches]), ""])  # fmt: skip


def steps(root: Path, of: str = "deploy") -> list[str]:
    """Return the steps of a deploy to several hosts, or a rollback, in their order, after the driver's own."""
    path = root / "roles" / "release" / "tasks" / f"{of}_many.yml"
    tasks = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else []
    return [*BEFORE, *(task["name"].rpartition(" | ")[2] for task in tasks)]


def matrices(records: list[Record], fleet: dict[str, list[str]]) -> Iterator[str]:
    """Return a table for each of what something struck: deploys and rollbacks of a fleet, whose steps are `fleet`'s,
    and of one host, whose boundaries the record lists."""
    cases = [case for record in records if "deploy" not in record for case in record.get("cases", [])]
    for of, said in FLEET.items():
        yield matrix(said, [case for case in cases if case.get("of", "deploy") == of], fleet[of])
    for of, said in ONE.items():
        struck = [record for record in records if "cases" in record and of in record]
        cases = [case for record in struck for case in record["cases"] if case["of"] == of]
        yield matrix(said, cases, list(dict.fromkeys(at for record in struck for at in record[of])))


def matrix(said: str, cases: list[dict[str, Any]], order: list[str]) -> str:
    """Return what became of what something struck, as a table: boundaries by faults; empty without any.

    A case holds `at` (the boundary), `fault`, `new_stands` (else the old release did) and `settled_s`.
    """
    if not cases:
        return ""
    rows, columns = (list(dict.fromkeys(case[key] for case in cases)) for key in ("at", "fault"))
    rows.sort(key=lambda at: order.index(at) if at in order else len(order))
    lines = [
        said,
        "",
        f"| struck at | {' | '.join(columns)} |",
        f"|---{'|---' * len(columns)}|",
    ]
    for at in rows:
        cells = [cell([case for case in cases if (case["at"], case["fault"]) == (at, fault)]) for fault in columns]
        lines.append(f"| {at} | {' | '.join(cells)} |")
    return "\n" + "\n".join([*lines, ""])


def cell(cases: list[dict[str, Any]]) -> str:
    """Return what became of the cases of one boundary and fault."""
    if not cases:
        return "-"
    new = sum(case["new_stands"] for case in cases)
    told = [f"{count} x {which}" for count, which in ((len(cases) - new, "old"), (new, "new")) if count]
    return f"{', '.join(told)}; {max(case['settled_s'] for case in cases):.0f} s"


@dataclass(frozen=True)
class Row:
    """One promise: what, measured, wanted, whether that is reached, and the record that says so."""

    what: str
    measured: str
    wanted: str
    reached: bool
    record: Record


def benched(record: Record) -> list[Row]:
    """Return the rows of a benchmark of which something is wanted."""
    bounded = [(what, is_now, wanted) for what, is_now, wanted in parts(record) if wanted]
    return [Row(what, is_now, wanted, reached(is_now, wanted), record) for what, is_now, wanted in bounded]


def parts(record: Record) -> list[tuple[str, str, str]]:
    """Return what a benchmark measured: what, the figure, what is wanted of it (empty: nothing)."""
    return [(row["what"], row["measured"], row["target"]) for row in record["rows"]]


def counted(record: Record, promised: dict[str, str]) -> Row:
    """Return the row of a soak with its figures; one that fails leaves no record, so what it promises was kept."""
    name = str(record["name"])
    said = by_name({key: value for key, value in record.items() if key not in AROUND})
    return Row(promised.get(name, name), said, "every time", True, record)


def figure(value: Any) -> str:
    """Return a value for people: of what is listed, how many there are; of figures by name each, if they are few."""
    if isinstance(value, dict) and len(value) <= FEW:
        return f"({by_name(value)})"
    if isinstance(value, list | dict):
        return str(len(value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def by_name(figures: Mapping[str, Any]) -> str:
    """Return figures by name for people."""
    return ", ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in figures.items())


def reached(measured: str, target: str) -> bool:
    """Say whether a figure is within its target, such as "at most 2.5x", which has the same unit."""
    wanted = re.fullmatch(r"at (most|least) (.+)", target)
    if not wanted:
        raise Stop(
            f"a record wants {target!r}, which cannot be compared",
            hint="`at most FIGURE`, `at least FIGURE`, or nothing",
        )
    (is_now, unit), (bound, same) = parted(measured), parted(wanted[2])
    if unit != same:
        raise Stop(
            f"a record has {measured!r} where it wants {target!r}",
            hint="give both the same unit",
        )
    return is_now <= bound if wanted[1] == "most" else is_now >= bound


def parted(text: str) -> tuple[float, str]:
    """Return number and unit of a figure such as 182,259, 1.67x, 2.1 s or 40.8 MB."""
    found = re.fullmatch(r"([\d.,]+)(x| s| MB| %|)", text)
    if not found:
        raise Stop(
            f"a record has {text!r}, which is no figure",
            hint="a number, alone or with x, s, MB or %",
        )
    return float(found[1].replace(",", "")), found[2]


def link(record: Record) -> str:
    """Return the way from the page to a record."""
    return f"[{record['name']}](records/{record['name']}.json)"


def provenance(record: Record) -> str:
    """Return what a figure is worth nothing without: commit, day, size of the machine."""
    clean = " with changes in no commit" if record["dirty"] else ""
    return f"commit {record['commit'][:7]}{clean}, {record['at'][:10]}, {record['machine']['cores']} cores"
