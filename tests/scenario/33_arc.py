#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""ARC: chains sealed by dkimpy, sent through a real Postfix; whose seals let mail pass that DMARC would refuse."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from signing import *

enter_sandbox()

MESSAGE = "From: Ann <ann@author.example>\nTo: alice@example.test\nSubject: hello\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n" \
          "Message-ID: <1@author.example>\n\nhello\n"
PASSED, FAILED = "dmarc=pass header.from=author.example; arc=none", "dmarc=fail header.from=author.example; arc=none"

author, sealer, second = rsa_key(1024), rsa_key(1024), rsa_key(2048)
dkimpy = Dkimpy()
nsd = Nsd({
    "example": "",
    "author.example": zone_line("_dmarc", "v=DMARC1; p=reject") + zone_line("s._domainkey", author.text),
    "list.example": zone_line("arc._domainkey", sealer.text),
    "second.example": zone_line("arc._domainkey", second.text),
    "stranger.example": zone_line("arc._domainkey", sealer.text),
})
fake = FakeDns()
dns = Unbound({".": nsd.at, "lost.example": fake.at})
fake.fault("arc._domainkey.lost.example", "TXT", "servfail")
sink = Sink()
SITE = """
table ours { example.test; }
table forwarders { };
table forwarder_domains { };
table known { list.example; second.example; lost.example; };
arc { sealers known; max_sets 5; }
recipients { domains ours; }
include {dir}/message.conf;
# It has to wait for all of these; what an accepting rule does not need for its outcome is not waited for.
rule seen { when arc.oldest_pass > 90 or arc.reason == "?" or "x" in arc.sealers or dkim.count > 90 or dmarc.policy == none and
           dmarc.result == permerror; quarantine "never"; }
"""
postern = Postern(SITE, resolver=dns, files={"message.conf": read(installed() + "/rules.d/50-message.conf")})
alone = Postern(SITE.replace("sealers known;", ""), resolver=dns, files={"message.conf": read(installed() + "/rules.d/50-message.conf")})
mx = Postfix(postern.milter, sink, ports=[{"smtpd_milters": alone.milter}])
ALONE = mx.extra[0]


def deliver(text, port=None, daemon=postern):
    before = len(daemon.audit())
    with mx.client("203.0.113.50", port=port) as client:
        reply = client.deliver("list-bounces@list.example", ["alice@example.test"], text)["data"]
    return reply, wait_until("the record", lambda: daemon.audit()[before:])[-1]


def through(*hops, text=None):
    """The signed message as it comes out behind these: (sealer, key, what it found, what it changes)."""
    text = text or sign(MESSAGE, "author.example", "s", author)
    for domain, key, found, change in hops:
        text = text.replace(b"\r\n\r\n", b"\r\n\r\n" + change, 1)
        text = dkimpy.seal(text, domain, "arc", key, found)
    return text


LIST = ("list.example", sealer, PASSED, b"[from the list] ")


@case("a list that we trust changed the message after it had passed DMARC: taken")
def _():
    reply, record = deliver(through(LIST))
    same(reply.code, 250, reply.text)
    same((record["arc.result"], record["arc.sealers"], record["arc.dmarc_passed"], record["arc.oldest_pass"]), ("pass", "list.example", "yes", "0"))
    same((record["dmarc.result"], record["dmarc.policy"], record["dkim.result"]), ("fail", "reject", "fail"))


@case("550 5.7.26 where no seal is trusted, the sealer is a stranger, or DMARC had not passed there")
def _():
    for port, daemon, text, result in ((ALONE, alone, through(LIST), "pass"),
                                       (None, postern, through(("stranger.example", sealer, PASSED, b"x ")), "pass"),
                                       (None, postern, through(("list.example", sealer, FAILED, b"x ")), "pass"),
                                       (None, postern, through(LIST, ("stranger.example", sealer, "dmarc=fail; arc=pass", b"y ")), "pass")):
        reply, record = deliver(text, port, daemon)
        same((reply.code, record["rule"], record["arc.result"], record["arc.dmarc_passed"]), (550, "dmarc", result, "no"))
        has(reply.text, "5.7.26 DMARC: the policy of author.example is reject")


