#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""DKIM and DMARC: messages signed by opendkim, dkimpy and openssl, sent through a real Postfix, their keys in a real
nsd; every rule of 50-message.conf on the wire; the questions of DMARC's walk."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from shipped import shipped
from signing import *

enter_sandbox()

BASE = "From: Ann <ann@%s>\nTo: alice@example.test\nSubject: hello\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n" \
       "Message-ID: <1@%s>\n"


def message(domain="sig.example", body="hello\n", more=""):
    return BASE % (domain, domain) + more + "\n" + body


rsa, large, ed = rsa_key(1024), rsa_key(2048), ed25519_key()
short, shorter = rsa_key(768), rsa_key(512)
opened, opened_text = opendkim_key(base_folder(), "open.example", "sel", 2048)
dkimpy = Dkimpy()


def keys(**more):
    return "".join(zone_line(name + "._domainkey", key if isinstance(key, str) else key.text) for name, key in more.items())


nsd = Nsd({
    "example": "",
    "sig.example": keys(rsa=rsa, large=large, ed=ed, short=short, shorter=shorter, test=rsa.tagged("t=y"), weak=short.tagged("t=y"), exact=rsa.tagged("t=s"),
                        sha1=rsa.tagged("h=sha1"), mail=rsa.tagged("s=email"), web=rsa.tagged("s=web"), revoked="v=DKIM1; p=",
                        empty="v=DKIM1; k=rsa; p=AAAA", old="v=DKIM9; p=" + rsa.public)
                   + zone_line("two._domainkey", large.text) + zone_line("two._domainkey", rsa.text)
                   + zone_line("one._domainkey.sub", rsa.text),
    "open.example": opened_text,
    "strict.example": zone_line("_dmarc", "v=DMARC1; p=reject") + zone_line("@", "v=spf1 ip4:203.0.113.7 -all") + keys(rsa=rsa),
    "held.example": zone_line("_dmarc", "v=DMARC1; p=quarantine"),
    "lax.example": zone_line("_dmarc", "v=DMARC1; p=none"),
    "sub.example": zone_line("_dmarc", "v=DMARC1; p=none; sp=reject; np=quarantine; t=n") + "real A 203.0.113.7\n",
    "testing.example": zone_line("_dmarc", "v=DMARC1; p=reject; t=y"),
    "exactly.example": zone_line("_dmarc", "v=DMARC1; p=reject; adkim=s; aspf=s") + keys(rsa=rsa)
                       + zone_line("rsa._domainkey.mail", rsa.text),
    "list.example": keys(rsa=rsa),
    "example.net": zone_line("@", "v=spf1 ip4:203.0.113.0/24 -all"),
})
fake = FakeDns()
dns = Unbound(nsd.at)
sink = Sink()

SITE = """
table ours { example.test; }
table trusted { 192.0.2.250; }
table signers { sig.example; }
table forwarders { 203.0.113.99; };
table forwarder_domains { list.example; };
recipients { domains ours; }
include {dir}/message.conf;
rule seen { when dkim.count > 90 and dkim.author and dmarc.aligned == both and dmarc.testing and dmarc.domain == "" and spf.helo == pass
            and dkim.result == pass and "x" in dkim.domains and dkim.reason == "" and spf.result == none; observe; accept; }
"""
postern = Postern(SITE, resolver=dns, files={"message.conf": shipped("50-message.conf")})
walker = Postern(SITE, resolver=fake, files={"message.conf": shipped("50-message.conf")})
enforced = Postern(SITE, resolver=dns, files={"message.conf": shipped("50-message.conf", enforced=True)})
# What these two have signed is sent on to the sink, and from there to postern.
simple = opendkim("open.example", "sel", opened, "simple/simple")
relaxed = opendkim("open.example", "sel", opened, "relaxed/relaxed", "OversignHeaders From,Subject")
# Postfix mends the header of its own hosts, which all clients here are.
mx = Postfix(postern.milter, sink, main={"hopcount_limit": "100", "local_header_rewrite_clients": ""},
             ports=[{"smtpd_milters": one.milter} for one in (walker, simple, relaxed, enforced)])
