"""Before a run: an environment's mistakes and the application that is meant are said before any host is asked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import histories

from ferryman import agreement, check, environments, readiness, secrets, variables
from ferryman.errors import Stop

APPS = "apps:\n  one: {domains: [one.test]}\n  two: {domains: [two.test]}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of values of an environment of one's own servers, with two applications."""
    where = tmp_path / "inventories" / "prod"
    (where / "group_vars" / "all").mkdir(parents=True)
    groups = "".join(f"    {name}: {{hosts: {{a1: {{}}}}}}\n" for name in ("entry", "app", "db"))
    (where / "hosts.yml").write_text("all:\n  children:\n" + groups)
    (where / "group_vars" / "all" / "environment.yml").write_text("environment_name: prod\n")
    (where / "group_vars" / "all" / "apps.yml").write_text(APPS)
    (where / "group_vars" / "all" / "certificate.yml").write_text("certificate_terms_agreed: true\n")
    monkeypatch.chdir(tmp_path)
    return where / "group_vars" / "all"


def test_where_there_are_several_applications_one_must_be_named(project: Path) -> None:
    del project
    with pytest.raises(Stop, match="several applications") as stop:
        readiness.agreed("prod", app="")
    assert stop.value.hint == "one of: one, two"


def test_an_application_that_is_not_there_is_told_with_those_that_are(project: Path) -> None:
    del project
    with pytest.raises(Stop, match="no application 'three'") as stop:
        readiness.agreed("prod", app="three")
    assert stop.value.hint == "one of: one, two"


def test_what_was_found_good_is_read_again_as_soon_as_a_file_changes(project: Path) -> None:
    assert readiness.agreed("prod", app="one").name == "prod"
    (project / "apps.yml").write_text(APPS.replace("two", "three"))
    assert readiness.agreed("prod", app="three").name == "prod"
    (project / "environment.yml").write_text("environment_name: prod\nfirewall_undo_after: 3\n")
    with pytest.raises(Stop, match=r"environment\.yml:2.*firewall_undo_after_s"):
        readiness.agreed("prod", app="one")


def test_what_was_found_good_is_read_again_once_another_inventory_lies_beside_it(project: Path) -> None:
    assert readiness.agreed("prod", app="one").name == "prod"
    more = project.parents[1] / "more.yml"
    more.write_text("all: {hosts: {web9: {}}}\n")
    with pytest.raises(Stop, match=r"more\.yml: the file is read by nobody"):
        readiness.agreed("prod", app="one")
    more.rename(more.with_name("ssh_config"))
    assert readiness.agreed("prod", app="one").name == "prod"


def test_what_was_found_good_is_read_again_once_the_vaults_key_is_another(project: Path) -> None:
    key = Path(".ferryman/vault/prod.key").absolute()
    key.parent.mkdir(parents=True)
    key.write_text("one\n")
    (project / "vault.yml").write_text(variables.encrypted("vault_a", "swordfish", environment="prod", key=key))
    assert readiness.agreed("prod", app="one").name == "prod"
    key.write_text("another\n")
    with pytest.raises(Stop, match=r"vault\.yml:1: vault_a is encrypted, and the password in \.ferryman"):
        readiness.agreed("prod", app="one")
    key.unlink()
    with pytest.raises(Stop, match="its key is not here"):
        readiness.agreed("prod", app="one")


@pytest.mark.parametrize(
    "text", ["{", "", "[]", "7", '{"digest": 7}', '{"digest": "DIGEST", "sources": [1]}', "\udcff"]
)
def test_what_a_check_wrote_down_and_nobody_can_read_is_judged_again(project: Path, text: str) -> None:
    del project
    first = readiness.source(readiness.agreed("prod", app="one"), "one")
    kept = Path(".ferryman/checked/prod.json")
    good = kept.read_text()
    broken = text.replace("DIGEST", json.loads(good)["digest"])
    kept.write_bytes(broken.encode(errors="surrogateescape"))
    assert readiness.source(readiness.agreed("prod", app="one"), "one") == first
    assert kept.read_text() == good


def test_what_is_still_to_be_filled_in_is_refused_by_name(project: Path) -> None:
    (project / "apps.yml").write_text(APPS.replace("two.test", "two.example"))
    with pytest.raises(Stop, match=r"apps\.yml:3: two\.example is a name kept for documentation"):
        readiness.agreed("prod", app="one")