@case("two forwarders that we trust, each changing it: taken, and since when it is unchanged is told")
def _():
    reply, record = deliver(through(LIST, ("second.example", second, "dmarc=fail; arc=pass", b"twice ")))
    same(reply.code, 250, reply.text)
    same((record["arc.result"], record["arc.dmarc_passed"], record["arc.oldest_pass"]), ("pass", "yes", "2"))
    same(set(re.split(r"[ ,]+", record["arc.sealers"])), {"list.example", "second.example"})
    reply, record = deliver(through(LIST, ("second.example", second, "dmarc=fail; arc=pass", b"")))
    same((reply.code, record["arc.oldest_pass"]), (250, "0"))


@case("a broken chain is no chain: refused for the policy, with the reason in the record")
def _():
    whole = through(LIST, ("second.example", second, "dmarc=fail; arc=pass", b""))
    head = b"ARC-Seal: i=1;"
    rows = [(whole + b"footer\r\n", "ARC-Message-Signature i=2"),
            (whole.replace(PASSED.encode().split(b";")[0], b"dmarc=pass  header.from=bank.example"), "ARC-Seal"),
            (through(("list.example", second, PASSED, b"x ")), "list.example"),
            (through(("absent.example", sealer, PASSED, b"x ")), "no key"),
            (whole.replace(b"i=1", b"i=3"), ""), (whole.replace(b"cv=none", b"cv=pass"), ""), (head + b" nonsense\r\n" + whole, "")]
    for text, reason in rows:
        reply, record = deliver(text)
        same((reply.code, record["arc.result"], record["arc.dmarc_passed"]), (550, "fail", "no"), record.get("arc.reason"))
        has(record["arc.reason"], reason)
        expect(record["arc.reason"], "a reason is given")
    text = through(LIST)
    for number in range(5):
        text = dkimpy.seal(text, "second.example", "arc", second, "arc=pass")
    reply, record = deliver(text)
    same((reply.code, record["arc.result"]), (550, "fail"))


@case("no chain is none")
def _():
    reply, record = deliver(sign(MESSAGE, "author.example", "s", author))
    same((reply.code, record["arc.result"], record["dmarc.result"]), (250, "none", "pass"))


@case("a sealer's key that cannot be looked up never lets the policy refuse for good")
def _():
    text = through(("lost.example", sealer, PASSED, b"x "))
    for number in range(2):
        reply, record = deliver(text)
        same(record["arc.result"], "temperror")
        expect(reply.code in (250, 451), repr(reply))
    # What is broken whatever the key says has failed all the same.
    reply, record = deliver(text + b"footer\r\n")
    same((reply.code, record["arc.result"]), (550, "fail"))


@case("explain: each set with its sealer, result and reason")
def _():
    text = through(LIST, ("second.example", second, "dmarc=fail; arc=pass", b"twice ")) + b"footer\r\n"
    path = write(os.path.join(postern.dir, "played.eml"), text)
    arguments = ["explain", "-c", postern.conf_path, "--client", "203.0.113.50", "--helo", "list.example", "--from", "x@list.example", "--rcpt",
                 "alice@example.test", "--message", path]
    status, out, err = command(*arguments)
    same(status, 0, err)
    matches(out, r"\n  arc\.sets\n    instance +sealer +selector +result +reason\n"
                 r"    2 +second\.example +arc +fail +\S.*\n    1 +list\.example +arc +none +-\n")
    facts = json.loads(command(*arguments, "--json")[1])["facts"]
    same([(row["instance"], row["sealer"], row["result"]) for row in facts["arc.sets"]],
         [("2", "second.example", "fail"), ("1", "list.example", "none")])
    has(facts["arc.reason"], "ARC-Message-Signature i=2 of second.example")


main()
