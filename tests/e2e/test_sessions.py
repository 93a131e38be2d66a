"""How often a host is reached: once, and over that one connection for as few sessions as are promised.

Requirements: REL-1.
"""

import subprocess

from tests.support.histories import good
from tests.support.site import Site
from tests.support.wire import Cost, Meter

VERBOSE = "/etc/ssh/sshd_config.d/01-counted.conf"


def test_an_update_a_rollback_and_nothing_to_do_need_no_more_sessions_than_are_promised(hosted: Site) -> None:
    def inside(script: str) -> str:
        words = ["podman", "exec", hosted.container, "sh", "-ec", script]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def cost(*words: str) -> Cost:
        meter = Meter(inside)
        answer = hosted.run(*words, "--app", hosted.app)
        assert answer.code == 0, str(answer)
        return meter.read()

    hosted.good("before it is counted")
    update = hosted.repository.commit(good("counted"))
    try:
        # Then a session leaves a line, too; a connection that is there already would go on without.
        inside(f"echo LogLevel VERBOSE > {VERBOSE} && systemctl reload ssh && pkill -f '^sshd: ops'")
        for most, words in ((8, ["deploy", "--ref", update]), (1, ["deploy", "--ref", update]), (4, ["rollback"])):
            found = cost(*words)
            assert 1 <= found.sessions <= most, (words, found)
            assert found.connections <= 1, (words, found)
    finally:
        inside(f"rm -f {VERBOSE} && systemctl reload ssh")
