"""`ansible-playbook` as our runs start it: Ansible's own program, with garbage collected at a pace that fits it.

What it imports are tens of thousands of objects that stay until it ends. Python looks through them for what could go
while they are being made, and again in each process that Ansible forks for a task (docs/decisions/0033-speed.md).
"""

import gc
import sys
from pathlib import Path

from ferryman import garbage


def main() -> None:
    """Be `ansible-playbook`, with the words that this process was given."""
    gc.disable()
    from ansible.cli.playbook import main as ansible_playbook

    garbage.seldom()
    gc.enable()
    sys.argv[0] = str(Path(sys.executable).with_name("ansible-playbook"))  # others of its programs are beside it
    ansible_playbook()


if __name__ == "__main__":
    main()
