"""What the pages say is so: commands exist with their options, links lead somewhere, examples and messages are real."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description
from invoke.parser import Parser, ParserContext
from tests.support.pages import Block, blocks, commands, pages

from ferryman import errors, paths, records, secrets, specs
from ferryman.environments import Environment
from ferryman.program import Program
from ferryman.tasks import namespace
from ferryman.typed import name_positionals

ROOT = paths.CHECKOUT
GUIDES = ROOT / "docs" / "guides"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
SOURCES = [
    re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
    for name in ("src", "plugins", "roles")
    for path in sorted((ROOT / name).rglob("*"))
    if path.suffix in (".py", ".yml")
]


def every(language: str, file: str = "") -> Iterator[tuple[str, Block]]:
    """Every block of a language in all pages, those that show `file` alone if it is named."""
    for page in pages():
        for number, block in enumerate(blocks(page, language)):
            if not file or block.file.endswith(file):
                yield f"{page.relative_to(ROOT)}-{number}", block


def cases(found: Iterator[tuple[str, Any]]) -> list[Any]:
    """Blocks as parameters with the page's name."""
    return [pytest.param(value, id=name) for name, value in found]


TYPED = sorted({(str(page.relative_to(ROOT)), line) for page in pages() for line in commands(page)})


@pytest.mark.parametrize(("page", "line"), TYPED)
def test_every_command_that_a_page_names_is_there_with_its_options(page: str, line: str) -> None:
    del page  # in the test's name, to find it
    core = Program(namespace=namespace).core_args()
    if line.startswith("--"):
        Parser(initial=ParserContext(args=core)).parse_argv(line.split())
        return
    words = [word for word in line.split() if word not in [f"--{argument.name}" for argument in core]]
    Parser(contexts=namespace.to_contexts()).parse_argv(name_positionals(words, namespace))


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()])
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    lost = []
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (page.parent / target).resolve() if target else page
        if not there.exists() or (anchor and anchor not in headings(there)):
            lost.append(f"{target}#{anchor}")
    assert not lost


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()])
def test_no_page_has_a_placeholder_that_a_browser_takes_for_an_element(page: Path) -> None:
    """`<name>` outside of code is not shown, on a forge neither."""
    code = r"^```.*?^```$|^ {4}.*?$|`[^`]*`|<!--.*?-->"
    text = re.sub(code, "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"(?<!\\)<[a-z].*", text)


JOURNEYS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("e2e/*.py"))]

READ = [pytest.param(page, id=page.name) for page in [ROOT / "README.md", *sorted(GUIDES.glob("*.md"))]]
PROGRAMS = ("./invoke ", "ansible", "/usr/local/", "borg ", "pip ", "rm ", "runuser ", "ssh ", "sudo ", "systemctl ")
UNREAD = {
    "pip install distlib": "every environment that builds the collection has it by its lock",
    "pip install --upgrade ferryman": "there is no older one yet",
    "ssh -J ops@jump.example.org ops@10.0.0.11 true": "test_first_server.py goes through a jump host",
    "./invoke deploy --app shop --allow-dirty": "test_start.py",
    "./invoke backup.setup --env prod --paper /media/stick/keys-of-prod.txt": "test_backups.py, with a file of its own",
    "/usr/local/lib/ferryman/backup-files undelete --name prod --set media": "Molecule, role backup, test_files.py",
    "rm -rf /var/lib/ferryman/backup/prod/borg": "Molecule, role backup, test_files.py",
}
"""Commands in blocks of `text` that no journey reads from the page: where they are run, or why nothing runs them."""


@pytest.mark.parametrize("page", READ)
def test_every_block_of_commands_is_typed_by_a_journey(page: Path) -> None:
    """What is meant for a team's own servers stands in a block of `text`, and a journey types it with its own names."""
    assert not re.findall(r"^ {4,}\./invoke.*", page.read_text(encoding="utf-8"), re.MULTILINE)
    for language in ("sh", "text"):
        told = [line for block in blocks(page, language) for line in block.lines]
        told = [line for line in told if language == "sh" or (line.startswith(PROGRAMS) and line not in UNREAD)]
        typing = [source for source in JOURNEYS if re.search(rf'blocks\(\w+, "{language}"\)', source)]
        assert not told or any(f'"{page.name}"' in source for source in typing), told


def test_what_no_journey_reads_is_in_a_guide() -> None:
    told = {line for page in GUIDES.glob("*.md") for block in blocks(page, "text") for line in block.lines}
    assert told >= set(UNREAD)