WALKER, SIMPLE, RELAXED, ENFORCED = mx.extra


def deliver(text, sender="x@none.example", addr="203.0.113.50", port=None, daemon=postern):
    """The reply to the dot, and the record."""
    before = len(daemon.audit())
    with mx.client(addr, port=port) as client:
        reply = client.deliver(sender, ["alice@example.test"], text)["data"]
    return reply, wait_until("the record", lambda: daemon.audit()[before:])[-1]


def facts(text, **wanted):
    """Delivers a message that is taken; the facts of its record are as they are wanted to be."""
    reply, record = deliver(text)
    same(reply.code, 250, reply.text)
    for key, value in wanted.items():
        same(record.get("dkim." + key, ""), value, key + ": " + record.get("dkim.reason", ""))
    return record


def play(text, sender="x@none.example", addr="203.0.113.50", *arguments):
    path = write(os.path.join(postern.dir, "played.eml"), text)
    status, out, err = command("explain", "-c", postern.conf_path, "--client", addr, "--helo", "client.example.net", "--from", sender,
                               "--rcpt", "alice@example.test", "--message", path, *arguments)
    same(status, 0, err)
    return out


ODD = "X-Odd:no blank\nX-Folded:\n\tfolded before its first word,\n  and   again \t \n here\nX-Empty:\nX-Utf8: Grüße\n"
BODIES = {
    "plain": "hello\n",
    "empty": "",
    "8-bit": "Grüße, 你好\n" + "".join(map(chr, range(0xa0, 0x100))) + "\n",
    "blanks": "text \t \n \t\n  x  y\t\n\n\n\n",
    "long lines": "x" * 990 + "\n" + "y " * 480 + "\n",
    "dots": ".\n..\n.a\n\n.",
}


@case("signed by opendkim behind a Postfix, simple and relaxed: pass")
def _():
    for name, body in BODIES.items():
        for port in (SIMPLE, RELAXED):
            sink.take()
            with mx.client("203.0.113.50", port=port) as client:
                same(client.deliver("x@open.example", ["bob@example.test"], message("open.example", body, ODD))["data"].code, 250)
            signed = sink.wait()[-1].data
            has(signed.decode("utf-8", "replace"), "DKIM-Signature: ")
            record = facts(signed, result="pass", domains="open.example", count="1", reason="", author="yes")
            has(record["dkim.signatures"], "2048", name)


@case("signed by dkimpy, RSA and Ed25519, all canonicalisations: pass")
def _():
    for name, body in BODIES.items():
        for canon in ("simple/simple", "relaxed/relaxed", "simple/relaxed", "relaxed/simple"):
            both = dkimpy.sign(message(body=body, more=ODD), "sig.example", "ed", ed, canon)
            both = dkimpy.sign(both, "sig.example", "large", large, canon)
            facts(both, result="pass", domains="sig.example", count="2")
        sink.take()


@case("signed with openssl, folded and long fields, lines far over 998 octets: pass")
def _():
    names = ("from", "to", "subject", "date", "message-id", "x-odd", "x-folded", "x-empty", "x-utf8", "x-many", "x-absent", "from")
    for key, selector in ((rsa, "rsa"), (ed, "ed"), (rsa, "two"), (rsa, "exact"), (rsa, "mail")):
        for canon in ("simple/simple", "relaxed/relaxed"):
            text = message(body="z" * 5000 + "\n", more=ODD + "X-Many: " + "many words " * 80 + "\n")
            facts(sign(text, "sig.example", selector, key, canon=canon, names=names), result="pass", domains="sig.example")
    facts(sign(message(), "sub.sig.example", "one", rsa, extra="i=x@a.sub.sig.example; "), result="pass", domains="sub.sig.example")


