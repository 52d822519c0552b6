#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
# time limit: 60 s
"""The commands: what they print, how they end, and that those that only tell change nothing."""

import hashlib
import json
import os
import pty
import pwd
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

lists = Rbldnsd({"bl.example": ("ip4set", "127.0.0.2\n203.0.113.66 :127.0.0.2:Sends \x1b[31mspam\n")})
nsd = Nsd({"example.net": "@ MX 10 mail\nmail A 203.0.113.7\n", "113.0.203.in-addr.arpa": "7 PTR mail.example.net.\n"})
dns = Unbound({".": nsd.at, "bl.example": lists.at})
PLACE = folder("site")
CONF = write(PLACE + "/postern.conf", """\
hostname mx.example.test;
state_dir %s/state;
listen mx { socket unix:%s/postern.sock; }
resolver { servers %s; timeout 1s; }
audit { to file:%s/audit; }
table ours  { example.test; }
table users file:users;
recipients { domains ours; known users; }
dnsbl bl { zone bl.example; listed 127.0.0.2; weight 3; }
rule trusted { when auth.user == joe; accept; }
rule unknown { when rcpt.status == unknown; reply 550 5.1.1 "<%%{rcpt}>: User unknown"; }
rule down    { when rcpt.status == unavailable; reply 451 4.3.0 "directory down"; }
rule listed  { when dnsbl.score >= 3; reply 554 5.7.1 "[%%{client.ip}] blocked using %%{dnsbl.name}; %%{dnsbl.reason}"; owner "bob"; note "why"; }
rule mark    { when true; header "X-Seen: %%{client.name}"; }
rule worm    { when header('Subject') matches 'worm'; reply 554 5.7.1 "first line\\nsecond line"; }
rule hold    { when header('Subject') matches 'hold'; quarantine "held for %%{sender}"; }
""" % (PLACE, PLACE, dns.at, PLACE))
write(PLACE + "/users", "alice@example.test\nbob@example.test\n")
os.mkdir(PLACE + "/state")
PLAIN = ["--client", "203.0.113.7", "--helo", "mail.example.net", "--from", "x@example.net"]


def picture():
    """Everything in the site's folder: names, contents, times."""
    found = {}
    for path, folders, files in os.walk(PLACE):
        found[path] = sorted(folders), os.stat(path).st_mtime_ns
        for name in files:
            whole = os.path.join(path, name)
            with open(whole, "rb") as data:
                found[whole] = hashlib.sha256(data.read()).hexdigest(), os.stat(whole).st_mtime_ns
    return found


def message(name, text):
    return write("%s/../%s.eml" % (PLACE, name), text)


def explain(*arguments, status=0):
    got, out, err = command("explain", "-c", CONF, *arguments)
    same(got, status, err)
    return out


def explained(*arguments):
    return json.loads(explain("--json", *arguments))


@case("--version and --help, of the whole and of every command")
def _():
    status, out, err = command("--version")
    same((status, err), (0, ""))
    matches(out, r"^postern \d+\.\d+\.\d+\n$")
    status, out, err = command("--help")
    same((status, err), (0, ""))
    names = re.findall(r"^  postern ([a-z]+) ", out, re.M)
    expect({"serve", "check", "explain", "table"} <= set(names), names)
    for name in set(names):
        status, out, err = command(name, "--help")
        same((status, err), (0, ""), name)
        expect(out.startswith("usage: postern %s " % name), out[:80])
        same(command("help", name), (0, out, ""), name)
        usage, rows = out.split("\n\n", 1)
        flags = r"(?<![\w-])(--?[a-z][\w-]*)"
        known = {flag for line in rows.splitlines() if line.startswith("  -") for flag in re.findall(flags, line[:24])}
        expect(set(re.findall(flags, usage)) <= known, "the usage of %s shows what there is not: %s" % (name, usage))
        expect(max(map(len, out.splitlines())) <= 80, out)


@case("used wrongly: exit 2, the usage on standard error, nothing on standard output")
def _():
    rows = [(), ("nonsense",), ("--nonsense",), ("",), ("check", "x"), ("check", "-x"), ("check", "-c"), ("serve", "x"), ("serve", "-x"),
            ("explain",), ("explain", "-c", CONF), ("explain", *PLAIN), ("explain", *PLAIN, "--rcpt"), ("explain", "--bogus"),
            ("explain", "--client", "nobody", "--helo", "x", "--from", "x", "--rcpt", "x"),
            ("explain", "--client", "203.0.113.256", "--helo", "x", "--from", "x", "--rcpt", "x"),
            ("explain", *PLAIN, "--rcpt", "x@example.test", "more"), ("table",), ("table", "users"), ("table", "--as", "x", "users", "y")]
    for row in rows:
        status, out, err = command(*row)
        same((status, out), (2, ""), str(row))
        expect("usage" in err or "ee postern --help" in err, "%s: %s" % (row, err))
    rows = [(("tabel",), "did you mean 'table'?"), (("help", "chek"), "did you mean 'check'?"), (("check", "--confg"), "did you mean '--config'?"),
            (("check", "-c"), "-c needs an argument"), (("serve", "--foreground=x"), "--foreground takes no argument"),
            (("explain", "--m"), "--m"), (("table", "-q", "x", "y"), "no option -q"), (("check", "x"), "'x' is one word too many"),
            (("explain", *PLAIN), "--rcpt is missing"), (("explain", *PLAIN[:4], "--rcpt", "x"), "--from is missing"), (("explain", "--client", "mx"), "--helo is missing"),
            (("explain", "--client", "mx.example", *PLAIN[2:], "--rcpt", "x"), "--client takes an IP address, not 'mx.example'"),
            (("table", "--as", "x", "users", "y"), "not 'x'"), (("table", "users"), "KEY")]
    for row, words in rows:
        status, out, err = command(*row)
        same((status, out), (2, ""), str(row))
        has(err, words)


