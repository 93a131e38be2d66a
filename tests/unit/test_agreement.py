"""What an environment's files say of one another, each contradiction with its line, and all of them at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.configured import FILES, Configured

from ferryman import agreement, variables
from ferryman.errors import Stop


@pytest.fixture
def project(tmp_path: Path) -> Configured:
    return Configured(tmp_path)


def one(project: Configured) -> str:
    """Return the one problem that there is."""
    (told,) = project.problems()
    return told


def test_a_right_environment_has_no_problems(project: Configured) -> None:
    assert project.problems() == []
    assert agreement.require(project.environment).groups["entry"] == ["web1"]


def test_two_applications_with_one_domain_are_told(project: Configured) -> None:
    project.change("apps.yml", "[api.test]", "[api.test, shop.test]")
    assert one(project).startswith("apps.yml:14: apps.api.domains shop.test is also that of shop")


def test_a_domain_that_another_host_gives_to_another_application_is_told(project: Configured) -> None:
    hosts = "web1: {ansible_host: 10.1.0.11}"
    project.change("hosts.yml", hosts, f"{hosts}\n        web2: {{ansible_host: 10.1.0.12}}")
    again = (
        "apps:\n  shop: {repository: shop, domains: [shop.test]}\n  other: {repository: api, domains: [shop.test]}\n"
    )
    project.write("host_vars/web2/apps.yml", again)
    assert one(project) == (
        "host_vars/web2/apps.yml:3: apps.other.domains shop.test is also that of shop; a name leads to one application"
    )


def test_a_domain_given_twice_or_no_name_at_all_is_told_by_its_own_line(project: Configured) -> None:
    domains = "domains:\n      - shop.test\n      - https://shop.test\n      - '*.shop.test'\n      - shop.test"
    project.change("apps.yml", "domains: [shop.test, www.shop.test]", domains)
    told = project.problems()
    assert [line.split(": ")[0] for line in told] == ["apps.yml:6", "apps.yml:7", "apps.yml:8"]
    assert "'https://shop.test' is no host name" in told[0]
    assert "'*.shop.test' can't be proven over HTTP" in told[1]
    assert "shop.test is also that of itself" in told[2]


def test_an_application_without_a_domain_is_told_with_the_way_out(project: Configured) -> None:
    project.change("apps.yml", "[api.test]", "[]")
    assert one(project) == (
        "apps.yml:14: apps.api.domains names no domain; it needs at least one, as in `domains: [api.localhost]`"
    )


@pytest.mark.parametrize("text", ["certificate_terms_agreed: false\n", "certificate_email: ops@example.org\n"])
def test_domains_that_nothing_certifies_are_told(project: Configured, text: str) -> None:
    project.write("certificate.yml", text)
    line = ":1" if "false" in text else ""
    assert one(project).startswith(f"certificate.yml{line}: certificate_terms_agreed is not true, so nothing certifies")


@pytest.mark.parametrize("text", ["", "all:\n  children:\n    entry:\n"])
def test_an_environment_without_a_host_is_told(project: Configured, text: str) -> None:
    project.environment.inventory.write_text(text)
    assert "hosts.yml: the environment has no host; name one under" in "\n".join(project.problems())


def test_a_group_without_hosts_is_told_by_its_line(project: Configured) -> None:
    project.change("hosts.yml", "    db:\n      hosts:\n        web1:\n", "    db:\n      hosts: {}\n")
    assert one(project).startswith("hosts.yml:11: db has no host, and an application has a database")


def test_a_misspelt_group_is_told_with_the_one_that_was_meant(project: Configured) -> None:
    project.change("hosts.yml", "    entry:\n", "    entyr:\n")
    assert one(project) == "hosts.yml:5: entyr is a group that no playbook knows; did you mean entry?"


def test_a_misspelt_word_of_the_inventory_is_told_and_loses_no_host_in_silence(project: Configured) -> None:
    project.change("hosts.yml", "    app:\n      hosts:\n", "    app:\n      host:\n")
    told = project.problems()
    assert told[0].startswith("hosts.yml:8: app has no host, and every application needs one")
    assert told[1] == "hosts.yml:9: host is nothing that a group has; did you mean hosts?"


def test_a_lock_host_that_is_no_host_is_told(project: Configured) -> None:
    project.change("environment.yml", "lock_host: web1", "lock_host: web2")
    assert one(project) == "environment.yml:2: lock_host is no host of this environment; one of: web1"


def test_wal_that_is_to_be_sent_nobody_says_where_is_told(project: Configured) -> None:
    hosts = "    db:\n      hosts:\n        web1:\n"
    project.change(
        "hosts.yml", hosts, f"{hosts}    backup:\n      hosts:\n        backup1: {{ansible_host: 10.1.0.20}}\n"
    )
    given = "backup_database_host: 10.1.0.11\nbackup_database_password: correct-horse\nbackup_wal_archive: true\n"
    project.write("backup.yml", given)
    assert one(project) == (
        "backup.yml:3: backup_wal_archive is true, and nothing says how the database's host reaches the archive's; "
        "backup_archive_address: a name or an address, beside it"
    )
    project.write("backup.yml", f"{given}backup_archive_address: 10.1.0.20\n")
    assert project.problems() == []


def test_a_secret_that_nothing_defines_is_told_at_each_place_that_uses_it(project: Configured) -> None:
    project.write("hidden.yml", "vault_ada: battery-staple\n")
    told = project.problems()
    assert [line.split(" is used")[0] for line in told] == ["apps.yml:10: vault_shop", "apps.yml:7: vault_shop"][::-1]
    assert "encrypt_string --vault-id prod@.ferryman/vault/prod.key --stdin-name vault_shop >> " in told[0]


def test_a_secret_in_a_comment_is_no_use_of_it(project: Configured) -> None:
    project.change("host.yml", "host_timezone", "# vault_gone\nhost_timezone")
    assert project.problems() == []


def test_an_applications_misspelt_keys_and_wrong_types_are_told_with_what_was_meant(project: Configured) -> None:
    project.change("apps.yml", "    max_body: 5m\n", "    max_bdoy: 5m\n")
    project.change("apps.yml", "owner: shop", "onwer: shop")
    project.change("apps.yml", "env: {TITLE: Shop}", "env: TITLE")
    told = project.problems()
    assert told[0].startswith("apps.yml:5: apps.shop.env does not fit")
    assert told[1].startswith("apps.yml:10: apps.shop.database lacks owner")
    assert told[2] == "apps.yml:10: apps.shop.database.onwer is not an option here; did you mean owner?"
    assert told[3] == "apps.yml:11: apps.shop.max_bdoy is nothing of an application; did you mean max_body?"


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("release.yml", "release_keep: many\n", "release_keep does not fit: it is no whole number"),
        ("release.yml", "release_soak_s: soon\n", "release_soak_s does not fit: it is no number"),
        (
            "host.yml",
            "host_ssh_root_login: perhaps\n",
            "host_ssh_root_login does not fit: it is neither true nor false",
        ),
    ],
)
def test_a_value_that_is_no_such_thing_is_told_in_words(project: Configured, file: str, text: str, told: str) -> None:
    project.write(file, text)
    assert one(project).startswith(f"{file}:1: {told}; wanted: ")


def test_a_repository_that_is_not_there_is_told_and_one_elsewhere_is_not_looked_for(project: Configured) -> None:
    project.change("apps.yml", "repository: shop", "repository: shpo")
    project.change("apps.yml", "repository: api", "repository: git@example.org:team/api.git")
    assert one(project).startswith("apps.yml:3: apps.shop.repository 'shpo' is not there")


def test_a_secret_that_is_no_text_is_told_and_not_shown(project: Configured) -> None:
    project.change("apps.yml", '"postgresql://shop:{{ vault_shop }}@127.0.0.1/shop"', "[swordfish]")
    assert one(project).startswith("apps.yml:7: apps.shop.secrets.DATABASE_URL is no text")
    assert "swordfish" not in one(project)


def test_one_host_under_two_names_is_told(project: Configured) -> None:
    project.change(
        "hosts.yml",
        "    app:\n      hosts:\n        web1:\n",
        "    app:\n      hosts:\n        web1:\n        web2: {ansible_host: 10.1.0.11}\n",
    )
    assert one(project).startswith("hosts.yml:11: web2 is web1 again: both are 10.1.0.11 port 22")


@pytest.mark.parametrize(("here", "there"), [(False, False), (True, False), (False, True)])
def test_two_environments_on_one_host_are_told_unless_both_share_it(
    project: Configured, here: bool, there: bool
) -> None:
    for name, shared in (("prod", here), ("staging", there)):
        where = project.root / "inventories" / name / "group_vars" / "all"
        where.mkdir(parents=True, exist_ok=True)
        (where.parents[1] / "hosts.yml").write_text(FILES["hosts.yml"])
        (where / "shared.yml").write_text(f"host_shared: {str(shared).lower()}\n")
    told = one(project)
    assert told.startswith("hosts.yml:7: web1 is web1 of environment staging, too (10.1.0.11 port 22)")
    assert ("only one says" in told) == (here or there)
    for name in ("prod", "staging"):
        (project.root / "inventories" / name / "group_vars" / "all" / "shared.yml").write_text("host_shared: true\n")
    assert project.problems() == []


@pytest.mark.parametrize("where", ["host_vars/edge1.yml", "host_vars/edge1/a.yml", "group_vars/edge.yml", "hosts.yml"])
@pytest.mark.parametrize("both", [False, True])
def test_another_environments_host_is_known_wherever_its_address_is_given(
    project: Configured, where: str, both: bool
) -> None:
    told = {
        "hosts.yml": "all: {children: {edge: {hosts: {edge1: }}, app: {children: {edge: }}}}\n",
        "group_vars/app.yml": "ansible_host: 10.9.9.9\nhost_shared: false\n",
    }
    values = f"ansible_host: 10.1.0.11\nhost_shared: {str(both).lower()}\n"
    if where == "hosts.yml":
        inline = values.strip().replace("\n", ", ")
        told["hosts.yml"] = told["hosts.yml"].replace("edge1: }", f"edge1: {{{inline}}}}}")
    else:
        told[where] = values
    for name, text in told.items():
        path = project.root / "inventories" / "staging" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project.write("host_vars/web1.yml", "host_shared: true\n")
    if both:
        assert project.problems() == []
    else:
        assert one(project).startswith("hosts.yml:7: web1 is edge1 of environment staging, too (10.1.0.11 port 22)")


def test_a_placeholder_is_found_where_a_host_has_its_own_values(project: Configured) -> None:
    project.write("host_vars/web1.yml", "# 192.0.2.1\nhost_timezone: Europe/Lisbon\nansible_host: 192.0.2.7\n")
    assert one(project).startswith("host_vars/web1.yml:3: 192.0.2.7 is an address kept for documentation")


def test_an_option_whose_roles_name_is_misspelt_is_told_in_a_file_of_no_role_too(project: Configured) -> None:
    project.write("host_vars/web1.yml", "hostb_ans_tries: 5\nwords_of_ours: 7\n")
    assert one(project) == "host_vars/web1.yml:1: hostb_ans_tries is known to nobody; did you mean host_bans_tries?"


def test_a_port_that_two_want_is_told(project: Configured) -> None:
    project.change("hosts.yml", "web1: {ansible_host: 10.1.0.11}", "web1: {ansible_host: 10.1.0.11, ansible_port: 443}")
    assert one(project).startswith("hosts.yml:7: ansible_port port 443 is that of SSH (ansible_port) and of nginx")


def test_a_cache_wants_its_password_a_port_of_its_own_and_what_its_role_knows(project: Configured) -> None:
    project.change("hosts.yml", "    db:\n", "    cache:\n      hosts:\n        web1:\n    db:\n")
    lacking = one(project)
    assert "cache_password" in lacking
    project.write("group_vars/all/cache.yml", 'cache_password: "{{ vault_ada }}"\ncache_port: 5432\n')
    assert one(project).startswith("cache.yml:2: cache_port port 5432 is that of postgresql_port and of cache_port")
    project.write("group_vars/all/cache.yml", 'cache_password: "{{ vault_ada }}"\ncache_evicton: noeviction\n')
    assert one(project) == "cache.yml:2: cache_evicton is not an option of role cache; did you mean cache_eviction?"


def test_a_misspelt_setting_of_a_sandbox_host_is_told_and_makes_it_no_other_host(project: Configured) -> None:
    told = "web1: {ansible_host: 10.1.0.11, sandbox_imge: base}"
    project.change("hosts.yml", "web1: {ansible_host: 10.1.0.11}", told)
    assert one(project) == "hosts.yml:7: sandbox_imge is no setting of a sandbox host; did you mean sandbox_image?"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("sandbox_image: bsae", "sandbox_image is 'bsae'; one of: base, acme"),
        ("sandbox_debian: 11", "sandbox_debian is 11; one of: 12, 13"),
        ("sandbox_publish: [443]", "sandbox_publish is not a map of ports; for example {8443: 443}"),
        ("sandbox_aliases: web", "sandbox_aliases is not a list of names"),
    ],
)
def test_a_value_that_the_sandbox_does_not_take_is_told(project: Configured, said: str, told: str) -> None:
    project.change("hosts.yml", "web1: {ansible_host: 10.1.0.11}", f"web1: {{ansible_host: 10.1.0.11, {said}}}")
    assert one(project) == f"hosts.yml:7: {told}"


@pytest.mark.parametrize(
    "address", ["127.0.0.300", "10.1.0", "https://web1.test", "ops@web1.test", "web 1", "::g", "-x"]
)
def test_an_address_that_leads_to_no_host_is_told(project: Configured, address: str) -> None:
    project.change("hosts.yml", "web1: {ansible_host: 10.1.0.11}", f'web1: {{ansible_host: "{address}"}}')
    assert one(project).startswith(f"hosts.yml:7: ansible_host {address!r} is no address and no host name; like ")


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7", "fe80::1%eth0", "web1", "Web_1.example.org"])
def test_an_address_or_a_name_is_one(project: Configured, address: str) -> None:
    project.change("hosts.yml", "web1: {ansible_host: 10.1.0.11}", f'web1: {{ansible_host: "{address}"}}')
    assert project.problems() == []


def test_a_port_that_two_sandbox_hosts_publish_is_told(project: Configured) -> None:
    first = "{ansible_host: 127.0.0.1, ansible_port: 2222, sandbox_publish: {2222: 2222, 8443: 443}}"
    second = "{ansible_host: 127.0.0.1, ansible_port: 2223, sandbox_publish: {8443: 443}}"
    project.write(
        "hosts.yml", FILES["hosts.yml"].replace("{ansible_host: 10.1.0.11}", first) + f"        two: {second}\n"
    )
    told = project.problems()
    assert told[1].startswith("hosts.yml:14: sandbox_publish port 8443 of this machine is also published for web1")
    assert told[0].startswith("nginx.yml:1: nginx_https_public_port is 443, and 443 of web1 is published as 8443")


def test_what_may_stand_in_a_file_that_cannot_be_read_is_not_judged(project: Configured) -> None:
    published = "{ansible_host: 127.0.0.1, ansible_port: 2222, sandbox_publish: {2222: 2222, 8443: 443}}"
    project.write("hosts.yml", FILES["hosts.yml"].replace("{ansible_host: 10.1.0.11}", published))
    project.write("nginx.yml", "nginx_https_public_port: 8443\nfoo: [\n")
    assert one(project).startswith("nginx.yml:3: the file is not YAML")


def test_variables_of_a_group_that_there_is_not_are_told(project: Configured) -> None:
    project.write("group_vars/entri.yml", "nginx_https_public_port: 444\n")
    assert one(project).startswith(
        "group_vars/entri.yml: the name is read by nobody: no group here has this name; did you mean entry?"
    )


@pytest.mark.parametrize("name", ["more.yml", "more.yaml", "more.ini", "more.json", "hosts", "inventory"])
def test_a_second_inventory_is_told_and_other_files_beside_it_are_not(project: Configured, name: str) -> None:
    project.write(f"./{name}", "{}\n")
    project.write("./ssh_config", "Host jump\n  User ops\n")
    project.write("./.editor.yml", "{}\n")
    assert one(project).startswith(
        f"{name}: the file is read by nobody: an environment's hosts stand in hosts.yml; move its hosts there"
    )


def test_a_link_that_leads_nowhere_is_told(project: Configured) -> None:
    project.path("00-shared").symlink_to("../../../../group_vars/all")
    assert one(project).startswith("00-shared: the link leads to ../../../../group_vars/all, which is not there")


def test_a_file_that_is_a_link_to_nowhere_is_told_as_one(project: Configured) -> None:
    project.path("mail.yml").symlink_to("elsewhere.yml")
    told = "mail.yml: the link leads to elsewhere.yml, which is not there; mend it, or remove it"
    assert one(project) == told


def test_a_broken_file_hides_no_mistake_in_the_others(project: Configured) -> None:
    project.write("release.yml", "release_keep: [\n")
    project.change("host.yml", "host_timezone", "host_timezoen")
    told = project.problems()
    assert [line.split(": ")[0] for line in told] == ["host.yml:1", "release.yml:2"]


def test_without_the_vaults_key_the_rest_is_told(project: Configured) -> None:
    project.write("vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n3031\n")
    project.change("host.yml", "host_timezone", "host_timezoen")
    told = project.problems()
    assert [line.split(" ")[0] for line in told] == ["host.yml:1:", "vault.yml:"]
    assert "FERRYMAN_VAULT_PROD" in told[1]


@pytest.fixture
def vault(project: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the key of a vault that holds the project's secrets, each encrypted for itself."""
    key = tmp_path / "prod.key"
    key.write_text("the vault's key\n")
    values = {"vault_ada": "battery-staple", "vault_shop": "correct-horse"}
    told = [variables.encrypted(name, value, environment="prod", key=key) for name, value in values.items()]
    project.write("vault.yml", "".join(told))
    project.path("hidden.yml").unlink()
    monkeypatch.setenv("FERRYMAN_VAULT_PROD", str(key))
    return key