@case("what is not acceptable is none, each with its reason")
def _():
    good = sign(message(), "sig.example", "rsa", rsa)
    rows = [
        (good + b"buy!\r\n", "fail", "body"),
        (good.replace(b"Subject: hello", b"Subject: help!"), "fail", "header"),
        (b"From: b@bank.example\r\n" + sign(message(), "sig.example", "rsa", rsa, names=("from", "from")), None, ""),
        (sign(message(), "sig.example", "rsa", rsa, length=3), "policy", "unsigned"),
        (sign(message(body="hello\nworld\n"), "sig.example", "rsa", rsa, length=7), "policy", "unsigned"),
        (sign(message(), "sig.example", "rsa", rsa, length=7), "pass", ""),
        (sign(message(), "sig.example", "rsa", rsa, algorithm="rsa-sha1"), ("fail", "permerror"), "SHA-1"),
        (sign(message(), "sig.example", "short", short), ("fail", "policy"), "768"),
        (sign(message(), "sig.example", "shorter", shorter), ("fail", "policy"), "512"),
        (sign(message(), "sig.example", "revoked", rsa), ("permerror", "fail"), "revoked"),
        (sign(message(), "sig.example", "absent", rsa), "permerror", "no key"),
        (sign(message(), "sig.example", "empty", rsa), "permerror", "key"),
        (sign(message(), "sig.example", "old", rsa), "permerror", "key"),
        (sign(message(), "sig.example", "sha1", rsa), "permerror", "key"),
        (sign(message(), "sig.example", "web", rsa), "permerror", "key"),
        (sign(message(), "sig.example", "exact", rsa, extra="i=x@sub.sig.example; "), "permerror", "subdomains"),
        (sign(message(), "sig.example", "rsa", ed), "permerror", "type"),
        (sign(message(), "sig.example", "rsa", rsa, extra="i=x@other.example; "), ("permerror", "neutral"), ""),
        (sign(message(), "sig.example", "rsa", rsa, names=("to",)), ("permerror", "neutral"), "From"),
        (sign(message(), "sig.example", "rsa", rsa, extra="x=1000; "), "policy", "expired"),
        (sign(message(), "sig.example", "rsa", rsa, version="v=2; "), ("permerror", "neutral"), ""),
        (sign(message(), "sig.example", "rsa", rsa, version=""), ("permerror", "neutral"), ""),
        (b"DKIM-Signature: nonsense\r\n" + message().encode(), ("permerror", "neutral"), ""),
        (sign(message(), "sig.example", "test", rsa) + b"buy!\r\n", "neutral", "testing"),
        (sign(message(), "sig.example", "test", rsa), "pass", ""),
        (sign(message(), "sig.example", "test", rsa, extra="x=1000; "), "neutral", "testing"),
        (sign(message(), "sig.example", "test", rsa, algorithm="rsa-sha1"), "neutral", "testing"),
        (sign(message(), "sig.example", "test", rsa, length=3), "neutral", "testing"),
        (sign(message(), "sig.example", "weak", short), "neutral", "testing"),
    ]
    for text, result, reason in rows:
        reply, record = deliver(text)
        if result is None:
            same(reply.code, 554, "two From fields")
            same(record["dkim.result"], "fail")
            continue
        same(reply.code, 250, reply.text)
        expect(record["dkim.result"] in result, "%s (%s) is not %s for\n%s" % (record["dkim.result"], record.get("dkim.reason"), result, text[:300]))
        has(record.get("dkim.reason", ""), reason)
        same(record.get("dkim.domains", ""), "sig.example" if record["dkim.result"] == "pass" else "", "domains")
        expect(record["dkim.result"] == "pass" or record["dkim.reason"] != "", "a reason is given")


