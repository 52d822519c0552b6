#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
# time limit: 120 s
"""The examples in the manual pages and in the README: what they show is what happens.

In a page, a comment in front of a literal display says what becomes of it:

  .\\" test: rules          becomes rules.conf, which the site's postern.conf includes; `postern check` must take it
  .\\" test: refused        the same, but `postern check` must refuse it
  .\\" test: config         a whole postern.conf that `postern check` must take
  .\\" test: file NAME      becomes the file NAME beside postern.conf; a backslash ends a line that is broken to fit the page
  .\\" test: session        lines that begin with "$ " or "# " are run by a shell, and the lines below are their output,
                           in which a line "..." stands for any number of lines, and " ..." at a line's end for its rest
  .\\" test: none REASON    it is not run here

A literal display without such a comment has failed. The site is the one that postern-policy(7) describes: mx.example.org
behind its own name servers.
"""

import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

lists = Rbldnsd({"bl.example": ("ip4set", "127.0.0.2\n203.0.113.66 :127.0.0.2:Sends spam, see https://bl.example/66\n")})
nsd = Nsd({
    "example.org": "@ MX 10 mx\nmx A 192.0.2.1\n",
    "example.net": '@ MX 10 mail\n@ TXT "v=spf1 ip4:203.0.113.7 -all"\n_dmarc TXT "v=DMARC1; p=reject"\nmail A 203.0.113.7\n',
    "example.com": '@ MX 10 mail\n@ TXT "v=spf1 include:_spf.example.com ~all"\n_spf TXT "v=spf1 ip4:198.51.100.0/24 -all"\nmail A 198.51.100.25\n',
    "nomail.example": "@ MX 0 .\n",
    "example": "",
    "113.0.203.in-addr.arpa": "7 PTR mail.example.net.\n",
    "100.51.198.in-addr.arpa": "25 PTR mail.example.com.\n",
})
dns = Unbound({".": nsd.at, "bl.example": lists.at})
PLACE = folder("site")

SITE = """\
hostname mx.example.org;
help_url https://mx.example.org/postern;
state_dir %(place)s;
listen mx { socket unix:%(place)s/postern.sock; }
resolver { servers %(dns)s; timeout 2s; }
table ours  { example.org; }
table users { alice@example.org; bob@example.org; sales@example.org; postmaster@example.org; }
table moved { }
recipients  { domains ours; known users; }
dnsbl zen   { zone bl.example; listed 127.0.0.2-11; weight 3; }
include rules.conf;
"""
RULES = 'rule listed { when dnsbl.score >= 3; reply 554 5.7.1 "blocked using %{dnsbl.name}"; }\n'


def place(name):
    return os.path.join(PLACE, name)


# What a reader types as it stands: `postern` with the site's configuration, paths of an installed package.
os.mkdir(place("bin"))
write(place("bin/postern"), """#!/bin/sh
command=$1; shift
case $command in
check | explain | table) exec "%s" "$command" -c "${POSTERN_CONF:-%s}" "$@" ;;
*) exec "%s" "$command" "$@" ;;
esac
""" % (binary(), place("postern.conf"), binary()), 0o755)
# The journal of the site is the file of records that postern-audit(5) shows.
write(place("bin/journalctl"), "#!/bin/sh\nexec cat audit.log\n", 0o755)
write(place("recipients"), "alice@example.org\nbob@example.org\nsales@example.org\n")
ENVIRONMENT = dict(os.environ, PATH=place("bin") + ":" + os.environ["PATH"], NO_COLOR="1", COLUMNS="80", LC_ALL="C.UTF-8")


def local(text):
    """Paths of an installed package become those of this tree."""
    text = text.replace("/usr/share/postern/rules.d", os.path.join(ROOT, "etc/rules.d"))
    return text.replace("/etc/postern", PLACE)


def plain(line):
    """A line of a literal display as the reader sees it."""
    for escape, character in (("\\&", ""), ("\\(dq", '"'), ("\\(aq", "'"), ("\\-", "-"), ("\\e", "\\")):
        line = line.replace(escape, character)
    return line


class Display:
    def __init__(self, page, line, what):
        self.page, self.line, self.what, self.text = page, line, what, ""

    def __str__(self):
        return "%s:%d" % (os.path.basename(self.page), self.line)


def displays_of(page):
    displays, current, marker = [], None, ""
    for number, line in enumerate(read(page).splitlines(), 1):
        if current is not None:
            if line == ".Ed":
                current = None
            else:
                current.text += plain(line) + "\n"
        elif line.startswith(".Bd -literal"):
            current = Display(page, number, marker)
            displays.append(current)
            marker = ""
        else:
            match = re.match(r'\.\\" test: (.*)$', line)
            marker = match.group(1) if match else ""
    return displays