def test_ones_own_servers_are_provisioned_only_when_somebody_says_so(project: Path) -> None:
    del project
    assert not readiness.wants_provisioning(readiness.agreed("prod", app=None))


def test_hosts_that_are_gone_are_forgotten_and_those_of_other_environments_are_not(project: Path) -> None:
    state = project.parents[3] / ".ferryman"
    for name in ("provisioned/prod", "heads/prod-one", "live/prod-one", "heads/local-one"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).touch()
    readiness.forget_hosts(readiness.agreed("prod", app=None))
    assert sorted(path.name for path in state.glob("*/*") if path.parent.name != "checked") == ["local-one"]


def test_a_look_at_hosts_is_refused_for_an_application_that_is_not_there_and_for_no_mistake_in_files(
    project: Path,
) -> None:
    (project / "host.yml").write_text("host_timezoen: UTC\n")
    assert readiness.looked_at("prod", app="two").name == "prod"
    with pytest.raises(Stop, match="no application 'three'") as stop:
        readiness.looked_at("prod", app="three")
    assert stop.value.hint == "one of: one, two"
    assert readiness.looked_at("prod", app="").name == "prod"
    with pytest.raises(Stop, match="several applications: --app is needed"):
        readiness.looked_at("prod", app="", one=True)


@pytest.mark.parametrize("text", ["apps: '{{ all_apps }}'\n", "apps: {\n", ""])
def test_applications_that_cannot_be_known_here_are_left_to_ansible(project: Path, text: str) -> None:
    (project / "apps.yml").write_text(text)
    assert readiness.looked_at("prod", app="three").name == "prod"


def test_a_look_at_a_sandbox_that_is_not_up_is_refused_with_what_brings_it_up(project: Path) -> None:
    (project / "sandbox.yml").write_text("sandbox_name: shop\n")
    (project.parents[1] / "hosts.yml").write_text("all: {hosts: {a1: {sandbox_image: base}}}\n")
    with pytest.raises(Stop, match="the sandbox of prod is not up") as stop:
        readiness.looked_at("prod", app="")
    assert "deploy --env prod" in stop.value.hint


def test_an_act_on_what_is_served_is_refused_for_a_mistake_in_files_and_for_a_sandbox_that_is_not_up(
    project: Path,
) -> None:
    assert readiness.acted_on("prod", app="two").name == "prod"
    (project / "environment.yml").write_text("environment_name: prod\nhost_timezoen: UTC\n")
    with pytest.raises(Stop, match=r"environment\.yml:2: host_timezoen"):
        readiness.acted_on("prod", app="two")
    (project / "sandbox.yml").write_text("sandbox_name: shop\n")
    (project.parents[1] / "hosts.yml").write_text("all: {hosts: {a1: {sandbox_image: base}}}\n")
    with pytest.raises(Stop, match="the sandbox of prod is not up"):
        readiness.acted_on("prod", app="two")


@pytest.mark.parametrize("words", [[], ["--follow"]])
def test_logs_of_an_application_that_is_not_there_are_refused_with_the_nearest_name(
    project: Path, words: list[str]
) -> None:
    argv = [sys.executable, "-m", "ferryman", "logs", "--env", "prod", "--app", "twoo", "--json", *words]
    done = subprocess.run(argv, cwd=project.parents[3], capture_output=True, text=True, check=False, timeout=60)
    said = json.loads(done.stdout)
    assert (done.returncode, said["error"]) == (1, "prod has no application 'twoo'")
    assert said["hint"] == "did you mean two?"


USES = """\
apps:
  one:
    repository: one
    domains: [one.test]
    env:
      KEY: "{{ vault_one_session_key }}"
"""


@pytest.fixture
def local(project: Path) -> Path:
    """Return the directory of values of the environment `local`, whose application uses a secret."""
    where = project.parents[2] / "local"
    project.parents[1].rename(where)
    values = where / "group_vars" / "all"
    (values / "environment.yml").write_text("environment_name: local\n")
    (values / "apps.yml").write_text(USES)
    histories.tiny(values.parents[3] / "one", histories.good("v1"), name="one")
    return values


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_check_takes_a_secret_that_a_deploy_would_make_for_given_and_writes_nothing(local: Path) -> None:
    before = files(local)
    assert check.check("local", app="", hosts=False)["problems"] == []
    assert files(local) == before
    assert not (local.parents[3] / ".ferryman" / "vault").exists()