@case("one good signature is enough, in any place, and the ten first are tried")
def _():
    bad = message()
    for number in range(3):
        bad = sign(bad, "bad%d.example" % number, "none", rsa)
    facts(sign(bad, "sig.example", "rsa", rsa), result="pass", domains="sig.example", count="4")
    text = sign(message(), "sig.example", "rsa", rsa)
    for number in range(9):
        text = sign(text, "sig.example", "absent%d" % number, rsa)
    facts(text, result="pass", count="10")
    # Those of the author's domain and its kin come first, wherever they stand.
    facts(sign(text, "sig.example", "absent", rsa), result="permerror", count="11", domains="")
    for signer, author in (("sig.example", "sig.example"), ("sub.sig.example", "sig.example"), ("sig.example", "a.sig.example")):
        text = sign(message(author), signer, "one" if signer.startswith("sub") else "rsa", rsa)
        for number in range(12):
            text = sign(text, "absent%d.example" % number, "none", rsa)
        record = facts(text, result="pass", count="13", domains=signer)
        # A record has room for all that were tried.
        same((record["dkim.signatures"].count("domain="), record["dkim.signatures"].count("result=pass")), (10, 1))


@case("a signature of the author's behind those of others is found: no refusal for the policy")
def _():
    text = sign(message("strict.example"), "strict.example", "rsa", rsa)
    for number in range(30):
        text = sign(text, "junk%d.example" % number, "none", rsa)
    reply, record = deliver(text)
    same((reply.code, record["dmarc.result"], record["dmarc.aligned"], record["dkim.count"]), (250, "pass", "dkim", "31"), reply.text)
    # Nor does a forger get more than fail by signatures that cannot be good.
    text = message("strict.example")
    for number in range(30):
        text = sign(text, "strict.example", "absent%d" % number, rsa)
    reply, record = deliver(text)
    same((reply.code, record["dmarc.result"], record["rule"]), (550, "fail", "dmarc"))


@case("550 5.7.20, 5.7.21, 5.7.22: of senders who are known to sign")
def _():
    rows = [(message(), "5.7.20 No DKIM signature; mail of sig.example is always signed", "unsigned"),
            (sign(message(), "sig.example", "rsa", rsa, length=3),
             "5.7.21 DKIM signature not acceptable: the signature of sig.example leaves the end of the body unsigned", "signature-unacceptable"),
            (sign(message(), "open.example", "sel", opened), "5.7.22 No DKIM signature of the author's domain sig.example", "signature-of-another")]
    for text, words, rule in rows:
        reply, record = deliver(text, sender="ann@sig.example")
        same((reply.code, record["rule"], record["stage"]), (550, rule, "message"))
        has(reply.text, words)
    same(deliver(sign(message(), "sig.example", "rsa", rsa), sender="ann@sig.example")[0].code, 250)
    same(deliver(message())[0].code, 250)


@case("550 5.7.26: whose policy, what SPF and DKIM said of whom, who can mend it, in three lines")
def _():
    reply, record = deliver(sign(message("strict.example"), "sig.example", "rsa", rsa), sender="x@example.net")
    same(reply.code, 550)
    same([re.sub(r" \(ref .*", "", line) for line in reply.lines],
         ["5.7.26 DMARC: the policy of strict.example is reject, and this message fails it.",
          "5.7.26 SPF: pass for example.net; DKIM: pass; neither speaks for strict.example.",
          "5.7.26 The administrator of strict.example or of the sending service can mend that"])
    has(reply.lines[-1], "(ref " + record["id"])
    same((record["rule"], record["dmarc.result"], record["dmarc.policy"], record["dmarc.domain"], record["dmarc.aligned"]),
         ("dmarc", "fail", "reject", "strict.example", "none"))
    reply, _ = deliver(sign(message("strict.example"), "strict.example", "rsa", rsa) + b"buy!\r\n", sender="ann@strict.example")
    same(reply.code, 550)
    has(reply.lines[1], "SPF: fail for strict.example; DKIM: fail; neither speaks for strict.example; "
                        "the signature of strict.example does not fit the body, which was changed.")
    reply, _ = deliver(message("strict.example"), sender="x@none.example")
    has(reply.lines[1], "SPF: none for none.example; DKIM: none; neither")
    same(reply.code, 550)


