#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""SPF, DKIM, DMARC and ARC where the DNS fails or answers in parts, and before records and messages that mean harm."""

import base64
import itertools
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from shipped import shipped
from signing import *

enter_sandbox()

BUDGET_S = 3
ADDR, ADDR6 = "203.0.113.7", "2001:db8::7"
rsa = rsa_key(1024)
dkimpy = Dkimpy()
fake = FakeDns()
sink = Sink()
SITE = """
budget { mail %ds; rcpt %ds; message %ds; }
table ours { example.test; }
table signers { };
table forwarders { };
table forwarder_domains { };
table sealers { .example; };
arc { sealers sealers; }
recipients { domains ours; }
include {dir}/*.conf;
# It has to wait for all of these; what an accepting rule does not need for its outcome is not waited for.
rule seen { when dkim.count > 600 or dkim.reason == "?" or arc.reason == "?" or dmarc.result == permerror or spf.problem == "?"; quarantine "never"; }
""" % (BUDGET_S, BUDGET_S, BUDGET_S)
RULES = ("35-spf.conf", "50-message.conf")
FAST = fake.at + "; timeout 1s"
strict = Postern(SITE.replace("*.conf", "rules-*.conf"), resolver=FAST, files={"rules-" + name: shipped(name, True) for name in RULES})
plain = Postern(SITE.replace("*.conf", "rules-*.conf"), resolver=FAST,
                files={"rules-" + name: read(os.path.join(installed(), "rules.d", name)) for name in RULES})
mx = Postfix(strict.milter, sink, main={"header_size_limit": "20000000", "message_size_limit": "100000000", "milter_content_timeout": "30s"},
             ports=[{"smtpd_milters": plain.milter}])
PORTS = {strict: mx.port, plain: mx.extra[0]}


def message(domain="none.example", more="", body="hello\n"):
    return "From: Ann <ann@%s>\nTo: alice@example.test\nSubject: hello\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n" \
           "Message-ID: <1@%s>\n%s\n%s" % (domain, domain, more, body)


def send(daemon, sender, text):
    """The last reply, the seconds that the slowest reply took, and the record."""
    times, reply = [], None
    with mx.client(clients.get(sender, ADDR), helo="client.none.example", port=PORTS[daemon]) as client:
        for step in (lambda: client.mail(sender), lambda: client.rcpt("alice@example.test"), lambda: client.data(text)):
            start = time.monotonic()
            reply = step()
            times.append(time.monotonic() - start)
            if reply.code >= 400:
                break
    return reply, max(times), daemon.wait_audit(sender=sender)[-1]


def side_by_side(jobs):
    """Runs functions in threads, a dozen at a time; the first error is raised here."""
    jobs, errors = list(jobs), []

    def work():
        while jobs and not errors:
            try:
                jobs.pop()()
            except IndexError:
                return
            except Exception as error:  # told by the thread that waits
                errors.append(error)
    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


clients = {}  # where a sender sends from, if not from ADDR
numbers = itertools.count(100)
PAD = "; n=%s" % ("x" * 500)
LONG = " ".join("ip4:198.51.100.%d" % at for at in range(40))


# Each sets what a message needs to pass, and tells (sender, message, the question, its type, the fact it is for). pad: the answer to the
# question is too long for UDP.

def spf_case(record, question, kind, *more):
    def setup(domain, pad):
        fake.set(domain, "TXT", record.replace("@", domain))
        for name, of, value in more:
            value = value.replace("@", domain)
            fake.set(name.replace("@", domain), of, (10, value) if of == "MX" else value)
        name = question.replace("@", domain)
        if pad and kind == "TXT":
            fake.set(name, "TXT", fake.rows[name, "TXT"][0].replace("v=spf1", "v=spf1 " + LONG))
        elif pad and kind == "A":
            fake.set(name, "A", *["198.51.100.%d" % at for at in range(40)] + fake.rows[name, "A"])
        elif pad:
            hosts = ["%s%d.%s" % ("l" * 55, at, domain) for at in range(8)]
            fake.set(name, "MX", *[(5, host) for host in hosts], (10, "h." + domain))
            for host in hosts:
                fake.set(host, "A", "198.51.100.1")
        return "x@" + domain, message(), name, kind, "spf.result"
    return setup


