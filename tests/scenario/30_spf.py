#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""SPF: every rule of 35-spf.conf, read on the wire through a real Postfix; why a result came out as it did."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from shipped import shipped

enter_sandbox()


def spread(count):
    """An address list that no single DNS string holds."""
    return " ".join("ip4:198.51.%d.%d" % (100 + at // 200, at % 200) for at in range(count))


def txt(text):
    return " ".join('"%s"' % text[at:at + 250] for at in range(0, len(text), 250))


nsd = Nsd({
    "pass.example": '@ TXT "v=spf1 ip4:203.0.113.0/24 -all"\n',
    "fail.example": '@ TXT "v=spf1 ip4:198.51.100.0/24 -all"\n',
    "told.example": '@ TXT "v=spf1 exp=why.told.example -all"\n'
                    'why TXT "%{i} is no host of %{d}, 100%% sure; see http://told.example/?s=%{S}"\n',
    "long-tale.example": '@ TXT "v=spf1 exp=why.long-tale.example -all"\nwhy TXT %s\n' % txt("bla " * 300),
    "soft.example": '@ TXT "v=spf1 ~all"\n',
    "neutral.example": '@ TXT "v=spf1 ?all"\n',
    "silent.example": '@ TXT "v=spf1 ip4:198.51.100.1"\n',
    "none.example": '@ TXT "nothing of the kind"\n',
    "broken.example": '@ TXT "v=spf1 ipv4:203.0.113.7 -all"\n',
    "twice.example": '@ TXT "v=spf1 -all"\n@ TXT "v=spf1 +all"\n',
    "greedy.example": '@ TXT "v=spf1 %s -all"\n' % " ".join("a:n%d.greedy.example" % at for at in range(11))
                      + "".join("n%d A 198.51.100.%d\n" % (at, at) for at in range(11)),
    "void.example": '@ TXT "v=spf1 a:x1.void.example a:x2.void.example a:x3.void.example -all"\n',
    "many.example": "@ TXT %s\n" % txt("v=spf1 " + spread(80) + " ip4:203.0.113.7 -all"),
    "chain.example": '@ TXT "v=spf1 include:one.chain.example -all"\none TXT "v=spf1 include:two.chain.example -all"\n'
                     'two TXT "v=spf1 redirect=three.chain.example"\nthree TXT "v=spf1 a:host.chain.example mx -all"\n'
                     "host A 203.0.113.7\n",
    "bounce.example": '@ TXT "v=spf1 a -all"\n@ A 203.0.113.7\nstranger TXT "v=spf1 -all"\n',
})
fake = FakeDns()
fake.fault("lost.example", "TXT", "servfail")
fake.set("lost.example", "MX", (10, "mail.lost.example"))
dns = Unbound({".": nsd.at, "lost.example": fake.at})
sink = Sink()

SITE = """
table ours { example.test; }
table trusted { 192.0.2.250; }
table forwarders { 203.0.113.99; };
recipients { domains ours; }
include {dir}/spf.conf;
rule seen { when spf.helo == pass and spf.lookups > 9; observe; accept; }
"""
postern = Postern(SITE, resolver=dns, files={"spf.conf": shipped("35-spf.conf", enforced=True)})
watching = Postern(SITE, resolver=dns, files={"spf.conf": shipped("35-spf.conf")})
plain = Postern(SITE, resolver=dns, files={"spf.conf": read(installed() + "/rules.d/35-spf.conf")})
mx = Postfix(postern.milter, sink, ports=[{"smtpd_milters": watching.milter}, {"smtpd_milters": plain.milter}])
WATCHING, PLAIN = mx.extra
BOTH = mx, Sendmail(postern.milter, sink)


def rcpt(sender, addr="203.0.113.7", port=None, daemon=postern, helo="host.none.example"):
    """The reply to RCPT, and the record of it when there is one."""
    before = len(daemon.audit())
    with mx.client(addr, helo=helo, port=port) as client:
        same(client.mail(sender).code, 250)
        reply = client.rcpt("alice@example.test")
        if reply.code == 250:
            same(client.data("From: a@none.example\nSubject: x\n\nhello\n").code, 250)
    return reply, wait_until("the record", lambda: daemon.audit()[before:])[-1]


def explain(sender, addr="203.0.113.7", helo="host.none.example", *arguments):
    status, out, err = command("explain", "-c", postern.conf_path, "--client", addr, "--helo", helo, "--from", sender,
                               "--rcpt", "alice@example.test", *arguments)
    same(status, 0, err)
    return out


@case("550 5.7.23: which client, which domain, which term of its record, who can mend it")
def _():
    reply, record = rcpt("x@fail.example")
    same(reply.code, 550)
    same(reply.lines[0].split(" (ref")[0], "5.7.23 SPF fail: 203.0.113.7 may not send mail for fail.example (its record says -all); "
         "the owner of fail.example can mend that")
    same(record["rule"], "spf-fail")
    same((record["verdict"], record["stage"]), ("reject", "rcpt"))
    same((record["spf.result"], record["spf.domain"], record["spf.mechanism"]), ("fail", "fail.example", "-all"))


@case("550 5.7.23: with the domain's own words, said to be its own, percent signs and all")
def _():
    reply, record = rcpt("a+b&c@told.example")
    same(reply.code, 550)
    same(" ".join(line[7:] if at else line for at, line in enumerate(reply.lines)).split(" (ref")[0],
         "5.7.23 SPF fail: 203.0.113.7 may not send mail for told.example (its record says -all); told.example explains: "
         "203.0.113.7 is no host of told.example, 100% sure; see http://told.example/?s=a%2Bb%26c%40told.example")
    same(record["rule"], "spf-fail-explained")
    reply, _ = rcpt("x@long-tale.example")
    same(reply.code, 550)
    expect(sum(len(line) for line in reply.lines) < 1000 and all(len(line) < 508 for line in reply.lines), "capped: %r" % reply)


@case("550 5.7.24: what is wrong with the record; as shipped it is recorded and not said")
def _():
    for sender, word in (("x@broken.example", "ipv4"), ("x@twice.example", "two SPF records|several|more than one"),
                         ("x@greedy.example", "more than 10 terms"), ("x@void.example", "more than 2 terms")):
        reply, record = rcpt(sender)
        domain = sender[2:]
        same(reply.code, 550, sender)
        matches(reply.text, r"^5\.7\.24 SPF record of %s is broken: .*(%s).*the owner of %s can\s+mend that"
                % (re.escape(domain), word, re.escape(domain)))
        same(record["spf.result"], "permerror")
        reply, record = rcpt(sender, port=WATCHING, daemon=watching)
        same(reply.code, 250, sender)
        same(record["observed"], "spf-permerror")


@case("451 4.7.24: the record cannot be looked up; as shipped that passes")
def _():
    reply, record = rcpt("x@lost.example")
    same(reply.code, 451)
    matches(reply.text, r"^4\.7\.24 SPF of lost\.example could not be looked up \(TXT lost\.example: .*\), try again")
    same((record["verdict"], record["spf.result"]), ("defer", "temperror"))
    reply, record = rcpt("x@lost.example", port=PLAIN, daemon=plain)
    same(reply.code, 250)
    same((record["verdict"], record["spf.result"]), ("accept", "temperror"))


@case("a sender that only the MTA can read is the one that it delivers for", on=BOTH)
def _(mx):
    for odd in ("x@fail.example(pass.example)", "x@(c)fail.example", "X <x@fail.example>", "<x@fail.example>", "x@fail . example",
                "x%fail.example", '"x@fail.example"'):
        with mx.client("203.0.113.7", helo="host.none.example") as client:
            same(client.mail(odd).code, 250, odd)
            reply = client.rcpt("alice@example.test")
            same((reply.code, reply.enhanced), (550, "5.7.23"), odd)
            has(reply.text, "fail.example", odd)


@case("a sender of two thousand octets has a domain, too")
def _():
    for local in ("x" * 1020, "x" * 1900, '"%s"' % ("x" * 1100)):
        reply, record = rcpt(local + "@fail.example")
        same((reply.code, record["spf.domain"]), (550, "fail.example"))


@case("pass, softfail, neutral and none go on")
def _():
    for domain, result, term in (("pass", "pass", "ip4:203.0.113.0/24"), ("soft", "softfail", "~all"), ("neutral", "neutral", "?all"),
                                 ("silent", "neutral", "default"), ("none", "none", ""), ("many", "pass", "ip4:203.0.113.7")):
        reply, record = rcpt("x@%s.example" % domain)
        same(reply.code, 250, domain)
        same((record["spf.result"], record.get("spf.mechanism", "")), (result, term), domain)


@case("the null sender is postmaster at the HELO name, and another sender's mail does not rest on HELO")
def _():
    reply, record = rcpt("", helo="stranger.bounce.example")
    same(reply.code, 550)
    has(reply.text, "may not send mail for stranger.bounce.example")
    reply, record = rcpt("", helo="bounce.example")
    same((reply.code, record["spf.result"], record["spf.domain"]), (250, "pass", "bounce.example"))
    reply, record = rcpt("x@none.example", helo="stranger.bounce.example")
    same((reply.code, record["spf.result"], record["spf.helo"]), (250, "none", "fail"))


@case("forwarders that we trust are not refused")
def _():
    for sender in ("x@fail.example", "x@told.example"):
        reply, record = rcpt(sender, addr="203.0.113.99")
        same((reply.code, record["spf.result"]), (250, "fail"))


@case("explain tells the term and the includes that led to it, for a person and for a program")
def _():
    out = explain("x@chain.example")
    path = "include:one.chain.example > include:two.chain.example > redirect=three.chain.example > a:host.chain.example"
    matches(out, r"spf\.result +pass\n")
    has(out, path)
    has(out, "why\n  SPF    pass for chain.example, by the term " + path + "\n")
    facts = json.loads(explain("x@chain.example", "203.0.113.7", "host.none.example", "--json"))["facts"]
    same((facts["spf.result"], facts["spf.mechanism"], facts["spf.path"]), ("pass", "a:host.chain.example", path))
    same(facts["spf.lookups"], 4)
    facts = json.loads(explain("x@chain.example", "198.51.100.9", "host.none.example", "--json"))["facts"]
    same((facts["spf.result"], facts["spf.mechanism"]), ("fail", "-all"))
    for domain, sentence in (
            ("none", "none: none.example has no SPF record"), ("silent", "neutral for silent.example, no term of its record matches this client"),
            ("broken", "permerror for broken.example: .*ipv4.*"), ("lost", "temperror for lost.example: TXT lost.example: .*"),
            ("told", "fail for told.example, by the term -all; the domain says: 203.0.113.7 is no host of told.example.*")):
        matches(explain("x@%s.example" % domain), r"why\n  SPF    %s\n" % sentence)
    has(explain("x@none.example", helo="stranger.bounce.example"), "\n         fail for stranger.bounce.example, the name at HELO\n")


main()