@case("dmarc: what passes, what is asked for, for the domain and for those below it")
def _():
    rows = [("strict.example", "x@strict.example", "203.0.113.7", None, ("pass", "reject", "spf")),
            ("a.strict.example", "x@strict.example", "203.0.113.7", None, ("pass", "reject", "spf")),
            ("strict.example", "x@none.example", "203.0.113.50", "strict.example", ("pass", "reject", "dkim")),
            ("strict.example", "x@strict.example", "203.0.113.7", "strict.example", ("pass", "reject", "both")),
            ("lax.example", "x@none.example", "203.0.113.50", None, ("fail", "none", "none")),
            ("none.example", "x@none.example", "203.0.113.50", None, ("none", "none", "none")),
            ("testing.example", "x@none.example", "203.0.113.99", None, ("fail", "quarantine", "none")),
            ("real.sub.example", "x@none.example", "203.0.113.99", None, ("fail", "reject", "none")),
            ("ghost.sub.example", "x@none.example", "203.0.113.99", None, ("fail", "quarantine", "none")),
            ("sub.example", "x@none.example", "203.0.113.99", None, ("fail", "none", "none")),
            ("exactly.example", "x@none.example", "203.0.113.50", "exactly.example", ("pass", "reject", "dkim")),
            ("exactly.example", "x@none.example", "203.0.113.99", "mail.exactly.example", ("fail", "reject", "none"))]
    for author, sender, addr, signer, wanted in rows:
        text = message(author)
        reply, record = deliver(sign(text, signer, "rsa", rsa) if signer else text, sender, addr)
        same(reply.code, 250, "%s: %s" % (author, reply.text))
        same((record["dmarc.result"], record["dmarc.policy"], record["dmarc.aligned"]), wanted, author)
    same(record["from.domain"], "exactly.example")


@case("p=quarantine: held in Postfix's hold queue")
def _():
    reply, record = deliver(message("held.example"))
    same((reply.code, record["verdict"], record["rule"]), (250, "quarantine", "dmarc-quarantine"))
    wait_until("the hold queue", lambda: any(one["queue_name"] == "hold" for one in mx.queue()))


@case("forwarders that we trust, by address or by signature, are not refused for the policy")
def _():
    same(deliver(message("strict.example"), addr="203.0.113.99")[0].code, 250)
    same(deliver(sign(message("strict.example"), "list.example", "rsa", rsa))[0].code, 250)
    same(deliver(sign(message("strict.example"), "list.example", "rsa", rsa) + b"footer\r\n")[0].code, 550)


@case("554 5.6.0: several From fields, or authors of several domains")
def _():
    rows = [(message(more="From: b@other.example\n"), 2), (message(more="FROM: ann@sig.example\n"), 2),
            (message().replace("Ann <ann@sig.example>", "a@a.example, b@b.example"), 2)]
    for text, count in rows:
        reply, record = deliver(text)
        same((reply.code, record["rule"]), (554, "many-authors"))
        has(reply.text.replace("\n5.6.0", ""), "5.6.0 Message has several From fields, or authors of several domains in it (%d in all)" % count)
    for author in ('"a@b.example, c" <ann@sig.example>', "=?utf-8?q?a=40b.example?= <ann@sig.example>", "ann@sig.example (b@b.example)",
                   "ann@sig.example, bob@sig.example"):
        same(deliver(message().replace("Ann <ann@sig.example>", author))[0].code, 250, author)


@case("554 5.6.0: an author whom nobody can tell")
def _():
    # A comment that may hide one address or the other, no address at all, one that is none.
    for author in ("a@one.example (<b@two.example>", "", "Ann", "ann@", "Ann <ann@sig..example>"):
        reply, record = deliver(message().replace("Ann <ann@sig.example>", author))
        same((reply.code, record["rule"], record["header.fault"]), (554, "unclear-author", "unclear_from"), author)
        has(reply.text.replace("\n5.6.0", ""), "5.6.0 The author of this message cannot be told (unclear_from): its From field")
    reply, record = deliver("X: y\n" * 1001 + message())
    same((reply.code, record["rule"], record["header.fault"]), (554, "unclear-author", "too_big"))
    same(deliver("X: y\n" * 900 + message())[0].code, 250)


