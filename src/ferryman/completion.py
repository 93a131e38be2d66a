"""What a shell offers after TAB: the scripts that ask, and the environments as answers. The rest is Invoke's answer.

A script hands the words up to the cursor to `--complete --`, the one that is being typed (perhaps empty) last.
"""

import re

from ferryman import environments
from ferryman.errors import Stop

SCRIPTS = {
    "bash": """\
_{name}() {{
    local found IFS=$'\\n'
    found=$("${{COMP_WORDS[0]}}" --complete -- "${{COMP_WORDS[@]:0:COMP_CWORD+1}}" 2>/dev/null)
    COMPREPLY=($(compgen -W "$found" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _{name} {program}
""",
    "zsh": """\
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}
_{name}() {{
    local -a found
    found=(${{(f)"$("$words[1]" --complete -- "${{(@)words[1,CURRENT]}}" 2>/dev/null)"}})
    compadd -a found || _files
}}
compdef _{name} {command}
""",
    "fish": """\
function __{name}
    set -l typed (commandline --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor)
    $typed[1] --complete -- $typed 2>/dev/null
end
complete --command {command} --no-files --arguments '(__{name})'
""",
}
ENV = ("--env", "-e")


def script(shell: str, program: str) -> str:
    """Return what a shell has to read to complete `program` (`ferryman`, `./invoke`); a `Stop` for other shells."""
    if shell not in SCRIPTS:
        raise Stop(f"no completion for a shell called {shell!r}", hint=f"one of: {', '.join(sorted(SCRIPTS))}")
    command = program.rpartition("/")[2]
    return SCRIPTS[shell].format(name=f"ferryman_{re.sub(r'[^a-z]', '_', command)}", program=program, command=command)


def values(typed: str) -> list[str]:
    """Return what the last of the words can be where that is ours to say: an environment after `--env`."""
    *before, last = typed.split(" ")
    if before[-1:] == ["="]:  # bash takes the sign for a word
        del before[-1]
    if last.partition("=")[0] in ENV and "=" in last:  # the other shells do not
        return [f"{last.partition('=')[0]}={name}" for name in environments.names()]
    return environments.names() if before[-1:] and before[-1] in ENV else []