def configure(rules):
    """The site with these rules; a table that they define takes the place of the site's own."""
    site = SITE % {"place": PLACE, "dns": dns.at}
    for name in re.findall(r"^table (\S+)", rules, re.M):
        site = re.sub(r"^table %s .*\n" % re.escape(name), "", site, flags=re.M)
    write(place("rules.conf"), local(rules))
    write(place("postern.conf"), site)


def shell(command):
    done = subprocess.run(["bash", "-c", local(command)], cwd=PLACE, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=30 * SLOW, check=False)
    return done.returncode, done.stdout


def steady(text):
    """Without what differs from run to run."""
    return re.sub(r"\b(ref|id=) ?[0-9A-Z]{6}\b", r"\1 ID", text).replace(PLACE, "/etc/postern")


def fits_line(shown, got):
    shown, got = shown.rstrip(), got.rstrip()
    return got.startswith(shown[:-3]) if shown.endswith(" ...") else shown == got


def fits(shown, got):
    """Whether the lines that were got are those that are shown, where "..." stands for any."""
    if not shown:
        return not got
    if shown[0].strip() == "...":
        return any(fits(shown[1:], got[start:]) for start in range(len(got) + 1))
    return bool(got) and fits_line(shown[0], got[0]) and fits(shown[1:], got[1:])


def run_session(text):
    commands = []
    for line in text.splitlines():
        if re.match(r"[$#] ", line):
            commands.append([line[2:], []])
        elif commands and re.search(r"[\\|]$", commands[-1][0]) and not commands[-1][1]:
            commands[-1][0] += "\n" + line
        else:
            expect(commands, "a session begins with a command: %s" % line)
            commands[-1][1].append(line)
    expect(commands, "a session without a command")
    for command, shown in commands:
        got = steady(shell(command)[1])
        expect(fits([steady(line) for line in shown], got.splitlines()),
               "%s\nshown:\n%s\ngot:\n%s" % (command, "\n".join(shown), got))


def run(display):
    words = display.what.split(None, 1)
    expect(words, "%s: no comment says what becomes of this display" % display)
    kind, argument = words[0], words[1] if len(words) > 1 else ""
    if kind in ("rules", "refused"):
        configure(display.text)
        status, output = shell("postern check")
        same(status, 1 if kind == "refused" else 0, output)
    elif kind == "config":
        configure("")
        write(place("whole.conf"), local(display.text))
        status, output = shell("POSTERN_CONF=%s postern check" % place("whole.conf"))
        same(status, 0, output)
    elif kind == "file":
        write(place(argument), local(re.sub(r"\\\n *", "", display.text)))
    elif kind == "session":
        run_session(display.text)
    else:
        expect(kind == "none" and argument, "%s: unknown comment '%s'" % (display, display.what))


def page_case(page):
    displays = displays_of(page)
    ran = [display for display in displays if not display.what.startswith("none")]

    @case("%s: %d of its %d displays run" % (os.path.basename(page), len(ran), len(displays)))
    def _():
        configure(RULES)
        troubles = []
        for display in displays:
            try:
                run(display)
            except Exception as trouble:  # All of them are to be seen in one run.
                troubles.append("%s: %s" % (display, trouble))
        expect(not troubles, "\n".join(troubles))


def readme_blocks(kind):
    """The indented blocks of the README below a comment of this kind."""
    for match in re.finditer(r"<!-- test: %s -->\n\n((?:    .*\n|\n(?=    ))+)" % kind, read(os.path.join(ROOT, "README.md"))):
        yield re.sub(r"^    ", "", match.group(1), flags=re.M)


@case("README: its policies are taken")
def _():
    blocks = list(readme_blocks("rules"))
    same(len(blocks), 3)
    for block in blocks:
        configure(block)
        status, output = shell("postern check")
        same(status, 0, output)


@case("README: what it shows is what make demo prints")
def _():
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/demo.py")], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60 * SLOW, check=False, env=dict(ENVIRONMENT, POSTERN=binary(), POSTERN_TEST_DIR=folder("demo")))
    same(done.returncode, 0, done.stdout)
    printed = [re.sub(r"^\S+T\S+ postern\[\d+\]: ", "", line.strip()) for line in steady(done.stdout).splitlines()]
    blocks = list(readme_blocks("demo"))
    same(len(blocks), 3)
    for block in blocks:
        shown = [line.strip() for line in steady(block).splitlines()]
        expect(any(all(fits_line(line, got) for line, got in zip(shown, printed[start:]))
                   for start in range(len(printed) - len(shown) + 1)), "not in the demo:\n%s\n%s" % (block, done.stdout))


# One of them is made by the build.
PAGES = sorted(glob.glob(os.path.join(ROOT, "man/*.[1-8]")) + glob.glob(os.path.join(os.path.dirname(binary()), "man/*.[1-8]")))
for page in PAGES:
    page_case(page)


@case("every page shows examples that run")
def _():
    for page in PAGES:
        expect(".Sh EXAMPLES" in read(page), "%s has no EXAMPLES" % page)
        expect(any(not display.what.startswith("none") for display in displays_of(page)), "%s: nothing of it is run" % page)


main()