def spf_aaaa(domain, pad):
    """The client comes from an IPv6 address."""
    fake.set(domain, "TXT", "v=spf1 a:h.%s -all" % domain)
    fake.set("h." + domain, "AAAA", *["2001:db8::1:%x" % at for at in range(40 if pad else 0)] + [ADDR6])
    clients["x@" + domain] = ADDR6
    return "x@" + domain, message(), "h." + domain, "AAAA", "spf.result"


def spf_ptr(domain, pad):
    """Each client has an address of its own, so that no answer is known from another."""
    number = next(numbers)
    clients["x@" + domain] = "203.0.113.%d" % number
    reverse = "%d.113.0.203.in-addr.arpa" % number
    fake.set(domain, "TXT", "v=spf1 ptr:%s -all" % domain)
    fake.set("h." + domain, "A", clients["x@" + domain])
    fake.set(reverse, "PTR", *["h." + domain] + ["%s%d.elsewhere.example" % ("l" * 55, at) for at in range(8 if pad else 0)])
    return "x@" + domain, message(), reverse, "PTR", "spf.result"


def dkim_key(domain, pad):
    fake.set("s._domainkey." + domain, "TXT", rsa.text.replace("; p=", (PAD if pad else "") + "; p="))
    fake.set("_dmarc." + domain, "TXT", "v=DMARC1; p=reject")
    return "x@x%s" % domain, sign(message(domain), domain, "s", rsa), "s._domainkey." + domain, "TXT", "dkim.result"


def dmarc(author, question):
    def setup(domain, pad):
        name = question.replace("@", domain)
        fake.set(name, "TXT", "v=DMARC1; p=reject" + (PAD if pad else ""))
        fake.set("s._domainkey." + domain, "TXT", rsa.text)
        # Unsigned where the answer fails, so that only the record is left to be asked for.
        text = message(author.replace("@", domain))
        return "x@x%s" % domain, sign(text, domain, "s", rsa) if pad else text, name, "TXT", "dmarc.result"
    return setup


def dmarc_of_spf(domain, pad):
    fake.set("_dmarc." + domain, "TXT", "v=DMARC1; p=reject")
    fake.set("_dmarc.b." + domain, "TXT", "v=DMARC1; p=none" + (PAD if pad else ""))
    fake.set("b." + domain, "TXT", "v=spf1 ip4:203.0.113.7 -all")
    return "x@b.%s" % domain, message("a." + domain), "_dmarc.b." + domain, "TXT", "dmarc.result"


def arc_key(domain, pad):
    fake.set("s._domainkey." + domain, "TXT", rsa.text.replace("; p=", (PAD if pad else "") + "; p="))
    fake.set("_dmarc.a" + domain, "TXT", "v=DMARC1; p=reject")
    with arc_lock:
        text = dkimpy.seal(message("a" + domain), domain, "s", rsa, "dmarc=pass header.from=a%s; arc=none" % domain)
    return "x@x%s" % domain, text, "s._domainkey." + domain, "TXT", "arc.result"


arc_lock = threading.Lock()
LOOKUPS = {
    "spf-record": spf_case("v=spf1 ip4:203.0.113.7 -all", "@", "TXT"),
    "spf-include": spf_case("v=spf1 include:i.@ -all", "i.@", "TXT", ("i.@", "TXT", "v=spf1 ip4:203.0.113.7")),
    "spf-redirect": spf_case("v=spf1 redirect=i.@", "i.@", "TXT", ("i.@", "TXT", "v=spf1 ip4:203.0.113.7 -all")),
    "spf-a": spf_case("v=spf1 a:h.@ -all", "h.@", "A", ("h.@", "A", ADDR)),
    "spf-mx": spf_case("v=spf1 mx:m.@ -all", "m.@", "MX", ("m.@", "MX", "h.@"), ("h.@", "A", ADDR)),
    "spf-mx-host": spf_case("v=spf1 mx:m.@ -all", "h.@", "A", ("m.@", "MX", "h.@"), ("h.@", "A", ADDR)),
    "spf-exists": spf_case("v=spf1 exists:%{ir}.@ -all", "7.113.0.203.@", "A", ("7.113.0.203.@", "A", "127.0.0.2")),
    "spf-aaaa": spf_aaaa,
    "spf-ptr": spf_ptr,
    "dkim-key": dkim_key,
    "dmarc-author": dmarc("@", "_dmarc.@"),
    "dmarc-organization": dmarc("a.b.@", "_dmarc.@"),
    "dmarc-of-spf": dmarc_of_spf,
    "arc-key": arc_key,
}


