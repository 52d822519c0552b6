#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 400 s
"""The package on a bare Debian, with Sendmail, which needs nothing of Postfix's."""

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
MC = "/etc/mail/sendmail.mc"


def client():
    return SMTP(25, source="203.0.113.7", seconds=60)


def listens():
    try:
        return client().quit()
    except ConnectionRefusedError:
        return None


@case("apt-get install ./postern_*.deb sendmail, on a bare system without Postfix")
def _():
    text = root.install("sendmail")
    has(text, "Setting up postern")
    expect(not root.exists("/var/spool/postfix"), "nothing of Postfix is made")
    root.run("getent", "group", "postfix", status=2)


@case("the same default configuration is good, and starts")
def _():
    global daemon
    root.run("postern", "check")
    daemon = Daemon(root)
    same(root.stat("/run/postern"), ("2750", "postern", "postern"))
    same(root.stat("/run/postern/postern.sock"), ("660", "postern", "postern"))
    expect(not os.path.islink(root.at("/run/postern")), "a folder of its own")


@case("with the site's domains and the line of README.Debian in sendmail.mc, mail passes")
def _():
    fill_in(root)
    daemon.restart()
    for user in "alice", "bob":
        root.run("useradd", "-m", user)
    root.write("/etc/mail/local-host-names", "localhost\nexample.test\n")
    line = matches(root.read("/usr/share/doc/postern/README.Debian"),
                   r"\n +(INPUT_MAIL_FILTER\(`postern'.*?\)dnl)\n").group(1)
    text = root.read(MC)
    same(text.count("\nMAILER_DEFINITIONS"), 1)
    root.write(MC, text.replace("\nMAILER_DEFINITIONS", "\n%s\nMAILER_DEFINITIONS" % line))
    root.run("make", "-C", "/etc/mail", "sendmail.cf")
    has(root.read("/etc/mail/sendmail.cf"), "Xpostern, S=unix:/run/postern/postern.sock")
    Mta(root, "sendmail", ["/etc/init.d/sendmail", "start"], ["/etc/init.d/sendmail", "stop"])
    wait_until("Sendmail to listen", listens, 60)
    with client() as one:
        one.ehlo("mail.example.net")
        same(one.mail("x@example.net").code, 250)
        same(one.rcpt("alice@example.test").code, 250)
        same(one.cmd("DATA").code, 354)
        same(one.content("Subject: first\n\nhello\n").code, 250)
    root.syslog.wait(r"verdict=accept .*rcpt=alice@example.test")
    wait_until("the message in alice's mailbox", lambda: "Subject: first" in root.read("/var/mail/alice"))


@case("mode enforce: refused by the shipped rules, and by the list of mailboxes; 354 for who is there")
def _():
    root.edit(CONF, ("mode   observe;", "mode   enforce;"),
              ("# table users file:", "table users file:"), ("    # known        users;", "    known        users;"))
    root.write("/etc/postern/recipients", "alice@example.test\n")
    root.run("postern", "check")
    daemon.restart()
    with client() as one:
        one.ehlo("mail.example.net")
        same(one.mail("x@example.net").code, 250)
        reply = one.rcpt("bob@example.test")
        same(reply.code, 550)
        # Sendmail puts the address in front.
        ref = matches(reply.text, r"^5\.1\.1 <bob@example.test>\.\.\. .*User unknown \(ref (\w+)\)$").group(1)
        same(one.rcpt("alice@example.test").code, 250)
        same(one.cmd("DATA").code, 354)
        same(one.content("Subject: second\n\nhello\n").code, 250)
    entry = record(root.syslog.wait(r"verdict=reject .*rcpt=bob@example.test").text)
    same((entry["id"], entry["rule"], entry["client"]), (ref, "unknown-mailbox", "203.0.113.7"))
    wait_until("the message in alice's mailbox", lambda: "Subject: second" in root.read("/var/mail/alice"))


main()
