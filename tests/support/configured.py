"""A project's files without any host: one environment that is right, to be broken by tests.

configured = Configured(tmp_path)               # inventories/prod, and the source of its two applications
configured.change("apps.yml", "shop.test", "api.test")
assert configured.problems() == ["inventories/prod/group_vars/all/apps.yml:9: apps.api.domains ..."]
"""

from dataclasses import dataclass
from pathlib import Path

from ferryman import agreement
from ferryman.environments import Environment, resolve
from ferryman.places import Problem

FILES = {
    "hosts.yml": """\
all:
  vars:
    ansible_user: ops
  children:
    entry:
      hosts:
        web1: {ansible_host: 10.1.0.11}
    app:
      hosts:
        web1:
    db:
      hosts:
        web1:
""",
    "group_vars/all/environment.yml": "environment_name: prod\nlock_host: web1\n",
    "group_vars/all/certificate.yml": "certificate_email: ops@example.org\ncertificate_terms_agreed: true\n",
    "group_vars/all/host.yml": """\
host_timezone: Europe/Lisbon
host_updates_wait_minutes: 30
host_updates_days: [Mon, Tue]
host_operators:
  - name: ada
    keys: [ssh-ed25519 AAAA]
    sudo: password
    password_hash: "{{ vault_ada }}"
""",
    "group_vars/all/firewall.yml": """\
firewall_allow:
  - {port: "8000", protocol: tcp}
""",
    "group_vars/all/nginx.yml": "nginx_https_public_port: 443\n",
    "group_vars/all/postgresql.yml": "postgresql_port: 5432\npostgresql_memory_percent: 25\n",
    "group_vars/all/release.yml": "release_keep: 5\nrelease_soak_s: 2.5\n",
    "group_vars/all/apps.yml": """\
apps:
  shop:
    repository: shop
    domains: [shop.test, www.shop.test]
    env: {TITLE: Shop}
    secrets:
      DATABASE_URL: "postgresql://shop:{{ vault_shop }}@127.0.0.1/shop"
    processes:
      web: {instances: 2, memory_max: 256M}
    database: {name: shop, owner: shop, password: "{{ vault_shop }}"}
    max_body: 5m
  api:
    repository: api
    domains: [api.test]
""",
    "group_vars/all/hidden.yml": "vault_shop: correct-horse\nvault_ada: battery-staple\n",
}
"""An environment that is right. Its secrets are in clear: what is encrypted is read by tests of its own."""

KEY = "prod.key"
WIDER = {
    **FILES,
    "group_vars/app.yml": "logs_keep_days: 30\n",
    "host_vars/web1.yml": "host_bans_tries: 5\nhost_bans_enabled: true\n",
    "group_vars/all/hidden.yml": "vault_shop: correct-horse\n",
    # battery-staple, for the key beside it
    "group_vars/all/vault.yml": """\
vault_ada: !vault |
  $ANSIBLE_VAULT;1.2;AES256;prod
  65383530353266383963383162666237333230386633333730383961613637383037653430376438
  3666336130343865643139613535636461633966646137380a386666663065633433646661383934
  33363161376466383238326630393138653538373864363133303130306336656266613235633665
  3639646565396263620a316439643062393635653165613838613437646635313937356135366465
  6663
""",
    KEY: "the key of a vault\n",
    "../staging/hosts.yml": "all: {children: {app: {hosts: {edge1: }}}}\n",
    "../staging/host_vars/edge1.yml": "ansible_host: 10.1.0.12\n",
}
"""The same with all that an environment may have: a vault and its key, values of a host and of a group, a neighbour."""


@dataclass
class Configured:
    """A project below `root` with the environment `prod`."""

    root: Path

    def __post_init__(self) -> None:
        for name, text in FILES.items():
            self.write(name, text)
        for app in ("shop", "api"):
            (self.root / app).mkdir()

    @property
    def environment(self) -> Environment:
        """The environment."""
        return resolve("prod", project=self.root)

    def path(self, name: str) -> Path:
        """Return a file of the environment; one without a directory is a file of variables."""
        where = name if "/" in name or name in ("hosts.yml", KEY) else f"group_vars/all/{name}"
        return self.root / "inventories" / "prod" / where

    def write(self, name: str, text: str) -> None:
        """Write a file of the environment."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def change(self, name: str, before: str, after: str) -> None:
        """Replace a text that a file has once."""
        text = self.path(name).read_text()
        assert text.count(before) == 1, f"{before!r} is {text.count(before)} times in {name}"
        self.path(name).write_text(text.replace(before, after))

    def found(self) -> list[Problem]:
        """Return what is wrong."""
        return agreement.survey(self.environment)[0]

    def problems(self) -> list[str]:
        """Return what is wrong, as people read it, without the way to the environment."""
        return [
            str(problem).removeprefix("inventories/prod/").removeprefix("group_vars/all/") for problem in self.found()
        ]
