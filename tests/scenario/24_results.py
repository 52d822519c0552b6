#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""Authentication-Results and Received-SPF as a real Postfix and a real Sendmail write them, forged ones, and mail that passes twice."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

RESULTS = """
dnsbl wl { zone wl.example; listed 127.0.*.1-3; weight -2; probe none; reason no; }
results  { add spf iprev dnswl; received_spf yes; %s }
rule held { when sender.local == held; quarantine "look at it"; }
rule mark { when sender.local == marked; header "X-Mark: yes"; }
"""
ID = "mx.example.test"
OTHER = "Authentication-Results: relay.example.net; spf=pass smtp.mailfrom=example.net"
FORGED = ["Authentication-Results: mx.example.test; dkim=pass header.d=bank.example",
          "Authentication-Results: MX.example.TEST 1; dmarc=pass",
          'Authentication-Results: (of us) "mx.example.test"\n\t; spf=pass',
          "authentication-results: mx.example.test;\n  none",
          "Received-SPF: pass (bank.example) receiver=mx.example.test; identity=mailfrom"]

fake = FakeDns()
fake.set("7.113.0.203.in-addr.arpa", "PTR", "client.example.net")
fake.set("client.example.net", "A", "203.0.113.7")
fake.set("7.113.0.203.wl.example", "A", "127.0.5.2")
fake.set("example.net", "TXT", "v=spf1 ip4:203.0.113.0/24 -all")
fake.set("fails.example", "TXT", "v=spf1 -all")

sink = Sink()
postern = Postern(RESULTS % "", resolver=fake)
watcher = Postern(RESULTS % "", resolver=fake, mode="observe")
plain = Postern("rule r { when sender.local == nobody; accept; }", resolver=fake)
early = Postern("results { add spf dkim dmarc arc; } rule known { when client.ip in { 203.0.113.0/24 }; accept; }", resolver=fake)
PORTS = [one.milter for one in (watcher, plain, early)]
mx = Postfix(postern.milter, sink, ports=[{"smtpd_milters": one} for one in PORTS])
BOTH = mx, Sendmail(postern.milter, sink, ports=PORTS)
WATCHED, PLAIN, EARLY = range(3)


def passed(mx, message, sender="x@example.net", addr="203.0.113.7", port=None, **more):
    """The message as it arrives behind the MTA."""
    sink.take()
    with mx.client(addr, port=None if port is None else mx.extra[port], **more) as client:
        reply = client.deliver(sender, ["alice@example.test"], message)["data"]
        same(reply.code, 250, reply.text)
        client.quit()
    return sink.wait()[-1]


def text(message):
    return message.text.replace("\r\n", "\n")


def fields(message):
    """Names and values of the header, in order, folded lines as they are."""
    head = text(message).split("\n\n", 1)[0]
    return [tuple(part.split(":", 1)) for part in re.split(r"\n(?![ \t])", head)]


def named(message, name):
    return [value for field, value in fields(message) if field.lower() == name.lower()]


@case("results stand on top, in one field, folded", on=BOTH)
def _(mx):
    message = passed(mx, "Subject: hello\n\nx\n")
    same([name for name, _ in fields(message)][:2], ["Authentication-Results", "Received-SPF"])
    value, = named(message, "Authentication-Results")
    parts = [" ".join(part.split()) for part in value.split(";")]
    same(parts[0], ID)
    same(parts[1:], ["spf=pass smtp.mailfrom=example.net",
                     "iprev=pass policy.iprev=203.0.113.7 (client.example.net)",
                     "dnswl=pass dns.zone=wl.example policy.ip=127.0.5.2"])
    value, = named(message, "Received-SPF")
    matches(value, r"^ pass \(example\.net\) receiver=mx\.example\.test; identity=mailfrom;")
    for name, value in fields(message)[:2]:
        for line in (name + ":" + value).split("\n"):
            expect(len(line) < 78, line)
        expect(value.startswith(" ") and not value.startswith("  "), value)