@case("trouble: exit 1, and what it was")
def _():
    rows = [(("check", "-c", "/nonexistent"), "No such file"), (("check", "-c", "/tmp"), "/tmp"), (("serve", "-c", "/nonexistent"), "No such file"),
            (("explain", "-c", "/nonexistent", *PLAIN, "--rcpt", "x@example.test"), "No such file"),
            (("explain", "-c", CONF, *PLAIN, "--rcpt", "alice@example.test", "--message", "/nonexistent"), "No such file"),
            (("explain", "-c", CONF, *PLAIN, "--rcpt", "alice@example.test", "--message", "/tmp"), "/tmp"),
            (("table", "-c", CONF, "nowhere", "x"), "no table 'nowhere'")]
    for row, words in rows:
        status, out, err = command(*row)
        same(status, 1, str(row))
        has(out + err, words)


@case("explain --brief shows the dialogue and no facts")
def _():
    out = explain(*PLAIN, "--rcpt", "alice@example.test", "--rcpt", "nobody@example.test", "--brief")
    out = re.sub(r"ref \w+", "ref ID", out)
    same(out, "  > MAIL FROM:<x@example.net>\n  < 250 goes on\n  > RCPT TO:<alice@example.test>\n  < 250 goes on\n"
              "  > RCPT TO:<nobody@example.test>\n  < 550 5.1.1 <nobody@example.test>: User unknown (ref ID)\n"
              "    reject by rule unknown (postern.conf:11)\n"
              "  > DATA\n  < 354 (no --message was given: rules of the message were not tried)\n")


@case("explain with mode observe tells what would be said, in the words of the records")
def _():
    text = read(CONF).replace("listen mx {", "listen mx { mode observe;")
    conf = write(PLACE + "/observe.conf", text + 'listen two { socket unix:%s/two.sock; }\n'
                 'rule door { when listener == "two" and mta.daemon == "submission" and header(subject) == "door"; reply 550 5.7.1 "log in"; }\n' % PLACE)
    nobody = ["explain", "-c", conf, *PLAIN, "--rcpt", "nobody@example.test"]
    status, out, err = command(*nobody, "--brief")
    same(status, 0, err)
    same(re.sub(r"ref \w+", "ref ID", out), "  > MAIL FROM:<x@example.net>\n  < 250 goes on\n  > RCPT TO:<nobody@example.test>\n"
         "  < 250 goes on\n    would-reject by rule unknown (observe.conf:11)\n    listen mx only observes; with mode enforce:\n"
         "      < 550 5.1.1 <nobody@example.test>: User unknown (ref ID)\n")
    data = json.loads(command(*nobody, "--json")[1])
    same((data["verdict"], data["rule"], data["stage"]), ("would-reject", "unknown", "rcpt"))
    has(data["reply"], "550 5.1.1 ")
    alice = ["explain", "-c", conf, *PLAIN, "--rcpt", "alice@example.test", "--brief"]
    for subject, words in (("hold", "would-quarantine by rule hold"), ("worm", "would-reject by rule worm"),
                           ("none", "none")):
        out = command(*alice, "--message", message("observe", "From: x@example.net\nSubject: %s\n\nx\n" % subject))[1]
        has(out, "  < 250 taken\n")
        expect(subject == "none" or words in out, out)
    # Rules that observe by themselves are named beside the verdict.
    silent = write(PLACE + "/silent.conf", read(CONF) + 'observe worm listed;\n')
    out = command("explain", "-c", silent, *PLAIN, "--rcpt", "alice@example.test", "--brief", "--message",
                  message("worm", "From: x@example.net\nSubject: worm\n\nx\n"))[1]
    has(out, "    observed: rule worm (silent.conf:15) is true\n")
    expect("listed" not in out, out)
    data = json.loads(command("explain", "-c", silent, *PLAIN, "--rcpt", "alice@example.test", "--json", "--message",
                              message("worm", "From: x@example.net\nSubject: worm\n\nx\n"))[1])
    same((data["verdict"], data["observed"]), ("none", ["worm"]))
    os.unlink(silent)
    # The other door, by name.
    alice += ["--message", message("door", "From: x@example.net\nSubject: door\n\nx\n")]
    has(command(*alice, "--listener", "two", "--daemon", "submission")[1], "    reject by rule door")
    expect("door" not in command(*alice, "--listener", "two", "--daemon", "smtp")[1], "the door is not asked for")
    expect("door" not in command(*alice, "--daemon", "submission")[1], "the door is not asked for")
    status, out, err = command(*alice, "--listener", "three")
    same((status, out), (1, ""))
    has(err, "no listen block 'three'")
    os.unlink(conf)


