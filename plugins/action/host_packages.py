"""Install packages by ansible.builtin.apt, which is not even started where all are there: it takes seconds to say so.

In check mode it says what is missing also where apt can't tell what it would do.
"""

from __future__ import annotations

import shlex
from typing import Any

from ansible.plugins.action import ActionBase

ALWAYS: dict[str, Any] = {
    "install_recommends": False,
    "update_cache": True,
    "cache_valid_time": 86400,
    "lock_timeout": 300,  # unattended upgrades may be at work
}
NO_NAME = "No package matching"
NO_LIBRARY = "must be installed to use check mode"
"""How apt fails on a bare host: without lists of packages, and, in check mode alone, without its own library."""

STATES = "/var/lib/apt/extended_states"
"""Where apt notes what it brought for others; apt-mark(8) tells of it."""
AUTOMATIC = (
    "/^Package: / { name = $2; own = 1 } /^Architecture: / { own = $2 == host } "
    "own && /^Auto-Installed: 1/ { print name }"
)
"""Names those of the `host`'s own architecture, which are meant where none is said."""


class ActionModule(ActionBase):
    """ferryman.ops.host_packages"""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Install what is missing; in a check, name what is missing where apt has no name for it yet."""
        super().run(tmp, task_vars)
        _, given = self.validate_argument_spec({"names": {"type": "list", "elements": "str", "required": True}})
        names = list(given["names"])
        missing, automatic = self._have_not(names)
        if not missing and not automatic:
            return {"changed": False}
        result = self._apt(names, task_vars)
        said = str(result.get("msg", "")) if result.get("failed") else ""
        if self._task.check_mode and (NO_NAME in said or NO_LIBRARY in said):
            if not missing:
                return {"changed": False}
            prepared = f"The following NEW packages will be installed:\n  {' '.join(missing)}\n"  # apt's words
            return {"changed": True, "diff": {"prepared": prepared}}
        if NO_NAME in said:  # an image whose lists were just thrown away has young ones, with nothing in them
            return self._apt(names, task_vars, cache_valid_time=0)
        return result

    def _apt(self, names: list[str], task_vars: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
        words = {"name": names, **ALWAYS, **more}
        return dict(self._execute_module(module_name="ansible.builtin.apt", module_args=words, task_vars=task_vars))

    def _have_not(self, names: list[str]) -> tuple[list[str], list[str]]:
        """Return which packages are not installed whole, and which are there for others alone, with whom they may go.

        Of the latter apt notes that they are wanted. Its own file says which they are: `apt-mark showauto` reads all
        that there is to install first, a third of a second for each task of a provisioning that changes nothing.
        """
        status = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\\n", *names]
        noted = f'awk -v host="$(dpkg --print-architecture)" {shlex.join([AUTOMATIC, STATES])}'
        both = f"{shlex.join(status)} 2>/dev/null; {noted} 2>/dev/null || :"
        lines = [line.split() for line in self._low_level_execute_command(both, sudoable=True)["stdout"].splitlines()]
        have = {words[0] for words in lines if words[1:] == ["installed"]}
        automatic = {words[0] for words in lines if len(words) == 1}
        return [name for name in names if name not in have], [name for name in names if name in have & automatic]
