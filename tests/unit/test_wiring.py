"""Reading playbooks: who meets which hosts, and what the playbook itself gives."""

from pathlib import Path
from textwrap import dedent

from ferryman import wiring
from ferryman.wiring import Use


def uses(tmp_path: Path, text: str) -> list[Use]:
    path = tmp_path / "nginx_main.yml"
    path.write_text(dedent(text))
    return wiring.read(path)


def test_roles_of_a_play_with_what_it_gives(tmp_path: Path) -> None:
    found = uses(
        tmp_path,
        """
        - hosts: entry
          vars: {a: 1}
          roles:
            - ferryman.ops.nginx
            - {role: ferryman.ops.certificate, tasks_from: renew.yml, vars: {b: 2}}
        """,
    )
    assert found == [
        Use("nginx_main", "entry", "nginx", "main", frozenset("a")),
        Use("nginx_main", "entry", "certificate", "renew", frozenset("ab")),
    ]


def test_roles_of_tasks_in_blocks(tmp_path: Path) -> None:
    found = uses(
        tmp_path,
        """
        - hosts: [app, "!db"]
          tasks:
            - vars: {a: 1}
              block:
                - ansible.builtin.debug: {}
              rescue:
                - ansible.builtin.include_role: {name: ferryman.ops.release, tasks_from: return}
                  vars: {b: 2}
          handlers:
            - import_role: {name: ferryman.ops.nginx}
        - ansible.builtin.import_playbook: other.yml
        """,
    )
    assert found == [
        Use("nginx_main", "app:!db", "release", "return", frozenset("ab")),
        Use("nginx_main", "app:!db", "nginx", "main", frozenset()),
    ]


def test_files_of_variables_are_given_too(tmp_path: Path) -> None:
    (tmp_path / "vars").mkdir()
    (tmp_path / "vars" / "nginx.yml").write_text("a: 1\nb: 2\n")
    (use,) = uses(
        tmp_path, "- {hosts: entry, vars_files: [vars/nginx.yml, '{{ other }}.yml'], roles: [ferryman.ops.nginx]}"
    )
    assert use.given == {"a", "b"}