def test_a_misspelt_secret_is_refused_with_the_one_that_was_meant_and_none_is_made(local: Path) -> None:
    secrets.ensure_local(environments.resolve("local"))
    (local / "apps.yml").write_text(USES.replace("session", "sesion"))
    before = files(local)
    said = r"apps\.yml:6: vault_one_sesion_key is used and nothing defines it; did you mean vault_one_session_key\?"
    with pytest.raises(Stop, match=said) as stop:
        check.check("local", app="", hosts=False)
    assert stop.value.code == 1
    with pytest.raises(Stop, match=said):
        readiness.agreed("local", app="one")
    assert files(local) == before


def test_a_secret_of_another_name_is_made_by_the_next_deploy(local: Path) -> None:
    secrets.ensure_local(environments.resolve("local"))
    (local / "apps.yml").write_text(USES + '      MAIL: "{{ vault_one_mail_password }}"\n')
    assert agreement.survey(environments.resolve("local"))[0] == []
    readiness.make_ready(readiness.agreed("local", app="one"))
    assert "vault_one_mail_password: " in (local / "vault.yml").read_text()


@pytest.mark.parametrize("words", [[], ["--app", "one"]])
def test_a_deploy_of_what_is_in_no_commit_is_refused_before_any_host_or_secret_is_made(
    local: Path, words: list[str]
) -> None:
    root = local.parents[3]
    (local / "sandbox.yml").write_text("sandbox_name: shop\n")
    (root / "one" / "new.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "ferryman", "deploy", "--json", *words],
        cwd=root, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert (done.returncode, said["status"], said["changed"]) == (1, "refused", False)
    assert f"{root / 'one'} has changes that are in no commit: new.py. Commit them, or" in said["error"]
    assert said["error"].endswith("Nothing was touched.")
    assert not (local / "vault.yml").exists()
    assert sorted(path.name for path in (root / ".ferryman").iterdir()) == [".gitignore", "checked"]


@pytest.mark.parametrize("words", [["plan", "--app", "one"], ["provision", "--check"]])
def test_what_only_says_what_would_change_makes_no_host_of_a_sandbox(local: Path, words: list[str]) -> None:
    root = local.parents[3]
    (local / "sandbox.yml").write_text("sandbox_name: shop\n")
    (local.parents[1] / "hosts.yml").write_text(
        "all: {children: {entry: {hosts: {a1: {sandbox_image: base}}}, app: {hosts: {a1: {}}}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "ferryman", *words, "--json"],
        cwd=root, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert (done.returncode, said["error"]) == (1, "the sandbox of local is not up, so nothing is deployed to it"), said
    assert not (local / "vault.yml").exists()
    assert not (root / ".ferryman" / "sandbox").exists()


def test_where_the_inventory_names_what_to_deploy_the_work_tree_is_not_asked(local: Path) -> None:
    (local / "apps.yml").write_text(USES.replace("repository: one", "repository: one\n    ref: v1"))
    environment = readiness.agreed("local", app="")
    assert readiness.source(environment, "") == {"repository": "one", "path": ".", "ref": "v1"}


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_a_description_that_is_not_right_is_told_before_a_host_is_asked_with_what_that_means(
    local: Path, command: str
) -> None:
    root = local.parents[3]
    described = root / "one" / "ferryman.yml"
    described.write_text(described.read_text().replace("processes:", "proceses:") + "colour: red\n")
    subprocess.run(["git", "-C", str(root / "one"), "commit", "-qam", "Break it"], check=True)
    argv = [sys.executable, "-m", "ferryman", command, "--env", "local"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    told = done.stderr.splitlines()
    (head,) = (number for number, line in enumerate(told) if line.endswith("ferryman.yml of one cannot be used:"))
    assert done.returncode == 1, done.stderr
    assert told[head + 2] == "  ferryman.yml:8: proceses is not an option; did you mean processes?"
    assert told[head + 3].startswith("  ferryman.yml:26: colour is not an option")
    assert "nothing was touched" in done.stderr.lower()
    assert told[-1].endswith("check --env local` asks no host")
    assert "a1 cannot be reached" not in done.stderr
    assert "Install" not in done.stderr, "nobody asked what provisioning would change"