@case("554 5.6.0: nobody at all to be seen; as shipped that is recorded, not said")
def _():
    for text, rule in ((message().replace("From: Ann <ann@sig.example>\n", ""), "no-from"),
                       (message().replace("Ann <ann@sig.example>", "Undisclosed sender:;"), "no-author")):
        reply, record = deliver(text)
        same((reply.code, record["observed"], record["from.count"]), (250, rule, "0"))
        reply, record = deliver(text, port=ENFORCED, daemon=enforced)
        same((reply.code, record["rule"]), (554, rule))
        matches(reply.text, "^5.6.0 (Message has no From field|The From field of this message names no author)")


@case("554 5.4.6: more than 50 hops")
def _():
    hops = "".join("Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\n" for _ in range(51))
    reply, record = deliver(hops + message())
    same((reply.code, record["rule"]), (554, "mail-loop"))
    has(reply.text, "5.4.6 Mail loop: 51 Received fields, the limit is 50")
    same(deliver(hops.split("\n", 1)[1] + message())[0].code, 250)


def walked(author, sender="x@none.example"):
    """The questions about _dmarc names that one message causes."""
    fake.queries.clear()
    reply, record = deliver(message(author), sender, port=WALKER, daemon=walker)
    asked = [name[7:] for name, kind in fake.queries if name.startswith("_dmarc.") and kind == "TXT"]
    return asked, record, [(name, kind) for name, kind in fake.queries if kind in ("A", "AAAA", "MX")]


@case("the walk asks exactly what RFC 9989 4.10 lists")
def _():
    for name, text in (("_dmarc.psd.two", "v=DMARC1; p=none; psd=y"), ("_dmarc.org.three", "v=DMARC1; p=reject; psd=n"),
                       ("_dmarc.own.four", "v=DMARC1; p=none"), ("_dmarc.low.own.four", "v=DMARC1; p=none"),
                       ("_dmarc.np.five", "v=DMARC1; p=none; sp=none; np=reject"), ("_dmarc.spf.six", "v=DMARC1; p=none")):
        fake.set(name, "TXT", text)
    fake.set("_dmarc.a.twice.seven", "TXT", "v=DMARC1; p=none; psd=n", "v=DMARC1; p=reject")
    fake.set("_dmarc.case.eight", "TXT", "V=dmarc1; p=none; psd=n")
    fake.set("b.spf.six", "TXT", "v=spf1 +all")
    rows = [("a.b.c.d.e.f.g.h.i.j.mail.one.tld", ["a.b.c.d.e.f.g.h.i.j.mail.one.tld", "g.h.i.j.mail.one.tld", "h.i.j.mail.one.tld",
                                                  "i.j.mail.one.tld", "j.mail.one.tld", "mail.one.tld", "one.tld", "tld"]),
            ("b.c.d.e.f.g.nine.tld9", ["b.c.d.e.f.g.nine.tld9", "c.d.e.f.g.nine.tld9", "d.e.f.g.nine.tld9", "e.f.g.nine.tld9", "f.g.nine.tld9",
                                       "g.nine.tld9", "nine.tld9", "tld9"]),
            ("x.y.psd.two", ["x.y.psd.two", "y.psd.two", "psd.two"]),
            ("x.org.three", ["x.org.three", "org.three"]),
            ("low.own.four", ["low.own.four", "own.four", "four"]),
            ("a.twice.seven", ["a.twice.seven", "twice.seven", "seven"]),
            ("case.eight", ["case.eight", "eight"])]
    for author, wanted in rows:
        asked, record, others = walked(author)
        # Side by side, so that they come in any order.
        same(sorted(asked), sorted(wanted), author)
        same([name for name, _ in others if name == author], [], "the policy is the same whether it exists")
    same(record["dmarc.result"], "none")
    same(walked("x.y.psd.two")[1]["dmarc.domain"], "y.psd.two")
    asked, record, others = walked("ghost.np.five")
    same((sorted(asked), record["dmarc.policy"]), (["five", "ghost.np.five", "np.five"], "reject"))
    expect(("ghost.np.five", "A") in others, "whether it exists is asked")
    # SPF's domain is walked from, too, and shares what was asked.
    asked, record, _ = walked("a.spf.six", "x@b.spf.six")
    same((sorted(asked), record["dmarc.result"]), (["a.spf.six", "b.spf.six", "six", "spf.six"], "pass"))


