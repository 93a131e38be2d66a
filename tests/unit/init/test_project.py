"""A project is laid out whole, beside what is there, and never over it."""

import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ferryman import environments, paths, places, secrets, variables
from ferryman.errors import Stop
from ferryman.init import files, project
from ferryman.sandbox import inventory

LOCAL = paths.CHECKOUT / "inventories" / "local"
FLASK = "import os\nfrom flask import Flask\napp = Flask(__name__)\nKEY = os.environ['SECRET_KEY']\n"
NEEDS = '[project]\nname = "shop"\ndependencies = ["flask", "gunicorn", "psycopg"]\n'


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An application's repository, without a commit of its own."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "app.py").write_text(FLASK)
    (root / "pyproject.toml").write_text(NEEDS)
    (root / "uv.lock").write_text("")
    return root


def snapshot(root: Path) -> dict[str, bytes]:
    """All that lies there, but for what is Ferryman's own and passing."""
    return {
        str(path.relative_to(root)): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if (path.is_symlink() or path.is_file()) and ".ferryman" not in path.parts and ".git" not in path.parts
    }


def git(root: Path, *words: str) -> str:
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(["git", *person, *words], cwd=root, check=True, capture_output=True, text=True).stdout


def apps(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "inventories/local/group_vars/all/apps.yml").read_text())["apps"])


def test_the_environment_that_is_laid_out_is_the_one_of_this_repository() -> None:
    values = {"http": "8080", "ssh": "2222", "https": "8443", "acme": "2223", "name": "ferryman", "program": "./invoke"}
    values["env"] = "local"
    names = files.templates("local")
    there = {path.relative_to(LOCAL).as_posix() for path in places.variable_files(LOCAL / "group_vars/all")}
    ours = {name for name in there if "00-shared" not in name and Path(name).name not in ("vault.yml", "apps.yml")}
    assert ours | {"hosts.yml"} == set(names), "src/ferryman/init/data/local holds the same files as inventories/local"
    for name in names:
        assert files.template(f"local/{name}", values) == (LOCAL / name).read_text(), f"{name}: change both"
    shared = paths.CHECKOUT / "group_vars/all/README.md"
    assert files.template("shared/README.md") == shared.read_text()


def test_what_is_laid_out_is_an_environment_without_a_mistake(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.lay_out(shop, ".")
    monkeypatch.chdir(shop)
    environment = environments.resolve("local", project=shop)
    made = secrets.ensure_local(environment)
    assert made == ["vault_shop_database_password", "vault_shop_secret_key"]
    key = secrets.key_file(environment)
    loaded = variables.load(environment, vault_ids=[f"local@{key}"])
    assert [str(problem) for problem in variables.validate(loaded)] == []
    assert apps(shop)["shop"]["database"]["owner"] == "shop"
    assert {host.image for host in inventory.read(environment.directory, shop / ".ferryman").hosts} == {"base", "acme"}


def test_a_second_time_changes_nothing_and_says_what_is_there(shop: Path) -> None:
    first = project.lay_out(shop, ".")
    before = snapshot(shop)
    second = project.lay_out(shop, ".")
    assert snapshot(shop) == before
    assert (second["made"], second["app"]) == ([], first["app"])
    assert {"ferryman.yml", "tasks.py", "inventories/local", ".gitignore"} <= set(second["kept"])
    assert "nothing was changed" in project.words(second)


def test_nothing_that_is_there_is_overwritten(shop: Path) -> None:
    mine = {"tasks.py": "# Celery's\n", ".gitignore": "*.log", "inventories/local/hosts.yml": "all: {}\n"}
    mine["ferryman.yml"] = "format: 1\nname: mine\nsecrets: [TOKEN]\n"
    for name, text in mine.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text)
    told = project.lay_out(shop, ".")
    after = snapshot(shop)
    assert after.pop(".gitignore").decode().startswith("*.log\n\n#")
    assert all(after[name].decode() == text for name, text in mine.items() if name != ".gitignore")
    assert told["app"] == "mine"
    assert "TOKEN: '{{ vault_mine_token }}'" in told["missing"][-1]["why"]


