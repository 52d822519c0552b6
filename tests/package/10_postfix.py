#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 300 s
"""The package on a bare Debian, with Postfix: five minutes from nothing to a filter."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
from harness import *
from chroot import CONF, Daemon, Mta, Root, fill_in, world

enter_sandbox()
address_on_loopback("203.0.113.7")
world()
root = Root()
daemon = None


def client():
    """A stranger at the chroot's port 25."""
    return SMTP(25, source="203.0.113.7")


def said(verdict, address):
    """The record of a verdict about a recipient in the chroot's syslog."""
    return record(root.syslog.wait(r"verdict=%s .*rcpt=%s" % (verdict, address)).text)


@case("apt-get install ./postern_*.deb postfix, on a bare system")
def _():
    text = root.install("postfix")
    has(text, "Setting up postern")
    for line in text.splitlines():
        expect(not line.startswith(("dpkg: error", "dpkg: warning", "Failed")), line)
    same(root.run("systemctl", "is-enabled", "postern").strip(), "enabled")


@case("what the package puts in place")
def _():
    same(root.stat("/etc/postern/postern.conf"), ("644", "root", "root"))
    same(root.stat("/var/lib/postern"), ("750", "postern", "postern"))
    has(root.run("getent", "passwd", "postern"), ":/usr/sbin/nologin")
    same(root.run("id", "-Gn", "postern").split(), ["postern"])
    same(root.run("id", "-Gn", "postfix").split(), ["postfix"])
    for path in ("/usr/share/man/man8/postern.8.gz", "/usr/share/man/man5/postern.conf.5.gz",
                 "/usr/share/doc/postern/README.Debian", "/usr/share/doc/postern/examples/postern.conf",
                 "/usr/share/bash-completion/completions/postern"):
        expect(root.exists(path), path)
    same(root.run("dpkg", "--verify", "postern"), "")


@case("the unit: systemd has nothing to remark, and finds little that it leaves open")
def _():
    same(root.run("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/postern.service"), "")
    # 0 would be a service that can do nothing, 100 one without any restriction.
    text = root.run("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20",
                    "/lib/systemd/system/postern.service")
    print("# " + matches(text, r"Overall exposure level[^:]*: [0-9.]+ \w+").group(0))


@case("the default configuration is good as it stands, and starts")
def _():
    global daemon
    root.run("postern", "check")
    daemon = Daemon(root)
    same(os.readlink(root.at("/run/postern")), "/var/spool/postfix/postern")
    same(root.stat("/run/postern"), ("2750", "postern", "postfix"))
    same(root.stat("/run/postern/postern.sock"), ("660", "postern", "postfix"))


@case("with the site's domains and two lines in main.cf, mail passes and is recorded")
def _():
    fill_in(root)
    daemon.restart()
    for user in "alice", "bob":
        root.run("useradd", "-m", user)
    # The two lines, and what a site has said before that: its domain.
    root.run("postconf", "-e", "mydestination=example.test, localhost",
             "smtpd_milters=unix:postern/postern.sock",
             "non_smtpd_milters=unix:postern/postern.sock")
    Mta(root, "postfix", ["postfix", "start"], ["postfix", "stop"])
    wait_until("Postfix to listen", lambda: client().quit())
    has(root.run("postconf", "-M", "smtp/inet").split()[4], "y", "smtpd runs in its chroot")
    with client() as one:
        one.ehlo("mail.example.net")
        same(one.mail("x@example.net").code, 250)
        same(one.rcpt("alice@example.test").code, 250)
        same(one.cmd("DATA").code, 354)
        same(one.content("Subject: first\n\nhello\n").code, 250)
    root.syslog.wait(r"verdict=accept .*rcpt=alice@example.test")
    wait_until("the message in alice's mailbox", lambda: "Subject: first" in root.read("/var/mail/alice"))


@case("while it observes nothing is refused, and what would be is recorded")
def _():
    with client() as one:
        one.ehlo("mail.example.net")
        same(one.mail("x@nowhere.example").code, 250)
        same(one.rcpt("alice@example.test").code, 250)
    same(said("would-reject", "alice@example.test")["rule"], "no-sender-domain")


@case("mode enforce: a refusal by the shipped rules, with nothing but the domains filled in")
def _():
    root.edit(CONF, ("mode   observe;", "mode   enforce;"))
    daemon.restart()
    with client() as one:
        one.ehlo("mail.example.net")
        same(one.mail("x@nowhere.example").code, 250)
        reply = one.rcpt("alice@example.test")
        same(reply.code, 550)
        matches(reply.text, r"^5\.1\.8 <x@nowhere\.example>: Sender address rejected: Domain not found \(ref \w+\)$")


@case("mode enforce, and its mailboxes are known: 354 for one, 550 for the other")
def _():
    root.write("/etc/postern/recipients", "alice@example.test\n")
    root.edit(CONF, ("# table users file:", "table users file:"),
              ("    # known        users;", "    known        users;"))
    root.run("postern", "check")
    daemon.restart()
    with client() as one:
        one.ehlo("mail.example.net")
        same(one.mail("x@example.net").code, 250)
        # bob has an account, so Postfix itself would take him.
        reply = one.rcpt("bob@example.test")
        same(reply.code, 550)
        ref = matches(reply.text, r"^5\.1\.1 .*User unknown \(ref (\w+)\)$").group(1)
        same(one.rcpt("alice@example.test").code, 250)
        same(one.cmd("DATA").code, 354)
        same(one.content("Subject: second\n\nhello\n").code, 250)
    entry = said("reject", "bob@example.test")
    same((entry["id"], entry["rule"], entry["client"]), (ref, "unknown-mailbox", "203.0.113.7"))
    wait_until("the message in alice's mailbox", lambda: "Subject: second" in root.read("/var/mail/alice"))
    expect(not root.exists("/var/mail/bob") or not root.read("/var/mail/bob"), "bob has got nothing")


@case("sendmail(1) in the chroot goes through non_smtpd_milters")
def _():
    root.run("sh", "-c", "printf 'Subject: third\\n\\nhello\\n' | sendmail -f alice@example.test alice@example.test")
    wait_until("the message in alice's mailbox", lambda: "Subject: third" in root.read("/var/mail/alice"))


main()