def test_what_a_vaults_key_opens_is_right(project: Configured, vault: Path) -> None:
    del vault
    assert project.problems() == []


def test_a_key_that_opens_nothing_is_named_once_for_a_file_and_the_rest_is_told(
    project: Configured, vault: Path
) -> None:
    project.write("postgresql.yml", project.path("vault.yml").read_text().replace("vault_ada", "postgresql_port", 1))
    project.change("host.yml", "host_timezone", "host_timezoen")
    vault.write_text("another key\n")
    told = project.problems()
    assert [line.split(" ")[:2] for line in told] == [
        ["host.yml:1:", "host_timezoen"],
        ["postgresql.yml:1:", "postgresql_port"],
        ["vault.yml:1:", "vault_ada"],
    ]
    for line in told[1:]:
        assert "is encrypted, and the password in prod.key does not open it" in line


def test_a_file_that_is_encrypted_as_a_whole_for_another_key_is_named(project: Configured, vault: Path) -> None:
    tool = Path(sys.executable).with_name("ansible-vault")
    words = [str(tool), "encrypt", "--vault-password-file", str(vault), str(project.path("environment.yml"))]
    subprocess.run(words, check=True, capture_output=True)
    assert project.problems() == []
    vault.write_text("another key\n")
    assert [line.split("; ")[0] for line in project.problems()] == [
        "environment.yml: the file is encrypted, and the password in prod.key does not open it",
        "vault.yml:1: vault_ada is encrypted, and the password in prod.key does not open it",
    ]