def test_where_there_are_several_applications_the_one_is_named_to_deploy(shop: Path, tmp_path: Path) -> None:
    project.lay_out(shop, ".")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("x")
    assert project.lay_out(shop, "../pages")["next"][-1] == paths.command("deploy", "", "pages")
    path = shop / project.APPS
    path.write_text(path.read_text() + "  pages: {domains: [pages.localhost], secrets: {A: !vault x}}\n")
    told = project.lay_out(shop, ".")
    assert (told["missing"], told["next"][-1]) == ([], paths.command("deploy", "", "shop"))


def test_an_environment_comes_whole_or_not_at_all(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "symlink_to", lambda *_: (_ for _ in ()).throw(OSError("the power went")))
    with pytest.raises(Stop, match="the power went"):
        project.lay_out(shop, ".")
    monkeypatch.undo()
    assert not (shop / "inventories").exists()
    project.lay_out(shop, ".")
    assert environments.names(shop) == ["local"]


def test_what_the_disk_refuses_is_told_and_no_fault(shop: Path) -> None:
    (shop / "group_vars").write_text("a file where a directory should be")
    with pytest.raises(Stop, match=r"group_vars.* cannot be written: (Not a directory|File exists)") as refused:
        project.lay_out(shop, ".")
    assert refused.value.code == 1
    assert not (shop / "inventories").exists()


def test_an_application_elsewhere_is_described_there_and_named_by_its_way(shop: Path, tmp_path: Path) -> None:
    ops = tmp_path / "ops"
    ops.mkdir()
    told = project.lay_out(ops, "../shop")
    assert (shop / "ferryman.yml").is_file()
    assert apps(ops)["shop"]["repository"] == "../shop"
    assert "git -C ../shop add --all" in told["next"]
    assert snapshot(shop).keys() == {"app.py", "pyproject.toml", "uv.lock", "ferryman.yml"}


def test_an_empty_directory_gets_a_first_page(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    root.mkdir()
    told = project.lay_out(root, ".")
    assert (told["app"], told["missing"]) == ("fresh", [])
    assert "<h1>fresh</h1>" in (root / "site/index.html").read_text()


def test_what_says_nothing_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(Stop, match="says how it is started") as refused:
        project.lay_out(tmp_path, ".")
    assert "ferryman.yml" in refused.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_project_within_a_project_is_refused(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "inventories").mkdir()
    with pytest.raises(Stop, match="is a project already") as refused:
        project.lay_out(shop, ".")
    assert f"cd {tmp_path} && {paths.program()} init shop\n" in refused.value.hint
    assert not (shop / "ferryman.yml").exists()
    (shop / "inventories").mkdir()
    assert "inventories/local/hosts.yml" in project.lay_out(shop, ".")["made"]


@pytest.mark.parametrize("text", ["a: [", "- a", "name: 3\n", "{}"])
def test_a_description_that_names_nothing_is_refused(shop: Path, text: str) -> None:
    (shop / "ferryman.yml").write_text(text)
    with pytest.raises(Stop, match=r"ferryman\.yml"):
        project.lay_out(shop, ".")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("package.json", b'{\n "name": "shop",\n "version" 3\n}\n', r"package\.json:3: this is not JSON"),
        ("package.json", b"[1]", r"package\.json:1: this is no object"),
        ("package.json", b"{'\xe9': 1}", r"package\.json cannot be read: it is no text in UTF-8"),
        ("pyproject.toml", b'[project]\nname = shop\n', r"pyproject\.toml:2: this is not TOML: Invalid value$"),
        ("pyproject.toml", b'[project]\nname = "shop', r"pyproject\.toml:2: this is not TOML"),
        ("ferryman.yml", b"format: 1\nname: [\n", r"ferryman\.yml:3: this is not YAML"),
        ("ferryman.yml", b"name: caf\xe9\n", r"ferryman\.yml cannot be read: it is no text in UTF-8"),
    ],
)  # fmt: skip
def test_a_broken_file_is_named_with_its_line_before_anything_is_written(
    shop: Path, name: str, content: bytes, told: str
) -> None:
    (shop / name).write_bytes(content)
    before = snapshot(shop)
    with pytest.raises(Stop, match=told) as refused:
        project.lay_out(shop, ".")
    assert "mend it and run this again" in refused.value.hint
    assert snapshot(shop) == before
    assert refused.value.code == 1


