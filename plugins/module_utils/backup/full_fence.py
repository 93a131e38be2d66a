"""What a full drill restored, kept from the world: real data, real secrets and workers that run must reach nobody."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import replace
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

FENCE = "/etc/ferryman-drill.nft"
UNIT = "/etc/systemd/system/ferryman-drill.service"
TABLE = "inet ferryman_drill"
SERVICE = f"""\
# Written by Ferryman (role backup): before anything of a drill runs, also after a boot, it is kept from the world.
[Unit]
Description=Ferryman: keeps what a drill restored from the world
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {FENCE}

[Install]
WantedBy=multi-user.target
"""


def rules(accounts: Iterable[str], port: int) -> str:
    """Return a table for nft: what runs as these accounts may ask for names, and else reaches this host alone; on the
    database's port, at whatever address, the restored one. So it writes no mail, calls nobody, finds no live database.
    """
    who = ", ".join(f'"{name}"' for name in accounts)
    return f"""\
# Written by Ferryman (role backup): what a drill restored reaches nobody.
add table {TABLE}
delete table {TABLE}
table {TABLE} {{
    chain turned {{
        type nat hook output priority -100; policy accept;
        meta skuid {{ {who} }} tcp dport {port} redirect to :{port}
    }}
    chain as_local {{
        type nat hook postrouting priority 100; policy accept;
        meta skuid {{ {who} }} ip daddr 127.0.0.1 ip saddr != 127.0.0.0/8 snat ip to 127.0.0.1
        meta skuid {{ {who} }} ip6 daddr ::1 ip6 saddr != ::1 snat ip6 to ::1
    }}
    chain out {{
        type filter hook output priority 0; policy accept;
        meta skuid {{ {who} }} meta l4proto {{ tcp, udp }} th dport 53 accept
        meta skuid {{ {who} }} ct direction original ip daddr != 127.0.0.0/8 reject
        meta skuid {{ {who} }} ct direction original ip6 daddr != ::1 reject
    }}
}}
"""


def fence(accounts: Iterable[str], port: int) -> None:
    """Have the rules hold, now and after each boot."""
    replace(FENCE, rules(accounts, port))
    replace(UNIT, SERVICE)
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--quiet", os.path.basename(UNIT))
    run("systemctl", "restart", os.path.basename(UNIT))


def unfence() -> None:
    """Have the rules go: nothing is there any more that they keep."""
    program.run(["systemctl", "disable", "--now", "--quiet", os.path.basename(UNIT)])
    program.run(["nft", "delete", "table", *TABLE.split()])
    for path in (UNIT, FENCE):
        if os.path.exists(path):
            os.unlink(path)
    run("systemctl", "daemon-reload")


def run(*words: str) -> None:
    """Run a program; Trouble with its last words where it fails."""
    done = program.run(list(words))
    if done.returncode:
        raise Trouble(f"{' '.join(words)} ended with {done.returncode}: {program.tail(done.stdout)}")