def fault_job(lookup, word):
    def one():
        domain = "%s-%s.example" % (lookup, word)
        sender, text, name, kind, fact = LOOKUPS[lookup](domain, False)
        fake.fault(name, kind, word)
        for daemon in (plain, strict):
            reply, seconds, record = send(daemon, sender, text)
            what = "%s, %s: %r, %s" % (lookup, word, reply, record)
            expect(seconds < BUDGET_S + 1.5, what)
            same(record[fact], "temperror", what)
            # DMARC rests on DKIM; no rule speaks for a chain alone.
            codes = (250,) if daemon is plain or fact == "arc.result" else (451,)
            expect(reply.code in codes, what)
            if reply.code == 451:
                same(reply.enhanced, "4.7.24" if fact == "spf.result" else "4.7.5", what)
    return one


@case("each lookup, each way to fail: temperror, taken or 451 as the rules say, never 5xx, within the budget")
def _():
    side_by_side(fault_job(lookup, word) for lookup in LOOKUPS for word in ("servfail", "refused", "silence", "truncate-dead", "garbage"))


@case("451 4.7.24 and 4.7.5: which question failed, of whom, and that trying again helps")
def _():
    for lookup, rule, code, words in (("spf-record", "spf-temperror", "4.7.24", "SPF of @ could not be looked up \\(TXT @: .*\\), try again"),
                                      ("dmarc-author", "dmarc-temperror", "4.7.5", "DMARC of @ could not be evaluated \\(DNS\\), try again"),
                                      ("dkim-key", "dkim-temperror", "4.7.5", "Unable to verify signature: the signature of @ has a key that cannot be "
                                                                              "fetched now: .*, try again")):
        domain = lookup + "-told.example"
        sender, text, name, kind, fact = LOOKUPS[lookup](domain, False)
        if rule == "dkim-temperror":
            # Nothing that DMARC would ask for.
            text = sign(message(), domain, "s", rsa)
        fake.fault(name, kind, "servfail")
        reply, seconds, record = send(strict, sender, text)
        same((reply.code, record["rule"]), (451, rule), repr(reply))
        matches(re.sub(r"\n%s ?" % re.escape(code), " ", reply.text), "^%s %s" % (re.escape(code), words.replace("@", re.escape(domain))))
        reply, seconds, record = send(plain, sender, text)
        same((reply.code, record["verdict"], record[fact]), (250, "accept", "temperror"))


def long_job(lookup):
    def one():
        sender, text, name, kind, fact = LOOKUPS[lookup](lookup + "-long.example", True)
        for daemon in (plain, strict):
            reply, seconds, record = send(daemon, sender, text)
            same(reply.code, 250, "%s: %r" % (lookup, reply))
            same(record[fact], "pass", "%s: %s" % (lookup, record))
            expect(seconds < BUDGET_S, lookup)
        expect(fake.ask(name, kind).tc, "%s: the answer fits into UDP" % lookup)
    return one


@case("answers that are too long for UDP are fetched over TCP, and count")
def _():
    side_by_side(long_job(lookup) for lookup in LOOKUPS)