def test_every_broken_file_is_told_at_once(shop: Path) -> None:
    (shop / "package.json").write_text("{")
    (shop / "pyproject.toml").unlink()
    (shop / "pyproject.toml").symlink_to("gone.toml")
    with pytest.raises(Stop) as refused:
        project.lay_out(shop, ".")
    assert [line.rpartition("/")[2].partition(" ")[0] for line in refused.value.message.splitlines()] == [
        "pyproject.toml", "package.json:1:",
    ]  # fmt: skip


def test_a_description_that_is_no_file_is_not_taken_for_one(shop: Path) -> None:
    (shop / "ferryman.yml").mkdir()
    with pytest.raises(Stop, match=r"ferryman\.yml cannot be read: Is a directory"):
        project.lay_out(shop, ".")


@pytest.mark.parametrize("text", ["build: 3\nsecrets: 4\n", "secrets: [1, {}]\nsecret_env: x\n"])
def test_a_description_with_mistakes_is_left_to_the_check_that_names_them(shop: Path, text: str) -> None:
    (shop / "ferryman.yml").write_text(f"name: mine\n{text}")
    assert project.lay_out(shop, ".")["app"] == "mine"


def test_two_projects_have_other_ports_and_another_name(shop: Path, tmp_path: Path) -> None:
    told = []
    random.seed(1)  # of many blocks two draws may hit one: not in this order
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        project.lay_out(root, "../shop")
        sandbox = inventory.read(root / "inventories/local", root / ".ferryman")
        told.append((sandbox.name, {port for host in sandbox.hosts for port in host.publish}))
    (first, ours), (second, theirs) = told
    assert first != second
    assert len(ours) == len(theirs) == 4
    assert not ours & theirs
    assert min(ours | theirs) >= 1024


def test_what_is_to_be_typed_leads_to_a_clean_commit(shop: Path) -> None:
    (shop / "uv.lock").unlink()
    told = project.lay_out(shop, ".")
    assert [each["command"] for each in told["missing"]] == ["uv lock"]
    assert [line.split(" --")[0] for line in told["next"][:3]] == ["git init", "git add", "git commit"]
    assert told["next"][-1] == paths.command("deploy", "")
    git(shop, "init", "--quiet")
    git(shop, "add", "--all")
    git(shop, "commit", "--quiet", "--message", "all")
    assert not re.search(r"\.ferryman|vault", git(shop, "ls-files"))
    again = project.lay_out(shop, ".")
    assert again["next"] == [paths.command("deploy", "")]


def test_what_is_typed_for_an_application_elsewhere_is_typed_from_here(shop: Path, tmp_path: Path) -> None:
    (shop / "uv.lock").unlink()
    (tmp_path / "ops").mkdir()
    told = project.lay_out(tmp_path / "ops", "../shop")
    assert [each["command"] for each in told["missing"]] == ["(cd ../shop && uv lock)"]


def test_in_a_repository_with_commits_only_what_was_made_is_added(shop: Path) -> None:
    git(shop, "init", "--quiet")
    git(shop, "add", "app.py")
    git(shop, "commit", "--quiet", "--message", "first")
    told = project.lay_out(shop, ".")
    assert told["next"][0] == "git add ferryman.yml tasks.py group_vars inventories .gitignore"
    (shop / "uv.lock").unlink()
    assert project.lay_out(shop, ".")["next"][0] == "git add uv.lock"


@pytest.mark.parametrize(
    ("files", "added"),
    [
        ({"package.json": '{"scripts": {"start": "node a.js"}, "dependencies": {"ms": "2"}}'}, "package-lock.json"),
        ({"requirements.txt": "flask\n", "app.py": FLASK}, "requirements.txt requirements.lock"),
        ({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["flask"]\n', "app.py": FLASK},
         "pyproject.toml uv.lock"),
    ],
)  # fmt: skip
def test_what_the_commands_to_type_will_write_is_added_too(tmp_path: Path, files: dict[str, str], added: str) -> None:
    """Else the deploy that is told next would be refused: they were not committed."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    made = "ferryman.yml tasks.py group_vars inventories .gitignore"
    assert project.lay_out(tmp_path, ".")["next"][0] == f"git add {made} {added}"