@case("check shows each rule with its place, where it speaks, and what is looked up")
def _():
    status, out, err = command("check", "-c", CONF)
    same((status, err), (0, ""))
    same(re.findall(r"^([a-z]+) \(\S*postern\.conf:(\d+)\): (.*)$", out, re.M),
         [("trusted", "10", "accept"), ("unknown", "11", "reply 550 5.1.1"), ("down", "12", "reply 451 4.3.0"), ("listed", "13", "reply 554 5.7.1"),
          ("mark", "14", "header"), ("worm", "15", "reply 554 5.7.1"), ("hold", "16", "quarantine")])
    places = re.findall(r"^    (?:speaks at|decided by|added at) (\w+)", out, re.M)
    same(places, ["rcpt", "rcpt", "rcpt", "rcpt", "message", "message", "message"])
    for part in ("needs dnsbl.score", "owner bob", "note why", "table users: file, 2 entries", "listen mx: unix:", "1 list: bl"):
        has(out, part)
    same(re.findall(r"^milter (\w+): (.*)$", out, re.M),
         [("connect", "sent and replied to, with {daemon_name} {client_ptr}"), ("helo", "sent, not replied to"),
          ("mail", "sent, not replied to, with {mail_addr} {auth_authen} {auth_type} {tls_version}"),
          ("rcpt", "sent and replied to, with i {rcpt_mailer} {rcpt_host} {rcpt_addr}"), ("data", "not sent"),
          ("header", "sent, not replied to"), ("body", "not sent"), ("message", "sent and replied to, with i"),
          ("changes", "header fields, quarantine")])


@case("check finds all errors in one run, each with line, column and a caret under the word")
def _():
    lines = ["rule a { when spf.reslt == 1; accept; }", "nonsense x;", "rule b { when rcpt.status == unkown; accept; }",
             "rule c { when true reply; }", "table t { 1.2.3.4/99; }", "rule d { when rcpt in nowhere; accept; }",
             "resolver { tiemout 3s; }", "rule e { when rcpt.count == x; accept; }", "rule g { when helo matches '('; accept; }", "budget { mail 8; }", "hostname a; hostname b;"]
    words = ["spf.reslt", "nonsense", "unkown", "reply", "1.2.3.4/99", "nowhere", "tiemout", "x", "'('", "8", "hostname"]
    path = write(PLACE + "-bad.conf", "\n".join(lines) + "\n")
    status, out, err = command("check", "-c", path)
    same((status, out), (1, ""))
    found = re.findall(r"^\S+-bad\.conf:(\d+):(\d+): error: ([^\n]*)\n    ([^\n]*)\n    ( *)\^(~*)", err, re.M)
    # One listen block is missing, too, but only serve and check without other errors look for it.
    same(sorted({int(number) for number, *_ in found}), list(range(1, len(lines) + 1)), err)
    for number, column, _, line, blanks, _ in found:
        same(line, lines[int(number) - 1])
        same(len(blanks) + 1, int(column))
        at = line[len(blanks):]
        expect(at.startswith(words[int(number) - 1]) or int(number) == 11, "the caret stands at %r in line %s" % (at, number))
    has(err, "did you mean 'unknown'")
    has(err, "did you mean 'timeout'")
    has(err, "%d errors" % len(found))


@case("check shows a socket that there cannot be at its place")
def _():
    rows = [("/run/x", "a socket is written unix:PATH, inet:HOST:PORT, inet6:[HOST]:PORT or fd:NUMBER, not '/run/x'"),
            ("inet:8891", "an inet socket is written inet:HOST:PORT, such as inet:127.0.0.1:8895, not 'inet:8891'"),
            ("unix:run/x", "the path of a unix socket begins with /, not 'unix:run/x'"),
            ("inet:0.0.0.0:8891", "an inet socket that is not on loopback is refused without"), ("unix:/tmp/one", "listen mx has the same socket")]
    for socket, words in rows:
        text = "listen mx { socket unix:/tmp/one; }\nlisten b {\n    mode observe;\n    socket %s;\n}\nrule r { when true; accept; }\n" % socket
        path = write(PLACE + "/../place.conf", text)
        status, _, err = command("check", "-c", path)
        same(status, 1, err)
        has(err, "/place.conf:4:5: error: " + words)
        has(err, "\n        socket %s;\n        ^~~~~~\n" % socket)
        has(err, "place.conf: there are errors; they stand above the list of rules\n")