@case("what claims to be ours is removed, whatever else stands between", on=BOTH)
def _(mx):
    head = "\n".join([FORGED[0], OTHER, FORGED[1], FORGED[2], "Subject: hello", OTHER + "; dkim=none",
                      FORGED[3], FORGED[4], "Received-SPF: fail (x) receiver=relay.example.net"])
    message = passed(mx, head + "\n\nx\n", "x@fails.example")
    ours, first, second = named(message, "Authentication-Results")
    matches(ours, r"^ mx\.example\.test;\s+spf=fail smtp\.mailfrom=fails\.example;")
    same(first.strip(), OTHER.split(": ", 1)[1])
    same(second.strip(), OTHER.split(": ", 1)[1] + "; dkim=none")
    ours, other = named(message, "Received-SPF")
    matches(ours, "^ fail ")
    has(other, "receiver=relay.example.net")


@case("mail that passes twice has one of each, the second one's", on=BOTH)
def _(mx):
    first = passed(mx, "Subject: twice\n\nx\n")
    message = passed(mx, text(first), "x@fails.example")
    ours, = named(message, "Authentication-Results")
    has(ours, "smtp.mailfrom=fails.example")
    ours, = named(message, "Received-SPF")
    matches(ours, "^ fail ")
    same(len(named(message, "Subject")), 1)


@case("a hundred forged fields are all removed", on=BOTH)
def _(mx):
    message = passed(mx, "\n".join(FORGED[i % 4] for i in range(100)) + "\nSubject: many\n\nx\n")
    same(len(named(message, "Authentication-Results")), 1)


@case("beside the fields of rules", on=BOTH)
def _(mx):
    message = passed(mx, "X-Mark: no\n" + FORGED[0] + "\nSubject: hello\n\nx\n", "marked@example.net")
    same([name for name, _ in fields(message)][:3], ["Authentication-Results", "Received-SPF", "X-Mark"])
    same([value.strip() for value in named(message, "X-Mark")], ["yes"])


@case("what cannot be found out is told as such, in time", on=BOTH)
def _(mx):
    fake.fault("example.org", "TXT", "servfail")
    message = passed(mx, "Subject: hello\n\nx\n", "x@example.org", addr="203.0.113.8")
    ours, = named(message, "Authentication-Results")
    parts = [" ".join(part.split()) for part in ours.split(";")]
    matches(parts[1], r"^spf=temperror .*smtp\.mailfrom=example\.org$")
    same(parts[2:], ["iprev=permerror policy.iprev=203.0.113.8", "dnswl=none dns.zone=wl.example"])


@case("what is found out for the results is in the record, too, where a rule has decided long before", on=BOTH)
def _(mx):
    fake.set("_dmarc.example.net", "TXT", "v=DMARC1; p=reject")
    before = len(early.audit())
    message = passed(mx, "From: a@example.net\nSubject: hello\n\nx\n", port=EARLY)
    value, = named(message, "Authentication-Results")
    parts = [" ".join(part.split()) for part in value.split(";")]
    same(parts[1:], ["spf=pass smtp.mailfrom=example.net", "dkim=none", "dmarc=pass header.from=example.net policy.dmarc=reject", "arc=none"])
    record = wait_until("the record", lambda: early.audit()[before:])[-1]
    same((record["rule"], record["verdict"]), ("known", "accept"))
    same((record["spf.result"], record["dkim.result"], record["dmarc.result"], record["dmarc.policy"], record["arc.result"]),
         ("pass", "none", "pass", "reject", "none"))


@case("observing changes nothing", on=BOTH)
def _(mx):
    message = passed(mx, FORGED[0] + "\nSubject: hello\n\nx\n", port=WATCHED)
    same([value.strip() for value in named(message, "Authentication-Results")], [FORGED[0].split(": ", 1)[1]])


@case("without the block nothing is added, removed or asked for", on=BOTH)
def _(mx):
    message = passed(mx, FORGED[0] + "\nSubject: hello\n\nx\n", port=PLAIN)
    same(len(named(message, "Authentication-Results")), 1)
    same(named(message, "Received-SPF"), [])


main()
