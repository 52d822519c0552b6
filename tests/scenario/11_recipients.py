#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""Several recipients, pipelining, IPv6, stress, and what the MTA itself refuses."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

lists = Rbldnsd({"bl.example": ("ip4set", "127.0.0.2\n203.0.113.66\n"),
                 "bl6.example": ("ip6trie", ":127.0.0.2:listed\n::ffff:7f00:2\n2001:db8:66::/48\n")})
nsd = Nsd({"example.net": "@ MX 10 mail\n"})
dns = Unbound({".": nsd.at, "bl.example": lists.at, "bl6.example": lists.at})
sink = Sink()
postern = Postern("""
table ours { example.test; }
table users { alice@example.test; bob@example.test; carol@example.test; }
table open  { carol@example.test; }
recipients { domains ours; known users; }
dnsbl bl  { zone bl.example;  listed 127.0.0.2; weight 3; ipv6 no; }
dnsbl bl6 { zone bl6.example; listed 127.0.0.2; weight 3; probe ip6; }
rule open     { when rcpt in open; accept; }
rule unknown  { when rcpt.status == unknown;
                reply 550 5.1.1 "<%{rcpt}>: Recipient address rejected: User unknown"; }
rule down     { when rcpt.status == unavailable; reply 451 4.3.0 "<%{rcpt}>: try again"; }
rule listed   { when dnsbl.score >= 3;
                reply 554 5.7.1 "Service unavailable; Client host [%{client.ip}] blocked using %{dnsbl.name}"; }
rule subject  { when header('Subject') matches 'viagra'; reply 554 5.7.1 "Message refused by content policy"; }
""", resolver=dns)
mx = Postfix(postern.milter, sink, recipients=["alice", "bob", "carol", "nobody"],
             ports=[{"smtpd_hard_error_limit": "1", "smtpd_soft_error_limit": "1"}])
BOTH = mx, Sendmail(postern.milter, sink, recipients=["alice", "bob", "carol", "nobody"])


@case("one of two recipients is refused; the other gets the message", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7") as client:
        replies = client.deliver("x@example.net", ["nobody@example.test", "alice@example.test"])
    same([reply.code for reply in replies["rcpt"]], [550, 250])
    same(replies["data"].code, 250)
    same(sink.wait()[0].recipients, ["alice@example.test"])


@case("the same in one pipelined packet", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7") as client:
        replies = client.pipeline("MAIL FROM:<x@example.net>", "RCPT TO:<alice@example.test>",
                                  "RCPT TO:<nobody@example.test>", "RCPT TO:<bob@example.test>", "DATA")
        same([reply.code for reply in replies], [250, 250, 550, 250, 354])
        same(client.content("Subject: x\n\nhello\n").code, 250)
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "bob@example.test"])


@case("all recipients refused: DATA is refused by the MTA, the session can go on", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7") as client:
        client.mail("x@example.net")
        same(client.rcpt("nobody@example.test").code, 550)
        same(client.cmd("DATA").code, mx.no_recipients)
        same(client.cmd("RSET").code, 250)
        same(client.deliver("x@example.net", ["bob@example.test"])["data"].code, 250)
    same(sink.wait()[0].recipients, ["bob@example.test"])


@case("one recipient that is exempt leaves the others checked", on=BOTH)
def _(mx):
    with mx.client("203.0.113.66") as client:
        client.mail("x@example.net")
        same(client.rcpt("carol@example.test").code, 250)
        same(client.rcpt("alice@example.test").code, 554)
        same(client.rcpt("carol@example.test").code, 250)
        same(client.data("Subject: x\n\nhello\n").code, 250)
    same(set(sink.wait()[0].recipients), {"carol@example.test"})


@case("an IPv6 client is asked for by nibbles", on=BOTH)
def _(mx):
    with mx.client("2001:db8:66::5") as client:
        client.mail("x@example.net")
        reply = client.rcpt("alice@example.test")
        same(reply.code, 554)
        has(reply.text, "[2001:db8:66::5] blocked using bl6")
    with mx.client("2001:db8:67::5") as client:
        client.mail("x@example.net")
        same(client.rcpt("alice@example.test").code, 250)


@case("a refusal after the dot, and the next message of the session", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7") as client:
        reply = client.deliver("x@example.net", ["alice@example.test"], "Subject: cheap viagra\n\nx\n")["data"]
        same(reply.code, 554)
        has(reply.text, "5.7.1 Message refused by content policy")
        same(client.deliver("x@example.net", ["alice@example.test"])["data"].code, 250)
    same(len(sink.wait()), 1)
    entry = postern.wait_audit(stage="message", verdict="reject")[-1]
    expect(entry["qid"] != "", "the record names the queue file")


@case("what Postfix refuses itself is recorded")
def _():
    with mx.client("203.0.113.7") as client:
        client.mail("x@example.net")
        same(client.rcpt("ghost@example.test").code, 550)
        same(client.rcpt("x@elsewhere.example").code, 554)
    records = postern.wait_audit(2, verdict="mta-reject")
    same([entry["rcpt"] for entry in records], ["ghost@example.test", "x@elsewhere.example"])
    has(records[0]["reply"], "5.1.1")


@case("a client of a stressed Postfix sees the reply before it is cut off")
def _():
    with mx.client("203.0.113.7", port=mx.extra[0]) as client:
        same(client.mail("x@example.net").code, 250)
        reply = client.rcpt("nobody@example.test")
        same(reply.code, 550)
        has(reply.text, "User unknown")
        same(client.cmd("NOOP").code, 421)


@case("RSET and a second transaction; HELO again; a connection that goes away", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7") as client:
        client.mail("x@example.net")
        client.rcpt("alice@example.test")
        same(client.cmd("RSET").code, 250)
        client.mail("y@example.net")
        same(client.rcpt("nobody@example.test").code, 550)
        same(client.ehlo("other.example.net").code, 250)
        same(client.deliver("z@example.net", ["bob@example.test"])["data"].code, 250)
    same(sink.wait()[0].sender, "z@example.net")
    for lines in (["MAIL FROM:<x@example.net>"], ["MAIL FROM:<x@example.net>", "RCPT TO:<alice@example.test>"],
                  ["MAIL FROM:<x@example.net>", "RCPT TO:<alice@example.test>", "DATA", "Subject: x"]):
        client = mx.client("203.0.113.7")
        client.send(*lines)
        client.close()
    with mx.client("203.0.113.7") as client:
        same(client.deliver("x@example.net", ["alice@example.test"])["data"].code, 250)
    sink.wait()


main()