def test_an_encrypted_value_without_any_key_is_told_with_where_it_is_looked_for(
    project: Configured, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("host_vars/web1.yml", project.path("vault.yml").read_text().replace("vault_ada", "vault_eve", 1))
    project.path("vault.yml").rename(project.path("hidden.yml"))
    monkeypatch.delenv("FERRYMAN_VAULT_PROD")
    vault.unlink()
    told = project.problems()
    assert [line.split(":")[0] for line in told] == ["hidden.yml", "host_vars/web1.yml"]
    assert all("is encrypted, and its key is not here; put its password into" in line for line in told)
    assert all("FERRYMAN_VAULT_PROD" in line for line in told)


@pytest.mark.parametrize("kind", ["gone", "empty", "a directory", "a program that fails"])
def test_a_key_that_cannot_be_read_is_named_and_not_what_it_would_open(
    project: Configured, vault: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    project.change("host.yml", "host_timezone", "host_timezoen")
    if kind in ("gone", "a directory"):
        vault.unlink()
    if kind == "a directory":
        vault.mkdir()
    elif kind == "empty":
        vault.write_text("")
    elif kind == "a program that fails":
        vault.write_text("#!/bin/sh\nexit 3\n")
        vault.chmod(0o700)
    told = project.problems()
    assert [line.split(":")[0] for line in told] == ["host.yml", "prod.key"]
    assert told[1].startswith("prod.key: the key of the vault cannot be read: ")
    assert "FERRYMAN_VAULT_PROD" in told[1]
    assert "WARNING" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("release.yml", "release_keep: 5\n<<: 7\n", "release.yml:2: the value of `<<` is no map"),
        ("hidden.yml", "vault_ada: a\nvault_shop: !vault [a]\n", "hidden.yml:2: the value is tagged !vault"),
        ("hidden.yml", "vault_ada: a\nvault_shop: !vault horse\n", "hidden.yml:2: the value is tagged !vault"),
        ("release.yml", "release_keep: 5\n<<: {release_soak_s: [*a]}\n", "release.yml:2: the file is not YAML"),
        ("hosts.yml", "all:\n  <<: 7\n", "hosts.yml:2: the value of `<<` is no map"),
        ("hosts.yml", "all:\n  vars: {a: !vault [b]}\n", "hosts.yml:2: the value is tagged !vault"),
    ],
)
def test_what_only_ansible_does_not_take_is_told_in_its_own_file(
    project: Configured, file: str, text: str, told: str
) -> None:
    project.write(file, text)
    assert [line for line in project.problems() if line.startswith(told)], project.problems()
    assert not [line for line in project.problems() if line.startswith("hosts.yml") and file != "hosts.yml"]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("release.yml", "8443: 443\n", "release.yml:1: 8443 is no name of a variable: YAML reads a number here; "),
        ("release.yml", "yes: x\n", "release.yml:1: yes is no name of a variable: YAML reads yes or no here; "),
        ("release.yml", "2026-01-01: x\n", "release.yml:1: 2026-01-01 is no name of a variable: YAML reads a date "),
        ("release.yml", "~: x\n", "release.yml:1: ~ is no name of a variable: YAML reads nothing here; "),
        ("host_vars/web1.yml", "8: 1\n", "host_vars/web1.yml:1: 8 is no name of a variable: YAML reads a number"),
        ("hosts.yml", "all: {hosts: {web1: {8: 1}}}\n", "hosts.yml:1: 8 is no name of a variable: YAML reads a num"),
        ("hosts.yml", "all:\n  vars:\n    22: ops\n", "hosts.yml:3: 22 is no name of a variable: YAML reads a num"),
        ("hosts.yml", "all:\n  hosts:\n    7:\n", "hosts.yml:3: the value 7 is no name: YAML reads a number here; "),
        ("hosts.yml", "all:\n  children:\n    no:\n", "hosts.yml:3: the value no is no name: YAML reads yes or no"),
        ("hosts.yml", "{{ hosts }}:\n", "hosts.yml:1: the value begins with `{` or `[`; "),
        ("hosts.yml", "all:\n  {{ hosts }}: x\n", "hosts.yml:2: the value begins with `{` or `[`; "),
        ("hosts.yml", "all:\n  children:\n    {{ a }}: x\n", "hosts.yml:3: the value begins with `{` or `[`; "),
        ("hosts.yml", "all:\n  hosts:\n    {{ a }}: x\n", "hosts.yml:3: the value begins with `{` or `[`; "),
    ],
)  # fmt: skip
def test_a_name_that_is_no_text_is_told_with_the_way_out(project: Configured, file: str, text: str, told: str) -> None:
    project.write(file, text)
    assert [line for line in project.problems() if line.startswith(told)], project.problems()
    assert "Node(" not in "".join(project.problems())