@case("a client's name that cannot be looked up makes no SPF fail, nor a DMARC fail of it")
def _():
    fake.set("_dmarc.ptr.example", "TXT", "v=DMARC1; p=reject")
    fake.set("ptr.example", "TXT", "v=spf1 ptr -all")
    fake.set("softptr.ptr.example", "TXT", "v=spf1 ptr ~all")
    fake.fault("7.113.0.203.in-addr.arpa", "PTR", "servfail")
    for daemon, codes in ((plain, (250, 250)), (strict, (451, 451))):
        reply, seconds, record = send(daemon, "x@ptr.example", message("ptr.example"))
        same((reply.code, record["spf.result"]), (codes[0], "temperror"), repr(reply))
        has(record["spf.problem"], "PTR 7.113.0.203.in-addr.arpa")
        reply, seconds, record = send(daemon, "x@softptr.ptr.example", message("ptr.example"))
        same((reply.code, record["spf.result"], record["dmarc.result"]), (codes[1], "softfail", "temperror"), repr(reply))


@case("whether the author's domain exists cannot be told: np and sp are not taken for each other")
def _():
    for word in ("servfail", "silence"):
        domain = "np-%s.example" % word
        fake.set("_dmarc." + domain, "TXT", "v=DMARC1; p=none; sp=none; np=reject")
        fake.fault("a." + domain, "A", word)
        for daemon in (plain, strict):
            reply, seconds, record = send(daemon, "x@x" + domain, message("a." + domain))
            same((reply.code, record["dmarc.result"]), (250, "fail"), repr(reply))
            has(record["faults"], "dmarc.policy")
            expect(seconds < BUDGET_S + 1.5, seconds)


@case("what only explains a fail does not change it")
def _():
    for word in ("servfail", "silence"):
        fake.set("exp-%s.example" % word, "TXT", "v=spf1 exp=why.%{d} -all")
        fake.fault("why.exp-%s.example" % word, "TXT", word)
        reply, seconds, record = send(plain, "x@exp-%s.example" % word, message())
        same((reply.code, reply.enhanced, record["spf.result"]), (550, "5.7.23", "fail"))
        expect(seconds < BUDGET_S + 1, seconds)


def bounded(sender, text, daemon=plain, megabytes=40):
    """Sends what means harm: a reply within the budget, no great growth of memory; returns reply and record."""
    before = daemon.memory()
    reply, seconds, record = send(daemon, sender, text)
    expect(seconds < BUDGET_S + 1.5, "%.1f s, %r" % (seconds, reply))
    expect(daemon.memory() - before < megabytes * 1e6 * SLOW, "%d octets more" % (daemon.memory() - before))
    return reply, record