@case("check warns of a socket whose folder, group or owner there is not")
def _():
    text = "listen mx { socket unix:%s; %s }\nrule r { when true; accept; }\n"
    rows = [("/nonexistent/postern.sock", "", "the socket's folder /nonexistent: No such file"), (CONF + "/postern.sock", "", "folder"),
            (PLACE + "/x.sock", "group nogrouphere;", "there is no group 'nogrouphere'"), (PLACE + "/x.sock", "owner nobodyhere;", "there is no user 'nobodyhere'"),
            (PLACE + "/x.sock", "group root; owner root;", None), ("/x.sock", "", None)]
    for path, more, words in rows:
        status, _, err = command("check", "-c", write(PLACE + "/../socket.conf", text % (path, more)))
        same(status, 0, err)
        if words is None:
            same(err, "")
        else:
            matches(err, r"^\S+/socket\.conf:1: warning: listen mx: [^\n]*\n$")
            has(err, words)
    status, _, err = command("check", "-c", write(PLACE + "/../socket.conf", text.replace("unix:", "local:") % ("/nonexistent/x.sock", "")))
    has(err, "the socket's folder /nonexistent: No such file")
    text = 'listen mx { socket unix:%s/x.sock; }\nrule r { when true; accept; }\naudit { to file:%s; }\n'
    for path, words in (("/nonexistent/records", "the folder /nonexistent: No such file"), (CONF + "/records", "is no folder"), (PLACE + "/records", "")):
        status, _, err = command("check", "-c", write(PLACE + "/../audit.conf", text % (PLACE, path)))
        same(status, 0, err)
        has(err, words)
        same(err.count("audit.conf:3: warning: audit: "), 1 if words else 0, err)


@case("check tries what the daemon's user may read and write, and names the file, the line and the remedy")
def _():
    place = folder("eyes")
    conf = place + "/postern.conf"
    write(conf, """\
state_dir %s/state;
listen mx { socket unix:%s/run/postern.sock; }
audit { to file:%s/records; }
include more.conf;
table users file:users;
table ours { example.test; }
recipients { domains ours; known users; }
dnsbl bl { zone "%%{key}.bl.example"; key file:key; listed 127.0.0.2; weight 1; }
rule unknown { when rcpt.status == unknown; reply 550 5.1.1 "no"; }
rule down { when rcpt.status == unavailable; reply 451 4.3.0 "no"; }
""" % (place, place, place))
    write(place + "/more.conf", "hostname mx.example.test;\n")
    write(place + "/users", "alice@example.test\n")
    write(place + "/key", "abc\n")
    write(place + "/records", "")
    for name in "state", "run":
        os.mkdir(place + "/" + name)

    def own(user, *names):
        for name in names:
            shutil.chown(place + "/" + name, user)
    closed = {"more.conf": (0o600, r"postern\.conf:4:9: error: cannot read \S+/more\.conf: Permission denied"),
              "key": (0o600, r"postern\.conf:8:1: error: cannot read the key in \S+/key: Permission denied"),
              "users": (0o600, r"postern\.conf:5: table users cannot be read from \S+/users: Permission denied"),
              "records": (0o640, r"postern\.conf:3: records cannot be written to \S+/records: Permission denied"),
              "run": (0o755, r"postern\.conf:2: the socket's folder \S+/run cannot be written: Permission denied")}
    os.chmod(place, 0o755)
    os.chmod(conf, 0o644)
    up = os.path.dirname(place)
    os.chmod(up, os.stat(up).st_mode | 0o011)
    # Nobody knows the user yet: state_dir is root's.
    for name, (mode, _) in closed.items():
        os.chmod(place + "/" + name, mode)
    same(command("check", "-c", conf)[::2], (0, ""))
    own("nobody", "state")
    status, _, err = command("check", "-c", conf)
    same(status, 0, err)
    matches(err, r"postern\.conf: warning: as user nobody, to whom state_dir belongs, .*chgrp nobody .*--user names another")
    # What follows from a file that is missing is not looked at: the key is the business of a check.
    for name, (_, words) in closed.items():
        expect(bool(re.search(words, err)) == (name != "key"), "%s: %s" % (name, err))
    # With all but one mended, that one is told.
    for alone, (mode, words) in closed.items():
        own("nobody", *closed)
        own("root", alone)
        status, _, err = command("check", "-c", conf, "--user", "nobody")
        same(status, 1, err)
        matches(err, r"error: as user nobody the daemon[^\n]*\n[^\n]*" + words)
        matches(err, r"\npostern: \S+/postern\.conf: there are errors; [^\n]*\n$")
        same(err.count("\n"), 3, err)
    own("nobody", *closed)
    for more in (), ("-u", "nobody"), ("-u", "root"):
        same(command("check", "-c", conf, *more)[::2], (0, ""), more)
    # A group that the user is a member of is as good.
    own("root", *closed)
    for name in closed:
        os.chown(place + "/" + name, 0, pwd.getpwnam("nobody").pw_gid)
        os.chmod(place + "/" + name, 0o770)
    same(command("check", "-c", conf, "-u", "nobody")[::2], (0, ""))
    status, _, err = command("check", "-c", conf, "-u", "nobodyhere")
    same((status, err.splitlines()[0]), (1, "postern: --user nobodyhere: there is no such user"))
    status, _, err = command("check", "-c", conf, "-u", "daemon")
    same(status, 1)
    matches(err, "state_dir .* cannot be written: Permission denied")


