# SPDX-License-Identifier: MIT
# bash completion of postern(8).  What can stand where is asked of the command itself.

_postern() {
    local word line
    local -a words=()
    COMPREPLY=()
    # Readline cuts --option=value in three.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        [[ $word == = && ${words[-1]-} == --* ]] || words+=("$word")
    done
    [[ ${COMP_WORDS[COMP_CWORD]} != = ]] || words+=('')
    while IFS= read -r line; do
        if [[ $line == @file ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do
                COMPREPLY+=("$line")
            done < <(compgen -f -- "${words[-1]-}")
        else
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <("${COMP_WORDS[0]}" --complete "${words[@]}" 2>/dev/null)
}

complete -F _postern postern
