#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""Mail from programs on this host (with Postfix; for Sendmail see 35_sendmail.py), and from users who have logged in:
never stuck, refused only where a rule says so."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

sink = Sink()
# Remote mail meets every one of these rules; local mail only those that say so, at the end of the message.
postern = Postern("""
rule known-user  { when auth.user == joe; accept; }
rule never       { when rcpt.local == never;  reply 550 5.1.1 "<%{rcpt}>: User unknown"; }
rule later       { when rcpt.local == later;  reply 451 4.3.0 "<%{rcpt}>: try again"; }
rule fault       { when rcpt.local == fault and client.ptr == "x.example"; reply 550 5.7.1 "in fault"; on_fault defer; }
rule own         { when rcpt.local == own; local; reply 550 5.7.1 "<%{rcpt}>: not even from us"; }
rule subject     { when header('Subject') matches 'worm';  reply 554 5.7.1 "no worms"; }
rule own-subject { when header('Subject') matches 'virus'; local; reply 554 5.7.1 "no viruses, not even from us"; }
rule own-later   { when header('Subject') matches 'wait'; local; reply 451 4.7.1 "not yet"; }
rule hold        { when header('Subject') matches 'hold';  quarantine "look at it"; }
rule mark        { when client.local; header "X-Local: yes %{client.ip}"; }
""")
closed = Postern('rule closed { when true; reply 521 5.3.2 "no mail here"; }\n'
                 'rule client { when true; reply 550 5.7.1 "nobody"; }')
mx = Postfix(postern.milter, sink, main={"non_smtpd_milters": postern.milter, "bounce_queue_lifetime": "0"})
BOTH = mx, Sendmail(postern.milter, sink, users=["joe", "jane"])
shut = Postfix(closed.milter, sink, main={"non_smtpd_milters": closed.milter})


def maildrop(postfix):
    return os.listdir(postfix.dir + "/spool/maildrop")


def settled(postfix=mx):
    """Nothing waits: neither in maildrop, where what a filter breaks stays for ever, nor in a queue."""
    wait_until("maildrop to be empty", lambda: not maildrop(postfix))
    wait_until("the queue to be empty", lambda: not postfix.queue())


def send(subject, *recipients, postfix=mx, sender="root@example.test"):
    same(postfix.sendmail("Subject: %s\nTo: x@example.test\n\nhello\n" % subject, "-f", sender, *recipients), 0)


def remote(mx, recipient, subject="hello", addr="203.0.113.7", **more):
    """The code that a client hears for the recipient, or after the dot."""
    with mx.client(addr, **more) as client:
        client.mail("x@example.net")
        reply = client.rcpt(recipient)
        return (client.data("Subject: %s\n\nhello\n" % subject) if reply.code == 250 else reply).code


@case("remote clients meet all the rules", on=BOTH)
def _(mx):
    same([remote(mx, name + "@example.test") for name in ("never", "later", "fault", "own")], [550, 451, 451, 550])


@case("a local recipient is never refused at RCPT: unknown, deferred, in fault or with a local rule")
def _():
    for name in "never", "later", "fault", "alice":
        send("hello", name + "@example.test")
    messages = sink.wait(4)
    same(sorted(message.recipients[0] for message in messages),
         ["alice@example.test", "fault@example.test", "later@example.test", "never@example.test"])
    same([message.header("X-Local") for message in messages], [["yes 127.0.0.1"]] * 4)
    settled()
    record = postern.wait_audit(rcpt="never@example.test", verdict="accept", stage="message")[-1]
    same((record["client.local"], record["rule"]), ("yes", ""))
    expect(record["qid"] != "", "the record names the queue file")
    expect("can't reject recipient" not in "\n".join(mx.maillog()), "Postfix has nothing to complain of")


@case("several recipients of one local message, some of whom nobody else could reach")
def _():
    send("hello", "never@example.test", "alice@example.test", "later@example.test")
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "later@example.test", "never@example.test"])
    settled()