@case("check and table tell how many lines of a file can match nobody, and where the first is")
def _():
    place = folder("lines")
    conf = write(place + "/postern.conf", read(CONF).replace("table ours  { example.test; }", "table ours file:domains;"))
    write(place + "/domains", "example.test\n")
    rows = [("alice@example.test\nbob@example.test\n", None), ("alice@example.test\n\n@@ bad\nbob smith@example.test\nbob@example.test\n",
            r"table users: 2 lines can match no recipient, the first at \S+/users:3: '@@'; write user@example\.org, or @example\.org")]
    for text, words in rows:
        write(place + "/users", text)
        for verb in ("check", "-c", conf), ("table", "-c", conf, "users", "alice@example.test"):
            status, _, err = command(*verb)
            same(status, 0, err)
            same(err, "") if words is None else matches(err, r"^\S+/postern\.conf:8:\d+: warning: " + words)
    write(place + "/domains", "example.test\n@example.net\n")
    _, _, err = command("check", "-c", conf)
    matches(err, r"table ours: 1 line can match no domain, the first at \S+/domains:2: '@example\.net'; write example\.org")
    # With domains whose users may stand there bare, a word is one.
    write(conf, read(conf).replace("domains ours; known", "domains ours; local ours; known"))
    _, _, err = command("check", "-c", conf)
    matches(err, r"table users: 1 line can match no recipient, the first at \S+/users:3: '@@'; write user@example\.org, user, or @")


def effective(path, text):
    """`check --explain-defaults` of a configuration with this text, without its comments."""
    write(path, text)
    status, out, err = command("check", "-c", path, "--explain-defaults")
    same((status, err), (0, ""))
    return out, re.sub(r"^# .*\n|(?m:^ +# .*\n| +# \S+$)", "", out, flags=re.M)


def meaning(path):
    """What check makes of it, without the places."""
    status, out, _ = command("check", "-c", path)
    same(status, 0)
    return re.sub(r" \(\S+\)", "", out)


@case("check --explain-defaults: every option with its value and where that comes from; it reads as the same configuration again")
def _():
    rules = os.path.join(installed(), "rules.d", "*.conf")
    shipped_text = read(os.path.join(installed(), "postern.conf"))
    shipped_text = re.sub(r"(?m)^include .*/rules\.d/.*;", "include %s;" % rules, shipped_text)
    has(shipped_text, rules)
    has(command("check", "-c", write(PLACE + "/shipped.conf", shipped_text))[2], "warning: table ours still has the domains of the example")
    shipped_text = shipped_text.replace("{ example.org; example.net; }", "{ example.test; }")
    write(PLACE + "/some.key", "sesamkey\n")
    os.chmod(PLACE + "/some.key", 0o600)
    odd = """\
config_version 1; help_url "https://x.example/a;b#c"; speak_at mail; state_dir %s/state;
listen "odd name" { socket unix:%s/odd.sock; perm 0600; mode observe; }
resolver { servers 127.0.0.1@53 ::1; timeout 1500ms; cache 65537; dnssec yes; }
audit { to { file:%s/x; }; accepted no; }
log { level warning; ident "a b\\"c\\\\n#d;"; } results { }
dnsbl keyed { zone "%%{key}.bl.example"; key file:some.key; listed 127.0.0.2; }
table t { 192.0.2.0/24; "a.example"; } table users file:users;  # behind
condition c { client.ip in t } rule a { when c; # inside
    accept; } rule b { when sender matches 'x"#;{'; reply 550 5.7.1 "n\\no \\"q\\""; } rule d { when true; accept; }
disable d; observe b;
""" % (PLACE, PLACE, PLACE)
    bare_block = "listen x { socket unix:%s/x; } results { } rule r { when true; accept; }" % PLACE
    for number, text in enumerate((bare_block, read(CONF), shipped_text, odd, "listen x { socket unix:%s/x; } rule r { when true; accept; }" % PLACE)):
        path = "%s/effective%d.conf" % (PLACE, number)
        first, bare = effective(path, text)
        before = meaning(path)
        second, again = effective(path, first)
        same(again, bare)
        same(meaning(path), before)
        expect("sesamkey" not in first, first)
        for line in re.findall(r"(?m)^(?!#| +#).*;.*$", first.split("\ntable ")[0].split("\nrule ")[0]):
            matches(line, r"; +# (default|\S+:\d+)$")
    _, out, _ = command("check", "-c", CONF, "--explain-defaults")
    for line in (r"hostname mx\.example\.test; +# \S+/site/postern\.conf:1$", r"    timeout 1s; +# \S+/postern\.conf:4$", r"    cache 32M; +# default$", r"#     mail 8s; +# default$",
                 r"    # owner is not set: .*", r"# there is no budget block; these are its defaults:$", r"config_version 1; +# default$"):
        expect(re.search("(?m)^" + line, out), line + " is not in:\n" + out)
    status, out, err = command("check", "-c", write(PLACE + "/bad.conf", "config_version 2; wrong;"), "--explain-defaults")
    same((status, out), (1, ""))
    has(err, "upgrade postern")
    for name in os.listdir(PLACE):
        if name.endswith(".conf") and name != "postern.conf" or name == "some.key":
            os.remove(os.path.join(PLACE, name))


