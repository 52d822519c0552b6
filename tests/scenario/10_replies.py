#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""Every reply of the shipped rules, read on the wire through a real Postfix and a real Sendmail."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

nsd = Nsd({
    "example.net": "@ MX 10 mail\nmail A 203.0.113.7\n",
    "example": "",
    "nomail.example": "@ MX 0 .\n",
    "two-mx.example": "@ MX 0 .\n@ MX 10 mail.example.net.\n",
    "only-a.example": "@ A 203.0.113.7\n",
    "only-aaaa.example": "@ AAAA 2001:db8::7\n",
    "bad.example": "@ MX 10 mail.example.net.\n",
    "txt.example": "@ TXT hello\n",
    "113.0.203.in-addr.arpa": "7 PTR mail.example.net.\n",
})
lists = Rbldnsd({
    "bl.example": ("ip4set", "127.0.0.2\n203.0.113.66 :127.0.0.2:Sends spam, see http://bl.example/66\n"
                             "203.0.113.67 :127.0.0.9:100% spam\n"),
    "wl.example": ("ip4set", "127.0.0.2 :127.0.2.1:test\n203.0.113.67 :127.0.2.1:known\n"),
    "dbl.example": ("dnset", ":127.0.1.2:Domain $ is bad\ntest\nbad.example\nbad-helo.example\n"),
})
dns = Unbound({".": nsd.at, "bl.example": lists.at, "wl.example": lists.at, "dbl.example": lists.at})
sink = Sink()

SITE = """
table ours    { example.test; }
table trusted { 192.0.2.250; }
table forwarders { };
table forwarder_domains { };
table users   file:{dir}/users;
table leavers file:{dir}/leavers;
recipients { domains ours; known users; moved leavers; delimiter "+"; }
dnsbl bl  { zone bl.example;  listed 127.0.0.2-11; weight 3; }
dnsbl wl  { zone wl.example;  listed 127.0.*.1-3;  weight -2; }
dnsbl dbl { zone dbl.example; ask sender.domain helo; listed 127.0.1.2-199; weight 3; }
include %s/rules.d/*.conf;
""" % installed()

FILES = {
    "users": "alice@example.test\nbob@example.test\n",
    "leavers": "dave@example.test dave@example.net\nerin@example.test\n"
               "frank@example.test one@example.net, two@example.net\n",
}

postern = Postern(SITE, resolver=dns, files=FILES)
closed = Postern('rule closed { when true; reply 521 5.3.2 "%{hostname} does not accept mail"; }',
                 resolver=dns)
# Postfix refuses relaying itself; for one domain it is told to leave that to the filter.
mx = Postfix(postern.milter, sink, main={"mynetworks": "192.0.2.250", "relay_domains": "elsewhere.example"},
             ports=[{"smtpd_milters": closed.milter}])
BOTH = mx, Sendmail(postern.milter, sink, ports=[closed.milter], users=["joe"])


def refused(mx, addr, sender, recipient, code, text, helo="mail.example.net", rule=None, **more):
    """One recipient is refused with this reply, and the record names the rule."""
    with mx.client(addr, helo=helo, **more) as client:
        same(client.mail(sender).code, 250)
        reply = client.rcpt(recipient)
    same(reply.code, code)
    has(mx.said(reply, recipient), text)
    matches(reply.text, r"\(ref [A-Z0-9]{6}\)$")
    last = postern.record_of(reply)
    expect(last["rule"].startswith(rule), "the record names %s, not %s" % (last["rule"], rule))
    same(last["stage"], "rcpt")


@case("good mail goes on to 354 and is delivered", on=BOTH)
def _(mx):
    sink.take()
    with mx.client("203.0.113.7", "mail.example.net") as client:
        same(client.mail("someone@example.net").code, 250)
        same(client.rcpt("alice@example.test").code, 250)
        same(client.cmd("DATA").code, 354)
        same(client.content("Subject: x\n\nhello\n").code, 250)
    message = sink.wait()[0]
    same(message.recipients, ["alice@example.test"])
    entry = postern.wait_audit(verdict="accept")[-1]
    same(entry["client"], "203.0.113.7")
    same(entry["sender"], "someone@example.net")
    same(entry["rcpt"], "alice@example.test")
    same(entry["stage"], "message")