@case("records as long as a server can serve them, chained")
def _():
    # nsd serves up to 64 kB over TCP: ten includes of that.
    huge = " ".join("ip4:198.51.%d.%d" % (at // 250, at % 250) for at in range(3600))
    zone = "".join(zone_line("i%d" % at, "v=spf1 %s -all" % huge) for at in range(10))
    zone += zone_line("@", "v=spf1 %s -all" % " ".join("include:i%d.huge.example" % at for at in range(10)))
    zone += zone_line("s._domainkey", "v=DKIM1; n=%s; p=%s" % ("x" * 60000, rsa.public))
    zone += zone_line("_dmarc", "v=DMARC1; n=%s; p=reject" % ("x" * 60000))
    zone += "".join(zone_line("many", "v=spf%d %s" % (at + 2, "y" * 200)) for at in range(250))
    nsd = Nsd({"huge.example": zone, "example": ""})
    dns = Unbound(nsd.at, options=["edns-buffer-size: 1232"])
    expect(len(huge) > 60000, "long enough")
    # 10 MB in all: as many senders, each with half a megabyte.
    far = Postern(plain.rules, resolver=dns.at, files={"rules-" + name: read(os.path.join(installed(), "rules.d", name)) for name in RULES})
    other = Postfix(far.milter, sink)
    PORTS[far] = other.port
    for sender, result in (("x@huge.example", ("fail", "permerror")), ("x@many.huge.example", ("none", "permerror"))):
        reply, record = bounded(sender, sign(message("huge.example"), "huge.example", "s", rsa), far)
        expect(record["spf.result"] in result, record["spf.result"])
        expect(reply.code in (250, 550), repr(reply))
    same((record["dkim.result"], record["dmarc.result"]), ("pass", "pass"), record.get("dkim.reason"))
    before = far.memory()
    for round_ in range(20):
        send(far, "x%d@huge.example" % round_, message())
    expect(far.memory() - before < 60e6 * SLOW, "%d octets more" % (far.memory() - before))
    for server in (other, far, dns, nsd):
        server.stop()
    del PORTS[far]


@case("CNAME loops, for every lookup: an answer in time, never 5xx")
def _():
    side_by_side(loop_job(lookup) for lookup in LOOKUPS)


def loop_job(lookup):
    def one():
        sender, text, name, kind, fact = LOOKUPS[lookup](lookup + "-loop.example", False)
        fake.fault(name, kind, "loop")
        for daemon in (plain, strict):
            reply, seconds, record = send(daemon, sender, text)
            expect(seconds < BUDGET_S + 1.5 and reply.code < 500, "%s: %r %s" % (lookup, reply, record))
            same(record[fact], "temperror", lookup)
    return one


@case("a thousand includes, includes of themselves, and macro bombs are permerror or no match, at once")
def _():
    local = "a.b-c+d/e=f_" * 5
    records = {
        "includes": "v=spf1 " + " ".join("include:i%d.bomb.example" % at for at in range(1000)) + " -all",
        "self": "v=spf1 include:self.bomb.example -all",
        "ring": "v=spf1 include:gnir.bomb.example -all",
        "gnir": "v=spf1 redirect=ring.bomb.example",
        "macros": "v=spf1 exists:" + "%{l}" * 2000 + ".bomb.example -all",
        "domains": "v=spf1 " + " ".join("exists:%s%%{d127r}.bomb.example" % ("%{d}." * 60) for _ in range(9)) + " -all",
        "digits": "v=spf1 exists:%{s99999999999999999999}.bomb.example -all",
        "helo": "v=spf1 exists:" + "%{H1r.-+,/_=}." * 300 + "bomb.example -all",
        "ptr": "v=spf1 ptr ptr:a.example ptr:b.example exists:%{p}.%{p}.%{p}.bomb.example -all",
        "told": "v=spf1 exp=text.bomb.example -all",
        "mx": "v=spf1 " + " ".join("mx:m%d.bomb.example" % at for at in range(10)) + " -all",
        "spaces": "v=spf1" + " " * 60000 + "-all",
        "slashes": "v=spf1 a:" + "/" * 5000 + " -all",
    }
    for at in range(1000):
        fake.set("i%d.bomb.example" % at, "TXT", "v=spf1 " + " ".join("include:i%d.bomb.example" % (at * 10 + one) for one in range(10)) + " ?all")
    for name, text in records.items():
        fake.set(name + ".bomb.example", "TXT", text)
    fake.set("text.bomb.example", "TXT", "%{S}%{L}%{D}%{H}" * 2000)
    for at in range(10):
        fake.set("m%d.bomb.example" % at, "MX", *[(10, "h%d-%d.bomb.example" % (at, one)) for one in range(100)])
    fake.set("7.113.0.203.in-addr.arpa", "PTR", *["p%d.bomb.example" % at for at in range(500)])
    for name in records:
        fake.queries.clear()
        sender = "%s@%s.bomb.example" % (local, name)
        reply, record = bounded(sender, message())
        expect(record["spf.result"] in ("permerror", "fail"), "%s: %s (%s)" % (name, record["spf.result"], record.get("spf.problem")))
        expect(reply.code == (550 if record["spf.result"] == "fail" else 250), "%s: %r" % (name, reply))
        asked = [one for one in fake.queries if one[0].endswith("bomb.example") or one[0].endswith("arpa")]
        expect(len(asked) < 150, "%s: %d questions" % (name, len(asked)))


def der(tag, content):
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([0x82, length >> 8, length & 255])
    return bytes([tag]) + size + content


def public_key(modulus, exponent):
    """An RSA key as a record, of any numbers."""
    def number(value):
        return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))
    key = der(0x30, der(0x30, bytes.fromhex("06092a864886f70d0101010500")) + der(3, b"\0" + der(0x30, number(modulus) + number(exponent))))
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(key).decode()


