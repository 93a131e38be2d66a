"""The README, and guides that look at what it leads to, typed line by line in a fresh clone.

Requirements: DOC-1.
"""

import json
from pathlib import Path

import pytest
from tests.support.histories import good
from tests.support.newcomer import Newcomer
from tests.support.pages import blocks

from ferryman import paths

PAGE = paths.CHECKOUT / "README.md"
TYPED = [line for block in blocks(PAGE, "sh") for line in block.lines]
GUIDES = [paths.CHECKOUT / "docs" / "guides" / name for name in ("sandbox.md", "troubleshooting.md", "going-back.md")]
TELLING = [paths.CHECKOUT / "docs" / "guides" / name for name in ("logs.md", "check.md", "verify.md")]
PIPELINE = paths.CHECKOUT / "docs" / "guides" / "pipeline.md"
ONE_ROLE = paths.CHECKOUT / "docs" / "guides" / "one-role.md"
TOLD = [
    line
    for page in TELLING
    for block in blocks(page, "text")
    for line in block.lines
    if line.startswith(("./invoke ", "ansible-playbook "))
]
HIDES = "release_maintenance=true"
ELSEWHERE = {
    "./invoke logs --env prod --follow": "it goes on until Ctrl-C: test_logs.py",
    "./invoke test": "this is it",
    "./invoke sandbox.down": "how the newcomer leaves: tests/support/newcomer.py",
}


def test_every_command_of_the_readme_works_in_its_order(newcomer: Newcomer) -> None:
    assert TYPED[0] == "./invoke deploy"
    newcomer.type(TYPED[0])  # whatever other journeys left: what is committed is live
    served = [newcomer.served()]
    for line in TYPED:
        if line in ELSEWHERE:
            continue
        answer = newcomer.type(line)
        if line.startswith("curl"):
            assert '"release"' in answer.out, str(answer)
        if line in ("./invoke deploy", "./invoke rollback"):
            served.append(newcomer.served())
            assert served[-1] in answer.out, str(answer)
    first, again, changed, back = served
    assert first == again == back != changed


def test_what_is_typed_elsewhere_is_in_the_readme() -> None:
    assert set(ELSEWHERE) <= {*TYPED, *TOLD}


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_command_of_a_guide_that_looks_works_on_what_is_deployed(newcomer: Newcomer, page: Path) -> None:
    for line in [line for block in blocks(page, "sh") for line in block.lines]:
        if line not in ELSEWHERE:
            newcomer.type(line)


@pytest.mark.parametrize("line", [line for line in TOLD if line not in ELSEWHERE])
def test_every_command_that_a_guide_tells_for_prod_works_here(newcomer: Newcomer, line: str) -> None:
    ours = line.replace("prod", "local").replace("20261122T103000Z", newcomer.served())
    newcomer.type(ours.replace("ansible-playbook", ".venv/bin/ansible-playbook"))
    if HIDES in line:
        hidden = newcomer.type("./invoke health", code=3)
        assert "maintenance" in hidden.err
        newcomer.type(ours.replace("ansible-playbook", ".venv/bin/ansible-playbook").replace("=true", "=false"))


@pytest.mark.at_times(journey="deploys as guides tell them")
def test_whole_deploys_by_playbook_do_as_the_guide_tells(newcomer: Newcomer) -> None:
    before = newcomer.served()
    commit = newcomer.repository.commit(good("By playbooks alone"))
    provision, deploy, back = [
        line.replace("prod", "local")
        .replace("v1.4.2", commit)
        .replace("ansible-playbook", ".venv/bin/ansible-playbook")
        for block in blocks(ONE_ROLE, "text")
        for line in block.lines
        if "inventories/prod" in line
    ]
    assert "changed=0" in newcomer.type(provision).out
    newcomer.type(deploy)
    assert newcomer.served().endswith(commit[:7])
    newcomer.type(back)
    assert newcomer.served() == before


@pytest.mark.at_times(journey="deploys as guides tell them")
def test_a_pipelines_deploy_answers_into_a_file_with_the_key_where_the_guide_puts_it(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    (lines,) = (block.lines for block in blocks(PIPELINE, "text"))
    commit = newcomer.repository.commit(good("By a pipeline"))
    key, elsewhere = newcomer.root / ".ferryman" / "vault" / "local.key", tmp_path / "local.key"
    ours = {"/run/secrets/prod.key": str(elsewhere), "PROD": "LOCAL", "prod": "local", "v1.4.2": commit}
    typed = "\n".join(lines)
    for theirs, mine in ours.items():
        typed = typed.replace(theirs, mine)
    key.rename(elsewhere)
    try:
        assert newcomer.type(typed).out == ""
    finally:
        elsewhere.rename(key)
    told = json.loads((newcomer.root / "deploy.json").read_text())
    assert (told["status"], told["release"]) == ("live", newcomer.served())
    assert told["release"].endswith(commit[:7])


@pytest.mark.parametrize("line", [line for block in blocks(PAGE, "text") for line in block.lines])
def test_commands_for_ones_own_servers_stop_before_they_touch_anything(newcomer: Newcomer, line: str) -> None:
    """The example `prod` has documentation addresses and no secrets: each command says so, and ends with 1."""
    answer = newcomer.type(line, code=1)
    assert "vault_notes_database_password" in answer.err
    assert "vault_notes_session_key" in answer.err


def test_without_a_name_nothing_but_local_is_meant(newcomer: Newcomer) -> None:
    (newcomer.root / "inventories" / "local" / "hosts.yml").rename(newcomer.root / "hosts.yml")
    try:
        answer = newcomer.type("./invoke deploy", code=1)
    finally:
        (newcomer.root / "hosts.yml").rename(newcomer.root / "inventories" / "local" / "hosts.yml")
    assert "--env is needed" in answer.err
    assert "one of: prod" in answer.err