@case("550 5.1.1: unknown mailbox", on=BOTH)
def _(mx):
    refused(mx, "203.0.113.7", "someone@example.net", "nobody@example.test", 550,
            "5.1.1 <nobody@example.test>: Recipient address rejected: User unknown",
            rule="unknown-mailbox")


@case("an extension finds its mailbox, case does not matter", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7") as client:
        client.mail("someone@example.net")
        same(client.rcpt("Alice+lists@Example.TEST").code, 250)


@case("551 5.1.6: moved, and the new address may be told", on=BOTH)
def _(mx):
    refused(mx, "203.0.113.7", "someone@example.net", "dave@example.test", 551,
            "5.1.6 <dave@example.test>: User not local; please try <dave@example.net>", rule="moved")


@case("550 5.1.6: moved without a new address, or with two", on=BOTH)
def _(mx):
    for user in "erin", "frank":
        refused(mx, "203.0.113.7", "someone@example.net", user + "@example.test", 550,
                "5.1.6 <%s@example.test>: Recipient address rejected: this mailbox has moved" % user,
                rule="moved-away")


@case("551 5.7.1: a domain that is not ours", on=BOTH)
def _(mx):
    refused(mx, "203.0.113.7", "someone@example.net", "x@elsewhere.example", 551,
            "5.7.1 <x@elsewhere.example>: Relay access denied", rule="relay-denied")


@case("556 5.1.10: the recipient's domain takes no mail", on=BOTH)
def _(mx):
    refused(mx, "192.0.2.250", "alice@example.test", "sales@nomail.example", 556,
            "5.1.10 <sales@nomail.example>: Recipient address rejected: Domain nomail.example does not "
            "accept mail (null MX)", rule="null-mx-recipient")


@case("a null MX beside another MX is none", on=BOTH)
def _(mx):
    with mx.client("192.0.2.250") as client:
        client.mail("alice@example.test")
        same(client.rcpt("sales@two-mx.example").code, 250)


@case("550 5.7.27: the sender's domain takes no mail", on=BOTH)
def _(mx):
    refused(mx, "203.0.113.7", "noreply@nomail.example", "alice@example.test", 550,
            "5.7.27 <noreply@nomail.example>: Sender address rejected: Domain nomail.example does not "
            "accept mail (null MX)", rule="null-mx-sender")


@case("550 5.1.8: the sender's domain does not exist", on=BOTH)
def _(mx):
    for domain in "ghost.example", "txt.example":
        refused(mx, "203.0.113.7", "x@" + domain, "alice@example.test", 550,
                "5.1.8 <x@%s>: Sender address rejected: Domain not found" % domain,
                rule="no-sender-domain")


@case("an A or AAAA record is enough for a sender; the null sender needs none", on=BOTH)
def _(mx):
    for sender in "x@only-a.example", "x@only-aaaa.example", "":
        with mx.client("203.0.113.7") as client:
            client.mail(sender)
            same(client.rcpt("alice@example.test").code, 250)


@case("554 5.7.1: the client is listed, with the list's own reason", on=BOTH)
def _(mx):
    refused(mx, "203.0.113.66", "someone@example.net", "alice@example.test", 554,
            "5.7.1 Service unavailable; Client host [203.0.113.66] blocked using bl; Sends spam, see "
            "http://bl.example/66", rule="listed")


@case("an allow list outweighs", on=BOTH)
def _(mx):
    with mx.client("203.0.113.67") as client:
        client.mail("someone@example.net")
        same(client.rcpt("alice@example.test").code, 250)


@case("554 5.7.1: the sender's domain, or the name at HELO, is listed", on=BOTH)
def _(mx):
    refused(mx, "203.0.113.7", "x@bad.example", "alice@example.test", 554,
            "5.7.1 Service unavailable; Sender address [x@bad.example] blocked using dbl; Domain "
            "bad.example is bad", rule="listed-domain")
    refused(mx, "203.0.113.7", "x@example.net", "alice@example.test", 554,
            "5.7.1 Service unavailable; Helo command [bad-helo.example] blocked using dbl",
            helo="bad-helo.example", rule="listed-helo")


@case("postmaster and abuse are open to everybody, also without a domain", on=BOTH)
def _(mx):
    for recipient in "postmaster@example.test", "abuse@example.test", "Postmaster":
        with mx.client("203.0.113.66") as client:
            client.mail("someone@example.net")
            same(client.rcpt(recipient).code, 250)


@case("trusted networks and users who have logged in are not refused", on=BOTH)
def _(mx):
    for addr, more in ("192.0.2.250", {}), ("203.0.113.66", {"LOGIN": "joe"}):
        with mx.client(addr, **more) as client:
            client.mail("x@ghost.example")
            same(client.rcpt("nobody@example.test").code, 250)


@case("451 4.3.0: the directory cannot be read", on=BOTH)
def _(mx):
    alone = Postern(SITE.replace("file:{dir}/users", "file:{dir}/missing"), resolver=dns, files=FILES)
    other = type(mx)(alone.milter, sink)
    with other.client("203.0.113.7") as client:
        client.mail("someone@example.net")
        reply = client.rcpt("alice@example.test")
        same(reply.code, 451)
        has(reply.text, "4.3.0 <alice@example.test>: Recipient address rejected: directory not "
                        "available, try again")
    other.stop()
    alone.stop()


@case("521 5.3.2: the host takes no mail, said at MAIL, and with Postfix the session ends", on=BOTH)
def _(mx):
    with mx.client("203.0.113.7", port=mx.extra[0]) as client:
        reply = client.mail("someone@example.net")
        same(reply.code, 521)
        has(reply.text, "5.3.2 mx.example.test does not accept mail")
        if mx.closes_on_521:
            expect(client.is_closed_by_server(), "the session ends")
        else:
            same([client.rcpt("alice@example.test").code, client.mail("x@example.net").code], [503, 521])
    same(closed.wait_audit(rule="closed")[-1]["stage"], "mail")


@case("long texts, line breaks and percent signs arrive as they were written", on=BOTH)
def _(mx):
    long = "word " * 180
    wordy = Postern('rule a { when rcpt.local == long;  reply 550 5.7.1 "%s"; }\n'
                    'rule b { when rcpt.local == lines; reply 554 5.7.1 "first: 100%%%% sure\\nsecond"; }\n'
                    'rule c { when rcpt.local == digits; reply 550 5.7.1 "127.0.0.1 is listed"; }\n'
                    % long.strip(), resolver=dns)
    other = type(mx)(wordy.milter, sink)
    with other.client("203.0.113.7") as client:
        client.mail("someone@example.net")
        reply = client.rcpt("long@example.test")
        same(reply.code, 550)
        expect(len(reply.lines) > 1, "several lines")
        lines = mx.said(reply, "long@example.test").split("\n")
        expect(all(line.startswith("5.7.1 ") and len(line) < 508 for line in lines),
               "each line has the enhanced code and fits")
        same("".join(line[6:] + " " for line in lines).count("word"), 180)
        reply = client.rcpt("lines@example.test")
        same(reply.lines[0], "5.7.1 first: 100% sure")
        has(reply.lines[1], "5.7.1 second (ref ")
        reply = client.rcpt("digits@example.test")
        has(mx.said(reply, "digits@example.test"), "5.7.1 - 127.0.0.1 is listed")
        # The session goes on as it should: the MTA found no malformed reply.
        same(client.rcpt("alice@example.test").code, 250)
    other.stop()
    wordy.stop()


main()
