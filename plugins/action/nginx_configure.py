"""Render nginx's files on the controller, in plain Jinja2: values of an inventory are data here, never templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host, nginx_sites
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HOOK = "/etc/ferryman/certificates.d/nginx"  # programs here are run after a certificate has changed
ROTATION = "/etc/logrotate.d/ferryman-nginx"
DIRECTIVE_SINCE = (1, 25, 1)  # `http2 on;`; before that it is a word of `listen`

PAGES = {
    "maintenance_page": {
        "mark": "maintenance",
        "title": "Down for maintenance",
        "text": "We are working on this site and will be back shortly.",
    },
    "unavailable_page": {
        "mark": "unavailable",
        "title": "Temporarily unavailable",
        "text": "This site does not answer at the moment. Please try again in a few seconds.",
    },
}


def version(text: str) -> tuple[int, ...]:
    """Return the version in the answer of `nginx -v`; empty where nginx is not there yet."""
    word = text.rpartition("nginx/")[2].split()[:1] if "nginx/" in text else []
    return tuple(int(part) for part in word[0].split(".") if part.isdigit()) if word else ()


def render(templates: Path, sites: list[dict[str, Any]], options: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the common text and {site: text}."""
    environment = Environment(  # noqa: S701 - configuration files and a page without values from outside
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template("page.html.j2")
    pages = {name: page.render(words).strip() for name, words in PAGES.items()}
    site_template = environment.get_template("site.conf.j2")
    common = environment.get_template("common.conf.j2").render(options)
    return common, {site["name"]: site_template.render({**options, **pages, "site": site}) for site in sites}


class ActionModule(ActionBase):
    """Adds what is the same for all: templates, the host's version of nginx, files outside the configuration."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        sites, errors = nginx_sites.complete(given.pop("sites"))
        if errors:
            raise AnsibleActionFail("\n".join(errors))
        owner, remove_default = given.pop("owner"), given.pop("remove_default")
        templates = Path(self._find_needle("templates", "site.conf.j2")).parent
        # How HTTP/2 is asked for depends on the version, and a host without IPv6 refuses to listen on it.
        asked = self._low_level_execute_command("/usr/sbin/nginx -v 2>&1; test -e /proc/net/if_inet6 && echo has-ipv6")
        answer = asked.get("stdout", "")
        options = {
            **given,
            "ipv6": "has-ipv6" in answer,
            "http2": "listen" if () < version(answer) < DIRECTIVE_SINCE else "directive",
            "tls_path": nginx_host.TLS,
        }
        common, texts = render(templates, sites, options)
        arguments = {
            "owner": owner,
            "common": common,
            "sites": [
                {
                    **{key: site[key] for key in ("name", "domains", "share_path")},
                    "text": texts[site["name"]],
                    **site["certificate"],
                }
                for site in sites
            ],
            "directories": [given["log_path"], given["acme_root"], *(site["share_path"] for site in sites)],
            "companions": self._companions(templates, given),
            "remove_default": remove_default,
        }
        answered = self._execute_module(
            module_name="ferryman.ops.nginx_configure", module_args=arguments, task_vars=task_vars
        )
        result.update(answered)
        return result

    def _companions(self, templates: Path, given: dict[str, Any]) -> list[dict[str, str]]:
        program = Path(nginx_host.__file__).read_text(encoding="utf-8")
        rotation = (templates / "logrotate.conf.j2").read_text(encoding="utf-8")
        for name in ("log_path", "log_keep_days"):
            rotation = rotation.replace(f"{{{{ {name} }}}}", str(given[name]))
        return [
            {"path": HOOK, "text": program, "mode": "0755"},
            {"path": ROTATION, "text": rotation, "mode": "0644"},
        ]
