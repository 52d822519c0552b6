#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
# time limit: 60 s
"""Completion in bash and zsh, held against what the help of postern says."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PLACE = folder("shells")
CONF = write(PLACE + "/postern.conf", """\
listen mx { socket unix:%s/postern.sock; }
table customers { example.org; }
table cats { example.net; }
rule closed { when true; reply 550 5.7.1 "closed"; }
""" % PLACE)

BASH = r"""
source "$1/completions/postern.bash"
shift
mapfile -t COMP_WORDS < <(printf '%s\n' "$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_postern
printf '%s\n' "${COMPREPLY[@]}"
"""

# A zsh in a terminal of its own, in which each line is typed, Tab pressed and the line run.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= fpath=(${(q)1}/completions \$fpath) path=(${(q)2} \$path)"
zpty -w shell 'autoload -Uz compinit && compinit -D -u; print ready >$TYPED'
shift 2
wait_for() {
    repeat 600; do
        [[ -e $TYPED && $(wc -l <$TYPED) -ge $1 ]] && return
        sleep 0.05
    done
    print -u2 "zsh has not come to line $1"
    exit 1
}
integer lines=1
for line; do
    wait_for $lines
    zpty -w shell "$line"$'\t'
    (( ++lines ))
done
wait_for $lines
zpty -d shell
"""

# Stands in for postern there: answers what completion asks, and writes down what is run.
NOTES = """\
#!/bin/sh
[ "$1" != --complete ] || exec %s "$@"
echo "$*" >>"$TYPED"
"""


def run(argv, env=None):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, **(env or {})), check=False, timeout=50)
    same((done.returncode, done.stderr), (0, ""))
    return done.stdout.splitlines()


def in_bash(*words):
    """What bash offers for the last of the words behind `postern`."""
    return [line for line in run(["bash", "-c", BASH, "bash", ROOT, binary(), *words]) if line]


def in_zsh(*lines):
    """What zsh makes of each line."""
    place = folder("zsh")
    write(place + "/postern", NOTES % binary())
    os.chmod(place + "/postern", 0o755)
    run(["zsh", "-f", "-c", ZSH, "zsh", ROOT, place, *lines], {"TYPED": place + "/typed", "TERM": "dumb"})
    with open(place + "/typed", encoding="utf-8") as file:
        return file.read().splitlines()[1:]


def subcommands():
    return re.findall(r"^  postern (\w+)", command("--help")[1], re.M)


def flags(name):
    return re.findall(r"^  (?:-\w, )?(--[\w-]+)", command("help", name)[1], re.M)


@case("bash: every subcommand and every option of it is offered, and nothing else")
def _():
    names = subcommands()
    expect(len(names) >= 4, names)
    same(sorted(in_bash("")), sorted(names + ["help"]))
    same(sorted(in_bash("help", "")), sorted(names))
    same(in_bash("--v"), ["--version"])
    for name in names:
        expect(len(flags(name)) >= 1, name)
        same(in_bash(name, "--"), flags(name), name)
    same(in_bash("nonsense", "--"), [])
    same(in_bash("check", "--", "--"), [])


@case("bash: arguments: files, words, and tables of the configuration that was named")
def _():
    same(in_bash("check", "-c", PLACE + "/post"), [CONF])
    same(in_bash("check", "--config", "=", PLACE + "/post"), [CONF])
    same(in_bash("check", "--config", "="), in_bash("check", "--config", ""))
    same(in_bash("table", "--as", ""), ["address", "recipient", "domain", "ip", "text"])
    same(in_bash("table", "--as", "re"), ["recipient"])
    same(in_bash("table", "-c", CONF, ""), ["customers", "cats"])
    same(in_bash("table", "--config", "=", CONF, "cu"), ["customers"])
    same(in_bash("table", "-c", CONF, "cats", ""), [])
    same(in_bash("table", "-c", "/nonexistent", ""), [])


@case("zsh: the same, where one candidate is left")
def _():
    rows = {"table -c %s cu" % CONF: "table -c %s customers" % CONF, "table --as reci": "table --as recipient",
            "check -c %s/postern.c" % PLACE: "check -c " + CONF, "check --config=%s/postern.c" % PLACE: "check --config=" + CONF}
    for name in subcommands():
        rows[name[:-1]] = name
        for flag in flags(name):
            if sum(one.startswith(flag[:-1]) for one in flags(name)) == 1:
                rows["%s %s" % (name, flag[:-1])] = "%s %s" % (name, flag)
    same(in_zsh(*("postern " + line for line in rows)), list(rows.values()))


@case("completion says nothing to what it does not know, and always ends well")
def _():
    for words in ((), ("",), ("",) * 40, ("check",) * 40, ("table", "--", "x", "y"), ("explain", "-"), ("help", "x", "y"), ("explain", "--client")):
        status, _, err = command("--complete", *words)
        same((status, err), (0, ""), words)


main()