def test_the_refusal_has_every_problem_as_fields(project: Configured) -> None:
    project.change("environment.yml", "lock_host: web1", "lock_host: web2")
    project.change("apps.yml", "[api.test]", "[shop.test]")
    with pytest.raises(Stop) as stop:
        agreement.require(project.environment)
    assert stop.value.code == 1
    problems = stop.value.facts["problems"]
    assert isinstance(problems, list)
    assert [(each["line"], each["key"]) for each in problems] == [(14, "apps.api.domains"), (2, "lock_host")]


def test_no_part_of_a_problem_shows_a_password(project: Configured) -> None:
    project.write(
        "other.yml", 'vault_url: "postgresql://shop:swordfish@db1.example/shop"\nvault_b: swordfish.example\n'
    )
    assert [(each.place.line, each.key) for each in project.found()] == [(1, "db1.example"), (2, "...")]
    assert "swordfish" not in "".join(project.problems())


def test_a_password_that_yaml_takes_for_an_alias_is_not_shown(project: Configured) -> None:
    project.write("hidden.yml", "vault_ada: a\nvault_shop: *swordfish\n")
    told = one(project)
    assert told.startswith("hidden.yml:2: the file is not YAML")
    assert "swordfish" not in told


OUT, ILL = "is out of bounds", "is not of the form wanted"