@case("keys of no bits, of 8,192 and more, with exponents of all sizes: fail, in time")
def _():
    odd = (1 << 8191) + 987654321
    keys = {"zero": public_key(0, 65537), "nought": public_key(0, 0), "one": public_key(1, 1), "even": public_key(1 << 1023, 65537),
            "large": public_key(odd, 65537), "larger": public_key((1 << 16383) + 1, 3), "slow": public_key(odd, (1 << 8190) + 1),
            "e0": public_key(odd, 0), "e1": public_key(odd, 1), "e64": public_key(odd, (1 << 63) + 1)}
    keys["none"], keys["bits"] = "v=DKIM1; k=rsa; p=MAA=", "v=DKIM1; k=rsa; p=" + base64.b64encode(b"\x30\x84\xff\xff\xff\xff").decode()
    keys["curve"] = "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(32)).decode()
    fake.set("_dmarc.keys.example", "TXT", "v=DMARC1; p=none")
    for name, text in keys.items():
        fake.set(name + "._domainkey.keys.example", "TXT", text)
        for key in ("rsa-sha256", "ed25519-sha256"):
            text = sign(message("keys.example"), "keys.example", name, rsa).replace(b"a=rsa-sha256", b"a=" + key.encode())
            reply, record = bounded("%s-%s@none.example" % (name, key), text)
            same(reply.code, 250, repr(reply))
            expect(record["dkim.result"] in ("fail", "permerror", "policy"), "%s: %s" % (name, record["dkim.result"]))
            expect(record["dkim.reason"], name)
    # As many as are tried, each as slow as it can be made.
    text = message("keys.example").encode()
    for at in range(10):
        fake.set("k%d._domainkey.keys.example" % at, "TXT", public_key(odd + 2 * at, (1 << 64) - 1))
        text = sign(text, "keys.example", "k%d" % at, rsa)
        # A signature as long as the key, or it would be thrown away at once.
        at = text.index(b"b=", text.index(b"bh=") + 3) + 2
        text = text[:at] + b"Q" * 1364 + b"QQ==" + text[text.index(b"\r\n", text.index(b"\r\n\t ", at) + 100):]
    reply, record = bounded("slowest@none.example", text)
    same((reply.code, record["dkim.count"]), (250, "10"))
    has(record["dkim.signatures"], "bits=8192 result=fail reason=does not fit the header or the key")


@case("500 signatures: the first ten are tried, the others counted")
def _():
    one = sign(message("many.example"), "many.example", "s", rsa)
    head = one[:one.index(b"From:")]
    text = b"".join(head.replace(b"s=s;", b"s=s%d;" % at) for at in range(499)) + one
    fake.queries.clear()
    reply, record = bounded("500@none.example", text)
    same((reply.code, record["dkim.result"], record["dkim.count"]), (250, "permerror", "500"))
    same(len([name for name, _ in fake.queries if "_domainkey" in name]), 10)


@case("a thousand authors in one field, and a thousand From fields")
def _():
    authors = ", ".join("a%d@d%d.example" % (at, at) for at in range(1000))
    fields = (authors, "a@one.example\nFrom: " * 999 + "a@one.example", "<" * 100000, "(" * 30000, '"' + '\\"' * 15000, "a:" * 10000,
              "=?utf-8?q?" * 3000)
    for number, field in enumerate(fields):
        fake.queries.clear()
        reply, record = bounded("authors%d@none.example" % number, "From: %s\nSubject: x\n\nhello\n" % field)
        expect(reply.code in (250, 554), repr(reply))
        if number < 2:
            same((reply.code, reply.enhanced, record["from.count"], record["header.fault"]), (554, "5.6.0", "1000", "many_from"))
        expect(len([name for name, _ in fake.queries if name.startswith("_dmarc")]) <= 8, "few questions")


@case("both still serve, and are no larger than they should be")
def _():
    for daemon in (plain, strict):
        fake.set("good.example", "TXT", "v=spf1 ip4:203.0.113.7 -all")
        reply, _, record = send(daemon, "last@good.example", message())
        same((reply.code, record["spf.result"]), (250, "pass"))
        expect(daemon.memory() < 150e6 * SLOW, daemon.memory())


main()