def in_terminal(env, *arguments):
    """What a command writes to a terminal, both outputs together."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([binary(), *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                             env={**{key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}, **env})
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 65536):
            text += chunk
    except OSError:  # Linux says EIO where the other end is closed
        pass
    os.close(ours)
    child.wait(30)
    return text.decode().replace("\r\n", "\n")


@case("colours only on a terminal that can show them, and never with NO_COLOR")
def _():
    bad = write(PLACE + "/../bad.conf", "hostnam x;\nspeak_at mail;\n")
    asked = ["explain", "-c", CONF, "--brief", *PLAIN, "--rcpt", "nobody@example.test"]
    for arguments, parts in ((["check", "-c", bad], ["\x1b[1;31merror:\x1b[0m unknown statement", "\x1b[32m    ^"]),
                             (["check", "-c", CONF], ["\x1b[1mtrusted\x1b[0m ("]), (asked, ["\x1b[1;31mreject\x1b[0m by rule unknown"])):
        coloured = in_terminal({"TERM": "xterm"}, *arguments)
        for part in parts:
            has(coloured, part)
        _, out, err = command(*arguments, env={"TERM": "xterm"})
        expect("\x1b" not in out + err, out + err)
        plain = in_terminal({"TERM": "dumb"}, *arguments)
        expect("\x1b" not in plain, plain)
        for env in ({"TERM": "xterm", "NO_COLOR": "1"}, {}):
            same(re.sub(r"ref \w+", "", in_terminal(env, *arguments)), re.sub(r"ref \w+", "", plain))
        same(re.sub(r"ref \w+", "", re.sub(r"\x1b\[[\d;]*m", "", coloured)), re.sub(r"ref \w+", "", plain))


@case("check and explain write nothing and start nothing")
def _():
    before = picture()
    command("check", "-c", CONF)
    explain(*PLAIN, "--rcpt", "alice@example.test", "--rcpt", "nobody@example.test", "--message", message("x", "Subject: hold\n\nx\n"))
    explained("--client", "203.0.113.66", *PLAIN[2:], "--rcpt", "alice@example.test")
    command("table", "-c", CONF, "users", "alice@example.test")
    same(picture(), before)
    expect(not os.path.exists(PLACE + "/postern.sock"), "no socket")
    # They need nothing of what the daemon needs: not even its folder.
    os.rename(PLACE + "/state", PLACE + "-state")
    same(command("check", "-c", CONF)[0], 0)
    same(explained(*PLAIN, "--rcpt", "nobody@example.test")["verdict"], "reject")
    expect(not os.path.exists(PLACE + "/state"), "it is not made")
    os.rename(PLACE + "-state", PLACE + "/state")


@case("explain: facts, the dialogue as the client would see it, and the rules behind it")
def _():
    out = explain("--client", "203.0.113.66", *PLAIN[2:], "--rcpt", "alice@example.test")
    matches(out, r"(?m)^  client\.ip +203\.0\.113\.66$")
    matches(out, r"(?m)^  dnsbl\.score +3$")
    matches(out, r"(?m)^  > RCPT TO:<alice@example\.test>\n  < 554 5\.7\.1 \[203\.0\.113\.66\] blocked using bl; Sends .*spam \(ref [A-Z0-9]{6}\)\n"
                 r"    reject by rule listed \(\S*postern\.conf:13\)$")
    expect(all(" " <= one <= "~" or one == "\n" for one in out), "what a list says reaches no terminal as it is")
    out = explain(*PLAIN, "--rcpt", "alice@example.test")
    has(out, "< 354")
    matches(out, r"(?m)^  client\.name +mail\.example\.net$")
    out = explain(*PLAIN, "--rcpt", "alice@example.test", "--message", message("worm", "Subject: worm\n\nx\n"))
    matches(out, r"  < 554-5\.7\.1 first line\n  < 554 5\.7\.1 second line \(ref \w{6}\)\n    reject by rule worm")
    out = explain(*PLAIN, "--rcpt", "alice@example.test", "--message", message("hold", "Subject: hold\n\nx\n"))
    has(out, "held: held for x@example.net")
    has(out, "header added: X-Seen: mail.example.net")


@case("explain --id: the records of a transaction, by the reference of the reply or by the queue id")
def _():
    lines = ['id=UWHC5N verdict=reject stage=rcpt rule=listed at=40-lists.conf:3 reply="554 5.7.1 a \\x1bb (ref UWHC5N)" client=203.0.113.66 name="" helo=x '
             'sender=x@example.net rcpt=bob@example.test qid=073C4ACE9FB listener=mx observed=one,two faults=dnsbl.score dnsbl.score=0..3 time.dnsbl=8',
             'id=UWHC5N verdict=accept stage=message rule="" at="" reply="" client=203.0.113.66 qid=073C4ACE9FB observed="" marked=mark faults=""',
             'id=HE1D00 verdict=quarantine stage=message rule=hold at=postern.conf:16 reply="held for x" qid=0C995ACE9FE observed="" faults=""',
             'id=7Q2KX0 verdict=accept stage=message rule="" at="" reply="" client=203.0.113.7 sender=UWHC5N@example.net qid=08C60ACE9FC observed="" faults=""']
    path = write(PLACE + "/../records", "".join("Nov 22 10:52:09 mx postern[23]: %s\n" % line for line in lines))
    same(command("explain", "--id", "UWHC5N", path)[1],
         "UWHC5N: reject at rcpt by listed (40-lists.conf:3)\n  < 554 5.7.1 a ?b (ref UWHC5N)\n"
         + "".join("  %-22s %s\n" % row for row in (("client", "203.0.113.66"), ("name", '""'), ("helo", "x"), ("sender", "x@example.net"),
                   ("rcpt", "bob@example.test"), ("qid", "073C4ACE9FB"), ("listener", "mx"), ("observed", "one,two")))
         + "could not be found out: dnsbl.score\nfacts and times\n  %-22s 0..3\n  %-22s 8\n\n" % ("dnsbl.score", "time.dnsbl")
         + "UWHC5N: accept at message\n" + "".join("  %-22s %s\n" % row for row in (("client", "203.0.113.66"), ("name", '""'), ("helo", '""'),
                   ("sender", '""'), ("rcpt", '""'), ("qid", "073C4ACE9FB"), ("listener", '""'), ("marked", "mark"))) + "facts and times\n")
    for asked, verdicts in (("uwhc5n", ["reject", "accept"]), ("073C4ACE9FB", ["reject", "accept"]), ("08C60ACE9FC", ["accept"]), ("0C995ACE9FE", ["quarantine"])):
        status, out, err = command("explain", "--id", asked, path)
        same((status, err, re.findall(r"^\w+: (\w+) at", out, re.M)), (0, "", verdicts))
    has(command("explain", "--id", "he1d00", path)[1], "HE1D00: quarantine at message by hold (postern.conf:16)\n  held: held for x\n")
    for asked in "ZZZZZZ", "073c4ace9fb", "UWHC5", "x", "":
        same(command("explain", "--id", asked, path), (1, "", "postern: no record with the id or queue id '%s'\n" % asked))


@case("explain --json: the verdicts, for one recipient and for several")
def _():
    rows = [(["alice@example.test"], None, "none", None, "rcpt"), (["nobody@example.test"], None, "reject", "unknown", "rcpt"),
            (["nobody@example.test", "alice@example.test"], None, "none", None, "rcpt"),
            (["alice@example.test", "nobody@example.test"], "worm", "reject", "worm", "message"),
            (["alice@example.test"], "hold", "quarantine", "hold", "message"), (["alice@example.test"], "fine", "none", None, "message"),
            (["nobody@example.test"], "worm", "reject", "unknown", "rcpt")]
    message("fine", "Subject: fine\n\nx\n")
    for recipients, name, verdict, rule, stage in rows:
        arguments = PLAIN + [word for one in recipients for word in ("--rcpt", one)]
        if name:
            arguments += ["--message", "%s/../%s.eml" % (PLACE, name)]
        got = explained(*arguments)
        same(sorted(got), sorted(["facts", "verdict", "rule", "stage", "reply", "observed", "recipients"]))
        same((got["verdict"], got["rule"], got["stage"]), (verdict, rule, stage), str(arguments))
        same([one["rcpt"] for one in got["recipients"]], recipients)
        for one in got["recipients"]:
            same(one["verdict"] == "reject", one["rcpt"].startswith("nobody"))
            same(one["facts"]["rcpt.status"], "unknown" if one["rcpt"].startswith("nobody") else "known")
        same(got["reply"] is not None, verdict in ("reject", "defer"))
    got = explained(*PLAIN, "--rcpt", "nobody@example.test", "--auth", "joe")
    same((got["verdict"], got["rule"], got["facts"]["auth.user"]), ("accept", "trusted", "joe"))
    # Facts that no rule of this policy asks for are there all the same, each in its type.
    facts = got["facts"]
    same((facts["client.rdns"], facts["client.name"], facts["sender.domain_status"]), ("pass", "mail.example.net", "exists"))
    same((facts["sender.null"], facts["dnsbl.score"], facts["dnsbl.lists"]), (False, 0, []))


@case("explain: the null sender, angle brackets, IPv6, and a claimed name")
def _():
    for sender in "", "<>":
        got = explained("--client", "2001:db8::1", "--helo", "x", "--from", sender, "--rcpt", "<alice@example.test>")
        same((got["verdict"], got["facts"]["sender"], got["facts"]["sender.null"]), ("none", "", True))
        same((got["facts"]["client.ip"], got["facts"]["rcpt"]), ("2001:db8::1", "alice@example.test"))
    same(explained("--client", "::ffff:203.0.113.66", *PLAIN[2:], "--rcpt", "alice@example.test")["rule"], "listed")


@case("explain: hostile arguments and messages")
def _():
    strings = [b"x\r\n250 ok", b"\x1b[2J\x07", b"%s%n%{id}", b"\xff\xfe", "jörg@exämple.net".encode(), b'"unbalanced@example.net', b"@", b"<", b"a" * 60000,
               b"@a" * 10000 + b":x@y", b" ", b"\\", b"-", b"--help"]
    for text in strings:
        arguments = [b"explain", b"-c", CONF.encode(), b"--client", b"203.0.113.7", b"--helo", text, b"--from", text, b"--rcpt", text, b"--name", text]
        for json_too in False, True:
            status, out, err = command_raw(arguments + [b"--json"] * json_too)
            same(status, 0, repr(text[:40]))
            if json_too:
                got = json.loads(out)
                same(len(got["recipients"]), 1)
                has(got["recipients"][0], "rcpt")
            else:
                expect(all(" " <= one <= "~" or one == "\n" for one in out), "%r" % text[:40])
                # MAIL and RCPT, and DATA where it comes to that: no line is forged.
                has((2, 3), len(re.findall(r"^  > ", out, re.M)))
    many = [word for number in range(1000) for word in ("--rcpt", "r%d@example.test" % number)]
    same(len(explained(*PLAIN, *many)["recipients"]), 1000)
    for text in (b"", b"\n", b"no header at all", b"\0\0\0", b":\n:\n", b" folded first\nSubject: worm\n\n", b"Subject: " + b"x" * 200000 + b"\n\nx",
                 b"A:b\n" * 20000 + b"\n", b"\xff" * 1000, b"Subject: x\r\n\r\n.\r\n\r\n"):
        path = PLACE + "-message"
        with open(path, "wb") as out:
            out.write(text)
        same(explained(*PLAIN, "--rcpt", "alice@example.test", "--message", path)["stage"], "message")


def command_raw(arguments):
    """command() for arguments that are no text."""
    return command(*[os.fsdecode(one) for one in arguments])


@case("explain: when DNS is down, nobody is refused for it")
def _():
    path = write(PLACE + "-down.conf", read(CONF).replace(dns.at, "127.0.0.1@%d" % free_port()).replace("file:users", "file:%s/users" % PLACE))
    status, out, err = command("explain", "-c", path, "--json", "--client", "203.0.113.66", *PLAIN[2:], "--rcpt", "alice@example.test")
    same(status, 0, err)
    got = json.loads(out)
    same((got["verdict"], got["facts"]["client.rdns"], got["facts"]["sender.domain_status"]), ("none", "temperror", "temperror"))
    has(err, "bl")


@case("table looks up as the daemon would")
def _():
    status, out, err = command("table", "-c", CONF, "users", "Alice@Example.TEST")
    same((status, err), (0, ""))
    has(out, "lice@")
    status, out, err = command("table", "-c", CONF, "ours", "example.test", "elsewhere.example")
    same((status, out), (1, "example.test: found as example.test\nelsewhere.example: not found\n"), err)
    same(command("table", "-c", CONF, "ours", "example.test")[0], 0)
    # The tables of recipients are asked as for rcpt.status: local names, and extensions.
    conf = write(PLACE + "/../local.conf", read(CONF).replace("file:users;", "file:%s/bare; table homes { example.test; } table plain { bob@example.org; }" % PLACE)
                 .replace("known users;", 'known users; local homes; delimiter "+-";'))
    write(PLACE + "/bare", "carol\nbob@example.org\n")
    rows = [(("users", "carol@example.test"), "found as carol"), (("users", "Carol+x@example.test"), "found as carol"), (("users", "carol-x"), "found as carol"),
            (("users", "carol@example.org"), "not found"), (("users", "bob-x@example.org"), "found as bob@example.org"),
            (("--delimiter", "", "users", "bob+x@example.org"), "not found"), (("--as", "address", "users", "carol@example.test"), "not found"),
            (("plain", "bob+x@example.org"), "found as bob@example.org"), (("--as", "recipient", "plain", "bob@example.test"), "not found")]
    for arguments, words in rows:
        status, out, err = command("table", "-c", conf, *arguments)
        same((out, err), ("%s: %s\n" % (arguments[-1], words), ""), str(arguments))
        same(status, 1 if words == "not found" else 0)
        if arguments[0] == "users" and "@" in arguments[1]:
            got = json.loads(command("explain", "-c", conf, "--json", *PLAIN, "--rcpt", arguments[1])[1])["recipients"][0]["facts"]["rcpt.status"]
            same(got, "foreign" if "example.org" in arguments[1] else "known" if status == 0 else "unknown", str(arguments))
    for name, words in (("user", "has no table 'user'; did you mean 'users'?\n"), ("nothing-like-it", "has no table 'nothing-like-it'\n")):
        status, out, err = command("table", "-c", conf, name, "x")
        same((status, out), (1, ""))
        has(err, words)


main()