@case("explain: each signature with its key and reason, each question of the walk, in lines and in JSON")
def _():
    text = sign(sign(sign(message("a.strict.example"), "sig.example", "short", short), "list.example", "rsa", rsa), "sig.example", "absent", rsa)
    out = play(text)
    matches(out, r"\n  dkim\.signatures\n    domain +selector +algorithm +bits +result +reason\n"
                 r"    sig\.example +absent +rsa-sha256 +- +permerror +has no key\n +identity @sig\.example\n +b [\w/+]{8}\n"
                 r"    list\.example +rsa +rsa-sha256 +1024 +pass +-\n +identity @list\.example\n +b [\w/+]{8}\n"
                 r"        key v=DKIM1; k=rsa; p=[\w/+]{22}\.\.\.[\w/+=]{12}\n"
                 r"    sig\.example +short +rsa-sha256 +768 +\w+ +has a key of only 768 bits\n +identity @sig\.example\n +b [\w/+]{8}\n"
                 r"        key v=DKIM1; k=rsa; p=")
    matches(out, r"\n  dmarc\.queries\n    name +answer +record\n"
                 r"    _dmarc\.a\.strict\.example +\S.* -\n    _dmarc\.strict\.example +found +v=DMARC1; p=reject\n    _dmarc\.example ")
    matches(out, r"\nwhy\n  SPF    none: none\.example has no SPF record\n"
                 r"  DKIM   permerror: the signature of sig\.example, key absent\._domainkey\.sig\.example, has no key\n"
                 r"         pass: the signature of list\.example, key rsa\._domainkey\.list\.example of 1024 bits, fits\n"
                 r"         fail: the signature of sig\.example, key short\._domainkey\.sig\.example of 768 bits, has a key of only 768 bits\n"
                 r"  DMARC  fail: neither SPF nor DKIM vouches for a\.strict\.example, whose policy is reject, by _dmarc\.strict\.example; "
                 r"DKIM passes for list\.example, not aligned\n  ARC    none")
    for author, sentence in (("none.example", "none: neither none.example nor a domain above it has a DMARC record"),
                             ("strict.example", "pass: DKIM vouches for strict.example, whose policy is reject, by _dmarc.strict.example")):
        has(play(sign(message(author), "strict.example", "rsa", rsa)), "\n  DMARC  %s\n" % sentence)
    has(play(message()), "\n  DKIM   none: there is no signature\n")
    has(play(message().replace("From:", "X-From:")), "\n  DMARC  none: the message has no author, or authors of several domains\n")
    got = json.loads(play(text, "x@none.example", "203.0.113.50", "--json"))["facts"]
    same([row.get("result") for row in got["dkim.signatures"]][:2], ["permerror", "pass"])
    bs = [one[:8] for one in re.findall(r"\tb=(\S+)", text.decode())]
    same([row["b"] for row in got["dkim.signatures"]], bs)
    same(got["dkim.signatures"][1], {"domain": "list.example", "selector": "rsa", "algorithm": "rsa-sha256", "bits": "1024", "result": "pass",
                                     "identity": "@list.example", "key": rsa.text, "b": bs[1]})
    same([row["name"] for row in got["dmarc.queries"]], ["_dmarc.a.strict.example", "_dmarc.strict.example", "_dmarc.example"])
    same((got["dmarc.result"], got["dmarc.policy"], got["dkim.domains"]), ("fail", "reject", ["list.example"]))
    # Facts are the same for a message that is played and for one that was sent.
    _, record = deliver(text)
    for fact in ("dkim.result", "dmarc.result", "dmarc.policy", "dmarc.domain", "from.domain", "dmarc.aligned"):
        same(record[fact], got[fact], fact)


main()
