"""Completion scripts: each finds out after which command and action one stands, and offers what may come there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.commandline.completion import Place

_FILES = "@files"

_BASH = r"""# Completion of pdp for bash, made by: python main.py completion bash
_pdp_place() {  # after which command and action the words so far stand
    local word place=""
    for word in "$@"; do
        case "$place" in
            "")
                case "$word" in
                    --json|--debug) ;;
                    COMMANDS) place="$word" ;;
                    *) place="run" ;;
                esac
                ;;
            WITH_ACTIONS)
                case "$place $word" in
                    ACTIONS) place="$place $word" ;;
                esac
                ;;
        esac
    done
    printf '%s' "$place"
}
_pdp() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" place words="" flags=""
    place="$(_pdp_place "${COMP_WORDS[@]:1:COMP_CWORD-1}")"
    case "$place:$prev" in
VALUES
    esac
    case "$place" in
PLACES
    esac
    case "$cur" in -*) words="$flags" ;; esac
    case " $words " in
        *" @files "*) mapfile -t COMPREPLY < <(compgen -W "${words//@files/}" -- "$cur"; compgen -f -- "$cur") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    esac
}
complete -o filenames -F _pdp pdp main.py
"""

_ZSH = r"""#compdef pdp main.py
# Completion of pdp for zsh, made by: python main.py completion zsh
_pdp() {
    local word place="" prev="${words[CURRENT-1]}"
    local -a found flags
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$place" in
            "")
                case "$word" in
                    --json|--debug) ;;
                    COMMANDS) place="$word" ;;
                    *) place="run" ;;
                esac
                ;;
            WITH_ACTIONS)
                case "$place $word" in
                    ACTIONS) place="$place $word" ;;
                esac
                ;;
        esac
    done
    case "$place:$prev" in
VALUES
    esac
    case "$place" in
PLACES
    esac
    if [[ "${words[CURRENT]}" == -* ]]; then
        _describe -o 'option' flags
    else
        (( ${#found} )) && _describe 'word' found
        (( files )) && _files
    fi
}
if [ "$funcstack[1]" = "_pdp" ]; then _pdp "$@"; else compdef _pdp pdp main.py; fi
"""

_FISH = r"""# Completion of pdp for fish, made by: python main.py completion fish
function __pdp_at --description 'whether the words so far stand after this command and action'
    set -l place ''
    for word in (commandline -opc)[2..]
        switch "$place"
            case ''
                switch "$word"
                    case --json --debug
                    case COMMANDS
                        set place $word
                    case '*'
                        set place run
                end
            case WITH_ACTIONS
                switch "$place $word"
                    case ACTIONS
                        set place "$place $word"
                end
        end
    end
    test "$place" = "$argv[1]"
end
complete -c pdp -f
PLACES
"""


def bash(places: Sequence[Place]) -> str:
    """For bash 4 or newer."""
    values = [
        f"        {_pattern(f'{p.at}:{flag}')}) mapfile -t COMPREPLY < <({_compgen(words)}); return ;;"
        for p in places
        for flag, words in p.values
        if words
    ]
    lines = []
    for p in places:
        words = " ".join([*(word for word, _ in p.words), *([_FILES] if p.files else [])])
        lines.append(f'        {_pattern(p.at)}) words="{words}"; flags="{" ".join(flag for flag, _ in p.flags)}" ;;')
    return _filled(_BASH, places, "|", lines).replace("VALUES\n", "\n".join(values) + "\n")


def zsh(places: Sequence[Place]) -> str:
    """As a function of `fpath`, or to be sourced."""
    values = []
    for p in places:
        for flag, words in p.values:
            offered = "_files" if words == _FILES else f"compadd -- {words}"
            values += [f"        {_pattern(f'{p.at}:{flag}')}) {offered}; return ;;"] if words else []
    lines = []
    for p in places:
        found, flags = (" ".join(_quoted(_entry(*pair)) for pair in pairs) for pairs in (p.words, p.flags))
        lines.append(f"        {_pattern(p.at)}) found=({found}); flags=({flags}); local files={int(p.files)} ;;")
    return _filled(_ZSH, places, "|", lines).replace("VALUES\n", "\n".join(values) + "\n")


def fish(places: Sequence[Place]) -> str:
    """One line for each thing that may come."""
    lines = []
    for p in places:
        at = f"complete -c pdp -n {_fish_quoted(f'__pdp_at {_fish_quoted(p.at)}')}"
        lines += [f"{at} -a {_fish_quoted(word)} -d {_fish_quoted(text)}" for word, text in p.words]
        lines += [f"{at} -F"] if p.files else []
        values = dict(p.values)
        for flag, text in p.flags:
            name = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            taken = values.get(flag)
            value = "" if taken is None else " -r -F" if taken == _FILES else f" -x -a {_fish_quoted(taken)}"
            lines.append(f"{at} {name}{value} -d {_fish_quoted(text)}")
    return _filled(_FISH, places, " ", lines)


def _filled(script: str, places: Sequence[Place], between: str, lines: Sequence[str]) -> str:
    commands = [p.at for p in places if p.at not in {"", "run"} and " " not in p.at]
    actions = [p.at for p in places if " " in p.at]
    holders = sorted({at.split()[0] for at in actions})
    return (
        script.replace("WITH_ACTIONS", between.join(holders))
        .replace("ACTIONS", between.join(f'"{at}"' for at in actions))
        .replace("COMMANDS", between.join(commands))
        .replace("PLACES\n", "\n".join(lines) + "\n")
    )


def _compgen(words: str) -> str:
    return 'compgen -f -- "$cur"' if words == _FILES else f'compgen -W "{words}" -- "$cur"'


def _pattern(text: str) -> str:
    return f'"{text}"'


def _entry(word: str, text: str) -> str:
    """`word:what it does`, as _describe reads it."""
    word = word.replace(":", "\\:")
    return f"{word}:{text}" if text else word


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