@pytest.mark.parametrize(
    ("file", "before", "after", "key", "wrong", "right"),
    [
        ("postgresql.yml", "5432", "99999", "postgresql_port", OUT, "int, from 1 to 65535 ("),
        ("postgresql.yml", "25", "2500", "postgresql_memory_percent", OUT, "int, from 1 to 100 ("),
        ("nginx.yml", "443", '"{{ 70000 }}"', "nginx_https_public_port", OUT, "int, from 1 to 65535 ("),
        ("release.yml", "keep: 5", "keep: -3", "release_keep", OUT, "int, 1 or more ("),
        ("release.yml", "2.5", "-1", "release_soak_s", OUT, "float, 0 or more ("),
        ("release.yml", "2.5", ".nan", "release_soak_s", OUT, "float, 0 or more ("),
        ("apps.yml", "5m", "5zz", "apps.shop.max_body", ILL, "str, bytes, or a number with k"),
        ("apps.yml", "{name: shop,", '{name: "sh op;--",', "apps.shop.database.name", ILL, "str, a name of at most"),
        ("firewall.yml", '"8000"', "8000 bis 8010", "firewall_allow.0.port", ILL, "str, a port, or a range"),
    ],
)
def test_a_value_that_no_type_forbids_is_told_with_what_would_be_right(
    project: Configured, file: str, before: str, after: str, key: str, wrong: str, right: str
) -> None:
    project.change(file, before, after)
    place, _, said = one(project).partition(": ")
    assert place.startswith(f"{file}:")
    assert said.startswith(f"{key} {wrong}; wanted: {right}")