@case("a rule about the message does not hold for local mail, unless it says local")
def _():
    send("a worm", "alice@example.test")
    same(sink.wait()[0].recipients, ["alice@example.test"])
    send("a virus", "alice@example.test", sender="carol@example.test")
    bounce = sink.wait()[0]
    same((bounce.sender, bounce.recipients), ("", ["carol@example.test"]))
    has(bounce.text, "no viruses, not even from us")
    settled()
    record = postern.wait_audit(rule="own-subject")[-1]
    same((record["verdict"], record["stage"], record["client.local"]), ("reject", "message", "yes"))
    matches(bounce.text, record["id"])


@case("a local rule about a recipient waits for the end of the message, too")
def _():
    send("hello", "own@example.test", sender="carol@example.test")
    bounce = sink.wait()[0]
    same((bounce.sender, bounce.recipients), ("", ["carol@example.test"]))
    has(bounce.text, "<own@example.test>: not even from us")
    settled()
    same(postern.wait_audit(rule="own", client_local="yes")[-1]["stage"], "message")


@case("a 4xx of a local rule does not lose the message")
def _():
    send("wait for it", "alice@example.test", sender="carol@example.test")
    record = postern.wait_audit(rule="own-later")[-1]
    same(record["verdict"], "defer")
    # Postfix answers a deferral of a local message with a bounce, or keeps it: it is one of the two.
    def somewhere():
        return maildrop(mx) or mx.queue() or sink.count()
    wait_until("the message to be somewhere", somewhere)
    for name in maildrop(mx):
        os.unlink(mx.dir + "/spool/maildrop/" + name)
    for entry in mx.queue():
        subprocess.run(["/usr/sbin/postsuper", "-c", mx.dir + "/etc", "-d", entry["queue_id"]], check=True, stderr=subprocess.PIPE)
    wait_until("Postfix to be done", lambda: not maildrop(mx) and not mx.queue())
    sink.take()


@case("local mail can be held")
def _():
    send("hold it", "alice@example.test")
    held = wait_until("the message to be held", lambda: [one for one in mx.queue() if one["queue_name"] == "hold"])
    same(len(held), 1)
    same(sink.count(), 0)
    subprocess.run(["/usr/sbin/postsuper", "-c", mx.dir + "/etc", "-d", held[0]["queue_id"]], check=True, stderr=subprocess.PIPE)
    settled()


@case("a bounce, which Postfix makes itself, gets through")
def _():
    sink.answers["gone@example.test"] = "550 5.1.1 no such user"
    send("hello", "gone@example.test", sender="dave@example.test")
    bounce = sink.wait()[0]
    same((bounce.sender, bounce.recipients), ("", ["dave@example.test"]))
    settled()


@case("a host that takes no mail from outside still takes its own")
def _():
    with shut.client("203.0.113.7") as client:
        same(client.mail("x@example.net").code, 521)
    send("hello", "alice@example.test", postfix=shut)
    same(sink.wait()[0].recipients, ["alice@example.test"])
    settled(shut)


@case("a client on loopback that speaks SMTP is no local submission", on=BOTH)
def _(mx):
    with mx.connect() as client:
        client.ehlo()
        client.mail("x@example.net")
        same(client.rcpt("never@example.test").code, 550)
    same(postern.wait_audit(rule="never", client="127.0.0.1")[-1]["client.local"], "no")


@case("a user who has logged in is exempt, another is not, nor is anybody else", on=BOTH)
def _(mx):
    same(remote(mx, "never@example.test", LOGIN="joe"), 250)
    same(sink.wait()[0].recipients, ["never@example.test"])
    record = postern.wait_audit(rule="known-user")[-1]
    same((record["auth.user"], record["auth.type"], record["verdict"]), ("joe", mx.auth_type, "accept"))
    same(remote(mx, "never@example.test", LOGIN="jane"), 550)
    same(remote(mx, "never@example.test"), 550)


main()
