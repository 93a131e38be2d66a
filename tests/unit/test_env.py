"""A new environment's inventory: nothing of another's servers and secrets is in it, and what is missing is named."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ferryman import agreement, env, environments, paths, placeholders, variables
from ferryman.errors import Stop
from ferryman.sandbox import inventory

PROD = {
    "hosts.yml": """\
        # The big one.
        all:
          vars: {ansible_user: ops, ansible_ssh_common_args: -o ProxyJump=jump.shop.com}
          children:
            entry:
              hosts:
                web1: {ansible_host: 81.2.69.142}
            app: {hosts: {web1: }}
            db: {hosts: {db.shop.com: }}
        """,
    "group_vars/all/environment.yml": "environment_name: prod\nlock_host: web1\n",
    "group_vars/all/nginx.yml": "nginx_trusted_proxies: [81.2.69.160, 10.0.0.1]  # the balancer\n",
    "group_vars/all/apps.yml": """\
        apps:
          shop:
            ref: main
            domains: [shop.com, www.shop.com]
            secrets: {KEY: "{{ vault_shop_key }}"}
            processes: {web: {instances: 5}}   # measured in May
        """,
    "group_vars/all/vault.yml": "vault_shop_key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3132\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in PROD.items():
        path = tmp_path / "inventories" / "prod" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def have_local(project: Path) -> None:
    """Give the project a sandbox with the application."""
    path = project / "inventories" / "local" / "group_vars" / "all" / "apps.yml"
    path.parent.mkdir(parents=True)
    (path.parents[2] / "hosts.yml").write_text("all: {hosts: {local1: {}}}\n")
    path.write_text("apps: {shop: {domains: [shop.localhost], secrets: {KEY: '{{ vault_shop_key }}'}}}\n")


def own(root: Path, name: str) -> str:
    directory = root / "inventories" / name
    return "\n".join(path.read_text() for path in sorted(directory.rglob("*.yml")))


@pytest.mark.parametrize("source", ["", "prod"])
def test_a_new_environment_is_refused_by_each_placeholder_and_by_nothing_else(project: Path, source: str) -> None:
    have_local(project)
    told = env.new("staging", source=source)
    environment = environments.resolve("staging", project=project)
    standing = {str(problem) for problem in placeholders.standing(environment)}
    unread = {line for line in told["placeholders"] if "certificate_terms_agreed is not true" in line}
    assert set(told["placeholders"]) == standing | unread
    assert standing
    assert len(unread) == 1
    assert told["secrets"] == ["vault_shop_key"]
    loaded = variables.load(environment)
    assert loaded.groups["entry"] == ["staging1"]
    assert set(loaded.hosts["staging1"]["apps"]) == {"shop"}


def test_nobody_agrees_to_terms_by_making_an_environment(project: Path) -> None:
    have_local(project)
    told = env.new("staging", source="")
    assert "certificate_terms_agreed: true" not in own(project, "staging")
    assert any("certificate.yml:" in line and "terms" in line for line in told["placeholders"])
    terms = project / "inventories/staging/group_vars/all/certificate.yml"
    terms.write_text(terms.read_text().replace("terms_agreed: false", "terms_agreed: true"))
    problems, _ = agreement.survey(environments.resolve("staging", project=project))
    assert not [str(problem) for problem in problems if "terms" in str(problem)]


def test_one_that_begins_with_another_keeps_sizes_and_comments_and_no_address(project: Path) -> None:
    env.new("staging", source="prod")
    text = own(project, "staging")
    assert not re.search(r"shop\.com\b(?<!jump\.shop\.com)|81\.2\.|web1|environment_name: prod|\$ANSIBLE", text)
    assert "processes: {web: {instances: 5}}   # measured in May" in text
    assert "[192.0.2.15, 10.0.0.1]  # the balancer" in text
    assert "lock_host: staging1" in text
    assert "domains: [shop-staging.example, shop-staging-2.example]" in text
    hosts = yaml.safe_load((project / "inventories/staging/hosts.yml").read_text())["all"]["children"]
    assert hosts["entry"]["hosts"] == {"staging1": {"ansible_host": "192.0.2.10"}}
    assert hosts["db"]["hosts"] == {"staging2.example": None}


def test_what_hosts_have_of_their_own_is_carried_under_their_new_names_without_addresses_and_secrets(
    project: Path,
) -> None:
    prod = project / "inventories/prod"
    for name, text in {
        "web1.yml": "release_keep: 9  # a small disk\n",
        "db.shop.com/a.yml": "ansible_host: 10.0.0.7\npostgresql_memory_percent: 40\n",
        "db.shop.com/vault.yml": "vault_b: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3132\n",
    }.items():
        (prod / "host_vars" / name).parent.mkdir(parents=True, exist_ok=True)
        (prod / "host_vars" / name).write_text(text)
    told = env.new("staging", source="prod")
    made = project / "inventories/staging/host_vars"
    assert {path.relative_to(made).as_posix(): path.read_text() for path in made.rglob("*.yml")} == {
        "staging1.yml": "release_keep: 9  # a small disk\n",
        "staging2/a.yml": "ansible_host: 192.0.2.11\npostgresql_memory_percent: 40\n",
    }
    assert told["left_out"] == ["host_vars/db.shop.com/vault.yml"]
    assert "left out  host_vars/db.shop.com/vault.yml" in env.words(told)
    assert any("host_vars/staging2/a.yml:1: 192.0.2.11 is an address" in line for line in told["placeholders"])
    assert not [line for line in told["placeholders"] if "is read by nobody" in line]


def test_its_vault_has_a_key_of_its_own_that_only_its_owner_reads(project: Path) -> None:
    key = project / env.new("staging", source="")["vault_key"]
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_text().strip()) > 40
    kept = key.read_text()
    (project / "inventories/staging").rename(project / "elsewhere")
    env.new("staging", source="")
    assert key.read_text() == kept


def test_nothing_that_is_there_is_overwritten(project: Path) -> None:
    before = own(project, "prod")
    with pytest.raises(Stop, match="is there already"):
        env.new("prod", source="")
    assert own(project, "prod") == before


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [
        ("", "", "--env is needed"),
        ("Staging", "", "can be no environment's name"),
        ("../x", "", "can be no environment's name"),
        ("staging", "production", "no environment 'production'"),
        ("staging", "local", "local is a sandbox"),
    ],
)
def test_a_name_that_means_nothing_is_refused(project: Path, name: str, source: str, told: str) -> None:
    with pytest.raises(Stop, match=re.escape(told)):
        env.new(name, source=source)
    assert [path.name for path in (project / "inventories").iterdir()] == ["prod"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("hosts.yml", "all: {hosts: [web1]}\n"),
        ("hosts.yml", "all: {\n"),
        ("group_vars/all/apps.yml", "apps: [shop]\n"),
        ("group_vars/all/apps.yml", "apps: [\n"),
        ("group_vars/all/nginx.yml", "a: \x00\n"),
    ],
)
@pytest.mark.parametrize("source", ["", "prod"])
def test_one_cannot_begin_with_broken_files(project: Path, source: str, file: str, text: str) -> None:
    if not source:
        (project / "inventories/prod").rename(project / "inventories/local")
    (project / "inventories" / (source or "local") / file).write_text(text)
    with pytest.raises(Stop) as stop:
        env.new("staging", source=source)
    assert stop.value.hint
    assert not (project / "inventories/staging").exists()


def test_a_domain_that_is_no_list_is_replaced_too(project: Path) -> None:
    (project / "inventories/prod/group_vars/all/apps.yml").write_text("apps: {shop: {domains: shop.com}}\n")
    env.new("staging", source="prod")
    assert "domains: shop-staging.example" in own(project, "staging")


def test_the_example_environment_is_one_to_be_filled_in() -> None:
    example = environments.resolve("prod", project=paths.CHECKOUT)
    told = [str(problem) for problem in placeholders.standing(example)]
    assert any("hosts.yml" in line and "192.0.2.11 is an address kept for documentation" in line for line in told)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a: 192.0.2.7", "192.0.2.7"), ("a: [203.0.113.255]", "203.0.113.255"), ('a: "2001:db8::1"', "2001:db8::1"),
        ("a: you@company.example", "company.example"), ("a: {b: web.example}", "web.example"),
        ("a: postgresql://shop:horse@db1.example/shop", "db1.example"),
        ("a: postgresql://shop:horse.example@db1/shop", ""), ("a: https://x:p.example!2@db1/shop", ""),
        ("a: x  # 192.0.2.7", ""), ("# 192.0.2.7", ""), ("a: 1192.0.2.7", ""), ("a: shop.example.org", ""),
        ("a: 2001:db9::1", ""),
        ('a: ["ssh-ed25519 AAAA... you@laptop"]', "ssh-ed25519 AAAA..."),
    ],
)  # fmt: skip
def test_what_is_kept_for_documentation_is_known_and_comments_may_name_it(line: str, found: str) -> None:
    assert [text for _, text, _ in placeholders.within(f"x: 1\n{line}\n")] == ([found] if found else [])


@given(st.text(max_size=200))
def test_any_text_is_looked_through(text: str) -> None:
    for number, found, _ in placeholders.within(text):
        assert found in text.splitlines()[number - 1]


@pytest.mark.parametrize(("topology", "entries"), [("single", ["local1"]), ("fleet", ["entry1", "entry2"])])
def test_an_environment_of_sandbox_hosts_is_ready_to_be_deployed_to(
    project: Path, topology: str, entries: list[str]
) -> None:
    have_local(project)
    apps = project / "inventories" / "local" / "group_vars" / "all" / "apps.yml"
    apps.write_text(apps.read_text().replace("secrets: {", "secrets: {DATABASE_URL: 'postgresql://x@127.0.0.1/x', "))
    told = env.new("trial", source="", sandbox=topology)
    assert (told["placeholders"], told["secrets"]) == ([], [])
    environment = environments.resolve("trial", project=project)
    sandbox = inventory.read(environment.directory, project / ".ferryman")
    assert {host.image for host in sandbox.hosts} == {"base", "acme"}
    loaded = variables.load(environment, vault_ids=[f"trial@{project / '.ferryman' / 'vault' / 'trial.key'}"])
    assert loaded.groups["entry"] == entries
    assert not agreement.survey(environment)[0]
    assert loaded.hosts[entries[0]]["apps"]["shop"]["domains"] == ["shop.trial.localhost"]
    url = loaded.hosts[entries[0]]["apps"]["shop"]["secrets"]["DATABASE_URL"]
    assert ("127.0.0.1" in url) == (topology == "single"), "a database on another host is not on this one"


def test_a_sandbox_that_is_none_or_begins_with_servers_is_refused(project: Path) -> None:
    with pytest.raises(Stop, match="no sandbox 'cluster'"):
        env.new("trial", source="", sandbox="cluster")
    with pytest.raises(Stop, match="--from begins with servers"):
        env.new("trial", source="prod", sandbox="fleet")
    assert not (project / "inventories" / "trial").exists()