def test_a_first_servers_secrets_are_given_as_env_new_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a project and in a clone; what is there already, a key or other secrets, is never written over."""
    monkeypatch.delenv("FERRYMAN_VAULT_PROD", raising=False)
    typed = [line for block in blocks(GUIDES / "first-server.md") for line in block.lines if ".ferryman/vault/" in line]
    for root in (tmp_path, ROOT):
        prod = Environment("prod", root / "inventories" / "prod")
        prod.directory.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(root)
        told = f"openssl rand -hex 32 | tr -d '\\n' | {secrets.way_in(prod, 'vault_shop_session_key')}"
        typed.remove(told)
    (key,) = typed
    assert key.startswith("test -e .ferryman/vault/prod.key || ")


def headings(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    found = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("block", cases(every("yaml", "ferryman.yml")))
def test_every_description_of_an_application_is_a_valid_one(block: Block) -> None:
    description.read(block.text, source="ferryman.yml")


@pytest.mark.parametrize("block", cases(every("yaml")))
def test_every_example_names_options_that_the_roles_have(block: Block) -> None:
    told = yaml.safe_load(block.text)
    known = specs.roles(ROOT)
    for role, values in given(told):
        unknown = set(values) - set(known[role.removeprefix("ferryman.ops.")].options)
        assert not unknown, f"{role} has no {sorted(unknown)}"


def given(told: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The values that plays give to roles."""
    for play in told if isinstance(told, list) else []:
        for role in play.get("roles") or []:
            yield role["role"], role.get("vars") or {}


MESSAGES = re.findall(r"^\| `([^`]+)` \|", (GUIDES / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_that_is_explained_is_one_that_is_told(message: str) -> None:
    """Looked for in the sources: `...` stands for what a run fills in, strings over several lines count as one."""
    pattern = ".*".join(re.escape(part.strip()) for part in message.split("..."))
    assert any(re.search(pattern, source) for source in SOURCES)


def test_each_decision_has_a_number_of_its_own_and_says_it() -> None:
    numbers = {path.name: path.name[:4] for path in (ROOT / "docs" / "decisions").glob("0*.md")}
    assert len(set(numbers.values())) == len(numbers), sorted(numbers)
    for name, number in numbers.items():
        heading = (ROOT / "docs" / "decisions" / name).read_text(encoding="utf-8")
        assert heading.startswith(f"# {int(number)}. "), name


PROOF = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", PROOF))))
def test_every_test_that_a_proof_names_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    functions = {
        node.name: [ast.unparse(decorator) for decorator in node.decorator_list]
        for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert name in functions
    left = [each for each in functions[name] if each.startswith("pytest.mark.at_times")]  # not one case of several
    assert file.startswith("tests/e2e/") or not left, "no run leaves out a bad day"


def test_every_bad_day_names_the_test_that_makes_it_and_each_is_another() -> None:
    _, days, *_ = re.split(r"^## ", PROOF, flags=re.MULTILINE)
    proven = [
        re.fullmatch(r"\| [^|`]+(?:`[^`|]+`[^|`]+)* \| `tests/(?:faults|e2e)/\S+::test_\w+` \|", row)
        for row in table(days)
    ]
    assert all(proven)
    assert len({row.rpartition("::")[2] for row in table(days)}) == len(proven) >= 13


def table(text: str) -> list[str]:
    """The rows of the table in a text, without its head."""
    return [line for line in text.splitlines() if line.startswith("|")][2:]


def test_every_record_is_quoted_and_a_figure_that_is_missed_is_so_in_the_same_table() -> None:
    *_, figures = re.split(r"^## ", PROOF, flags=re.MULTILINE)
    for path in sorted((ROOT / "docs" / "records").glob("*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))
        rows = [row for row in table(figures) if f"(records/{path.name})" in row]
        measured = said.get("rows", [])
        assert len(rows) == (len(measured) if "rows" in said else 1), path.name
        missed = [row for row in measured if row["target"] and not records.reached(row["measured"], row["target"])]
        assert sum("| **no** |" in row for row in rows) == len(missed), path.name


def test_one_page_alone_says_what_exit_codes_mean_and_all_of_them() -> None:
    row = re.compile(r"^\| `?(\d)`? \|", re.MULTILINE)
    tables = {page.name: row.findall(page.read_text(encoding="utf-8")) for page in pages()}
    known = [getattr(errors, name) for name in ("DONE", "REFUSED", "RETURNED", "NEEDS_PERSON")]
    assert {name: codes for name, codes in tables.items() if codes} == {"pipeline.md": [str(code) for code in known]}
