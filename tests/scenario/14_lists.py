#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""DNS lists that lie, die, refuse or say odd things; what is asked of them, and what is never shown."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from recursor import Recursor

enter_sandbox()

KEY = "s3cr3tk3y0fours"
RULE = """
rule listed { when dnsbl.score >= 3; reply 554 5.7.1 "Service unavailable; Client host [%{client.ip}] blocked using %{dnsbl.name}; %{dnsbl.reason}"; }
rule helo   { when rhsbl.helo.score >= 3; reply 554 5.7.1 "Helo blocked using %{rhsbl.helo.name}; %{rhsbl.helo.reason}"; }
rule sender { when rhsbl.sender.score >= 3; reply 554 5.7.1 "Sender blocked using %{rhsbl.sender.name}; %{rhsbl.sender.reason}"; }
"""
LISTS = """
dnsbl bl  { zone bl.example; listed 127.0.0.2-11; weight 3; }
dnsbl wl  { zone wl.example; listed 127.0.*.1-3;  weight -2; }
dnsbl old { zone old.example; listed 127.0.0.2; weight 3; ipv6 no; }
dnsbl dbl { zone dbl.example; listed 127.0.1.2-199; weight 3; ask sender.domain helo; }
dnsbl zen-low  { zone zen.example; listed 127.0.0.2;     weight 1; }
dnsbl zen-high { zone zen.example; listed 127.0.0.10-11; weight 3; }
dnsbl zen-all  { zone zen.example; listed 127.0.0.*;     weight 1; }
dnsbl paid { zone "%{key}.dq.example"; key file:{dir}/key; listed 127.0.0.2; weight 3; }
"""
ENTRIES = {"bl": "127.0.0.2", "wl": "127.0.2.1", "old": "127.0.0.2", "zen": "127.0.0.2", KEY + ".dq": "127.0.0.2"}

fake = Recursor()


def set_tests():
    for zone, code in ENTRIES.items():
        fake.set("2.0.0.127.%s.example" % zone, "A", code)
    fake.set("test.dbl.example", "A", "127.0.1.2")


def entry(addr, zone):
    """The name by which a list knows an IPv4 address."""
    return ".".join(reversed(addr.split("."))) + "." + zone


def listed(addr, zone, *codes, text=None):
    fake.set(entry(addr, zone), "A", *codes)
    if text is not None:
        fake.set(entry(addr, zone), "TXT", *([text] if isinstance(text, (str, bytes)) else text))


set_tests()
sink = Sink()
postern = Postern(LISTS + RULE, resolver=fake, files={"key": KEY + "\n"})
os.chmod(postern.dir + "/key", 0o600)
mx = Postfix(postern.milter, sink)


def rcpt(addr, sender="x@example.net", helo="client.example.net", mta=mx):
    """The reply to the first recipient."""
    with mta.client(addr, helo=helo) as client:
        same(client.mail(sender).code, 250)
        return client.rcpt("alice@example.test")


def accepted(addr, sender="x@example.net", daemon=postern, mta=mx, **more):
    """The message is taken; returns its record."""
    before = len(daemon.audit())
    with mta.client(addr, **more) as client:
        replies = client.deliver(sender, ["alice@example.test"])
        same([reply and reply.code for reply in (replies["rcpt"][0], replies["data"])], [250, 250], addr)
    return wait_until("the record", lambda: [
        one for one in daemon.audit()[before:] if one["client"] == addr and one["verdict"] == "accept"])[-1]


@case("only the configured codes count; a list of good senders weighs against the others")
def _():
    listed("203.0.113.1", "bl.example", "127.0.0.2", text="spam")
    listed("203.0.113.2", "bl.example", "127.0.0.12")
    listed("203.0.113.3", "bl.example", "127.0.0.3")
    listed("203.0.113.3", "wl.example", "127.0.5.2")
    listed("203.0.113.4", "bl.example", "127.0.0.3", text="spam")
    listed("203.0.113.4", "wl.example", "127.0.5.0")
    reply = rcpt("203.0.113.1")
    same((reply.code, reply.enhanced), (554, "5.7.1"))
    has(reply.text, "Client host [203.0.113.1] blocked using bl; spam (ref ")
    record = accepted("203.0.113.2")
    same((record["dnsbl.score"], record["dnsbl.faults"], record["dnsbl.lists"]), ("0", "0", ""))
    same(accepted("203.0.113.3")["dnsbl.score"], "1")
    same(rcpt("203.0.113.4").code, 554)
    same(postern.wait_audit(client="203.0.113.4")[-1]["dnsbl.score"], "3")


@case("what lists say when they refuse, and what is no list's answer, is a fault")
def _():
    odd = ["127.255.255.254", "127.255.255.252", "127.255.255.255", "127.0.0.1", "127.0.0.255", "127.0.1.255",
           "192.0.2.80", "10.0.0.1", "0.0.0.0"]
    for number, code in enumerate(odd):
        addr = "203.0.113.%d" % (10 + number)
        listed(addr, "bl.example", code, text="https://www.example.org/open-resolver")
        record = accepted(addr)
        same((record["dnsbl.faults"], record["dnsbl.name"]), ("1", ""), code)
        has(record["faults"], "dnsbl.score", code)
    # Next to a listing, too: nobody knows what such an answer means.
    for code in "127.255.255.254", "192.0.2.80":
        addr = "203.0.113.%d" % (30 + odd.index(code))
        listed(addr, "bl.example", "127.0.0.2", code)
        same(accepted(addr)["dnsbl.faults"], "1", code)
    # And it does not take away what another list knows.
    listed("203.0.113.40", "bl.example", "127.255.255.254")
    listed("203.0.113.40", "old.example", "127.0.0.2", text="seen")
    has(rcpt("203.0.113.40").text, "blocked using old; seen")


@case("a zone is asked once, however many blocks share it, and its text once")
def _():
    listed("203.0.113.50", "zen.example", "127.0.0.10", "127.0.0.3", text="policy")
    name = entry("203.0.113.50", "zen.example")
    reply = rcpt("203.0.113.50")
    same(reply.code, 554)
    has(reply.text, "blocked using zen-high; policy")
    same((fake.count(name, "A"), fake.count(name, "TXT"), fake.count(name)), (1, 1, 2))
    record = postern.wait_audit(client="203.0.113.50")[-1]
    same((record["dnsbl.score"], record["dnsbl.lists"]), ("4", "zen-high, zen-all"))
    same(record["dnsbl.code"], "127.0.0.10")
    # Who is not listed costs no question for a text.
    accepted("203.0.113.51")
    same(fake.count(entry("203.0.113.51", "zen.example")), 1)
    same(fake.count(entry("203.0.113.51", "bl.example"), "TXT"), 0)


@case("IPv6 addresses are asked for by nibbles, and only where a list has them")
def _():
    name = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.6.0.0.8.b.d.0.1.0.0.2.bl.example"
    fake.set(name, "A", "127.0.0.2")
    fake.set(name, "TXT", "six")
    has(rcpt("2001:db8:66::5").text, "[2001:db8:66::5] blocked using bl; six")
    same(fake.count(name, "A"), 1)
    same(fake.count(name.replace("bl.example", "old.example")), 0)


@case("names: sender and HELO, in any case; address literals and the null sender are never asked about")
def _():
    for name in "bad.example.net.dbl.example", "xn--bcher-kva.example.dbl.example":
        fake.set(name, "A", "127.0.1.2")
        fake.set(name, "TXT", "bad name")
    has(rcpt("203.0.113.60", sender="x@BAD.Example.NET").text, "Sender blocked using dbl; bad name")
    has(rcpt("203.0.113.61", helo="Bad.example.net.").text, "Helo blocked using dbl; bad name")
    has(rcpt("203.0.113.62", sender="x@xn--BCHER-kva.example").text, "Sender blocked using dbl; bad name")
    before = len(fake.queries)
    for sender, helo in (("", "[203.0.113.63]"), ("x@[203.0.113.63]", "[IPv6:2001:db8::1]"),
                         ("", "203.0.113.63")):
        same(rcpt("203.0.113.63", sender=sender, helo=helo).code, 250)
    with fake.lock:
        asked = [name for name, _ in fake.queries[before:] if name.endswith(".dbl.example")]
    # Probes of the list itself may come at any time.
    same(set(asked) - {"test.dbl.example", "invalid.dbl.example"}, set())


@case("a name that is too long for the list's zone is no fault")
def _():
    # 248 octets: a name by itself, none with the zone behind it.
    long = ".".join(["a" * 60] * 4) + ".ab"
    record = accepted("203.0.113.64", sender="x@" + long)
    same((record["rhsbl.sender.faults"], record["rhsbl.sender.score"]), ("0", "0"))


@case("texts of lists are cleaned before they are said and written")
def _():
    texts = [
        ("line one\r\n250 2.1.5 Ok\r\nverdict=accept", "line one"),
        (b"caf\xc3\xa9 \xff\xfe \x1b[31m \x00 end", "caf"),
        ("100% spam %s %n %{id} %{dnsbl.name}", "100% spam %s %n %{id} %{dnsbl.name}"),
        ('quote " back \\ slash = id=FORGED rule="x"', 'quote " back \\ slash = id=FORGED rule="x"'),
        ([[b"two ", b"strings"]], "two strings"),
        ("x" * 3000, "xxxx"),
        ("", "blocked using bl (ref "),
    ]
    for number, (text, wanted) in enumerate(texts):
        addr = "203.0.113.%d" % (70 + number)
        listed(addr, "bl.example", "127.0.0.2", text=text)
        with mx.client(addr) as client:
            client.mail("x@example.net")
            reply = client.rcpt("alice@example.test")
            same((reply.code, reply.enhanced), (554, "5.7.1"), repr(text))
            has(reply.text, wanted)
            matches(reply.lines[-1], r"\(ref [A-Z0-9]{6}\)$")
            for line in reply.lines:
                matches(line, r"^[ -~]{1,505}$")
            # Postfix did not find a reply malformed: the session goes on.
            same(client.cmd("NOOP").code, 250)
            same(client.rcpt("bob@example.test").code, 554)
        # audit() itself is strict about the form of records.
        last = postern.wait_audit(client=addr)[-1]
        same((last["verdict"], last["rule"], last["client"]), ("reject", "listed", addr))
    matches(rcpt("203.0.113.70").text, "line one.*250 2.1.5 Ok")


@case("the text cannot be had: the refusal stands without it, and soon")
def _():
    for number, word in enumerate(("servfail", "silence", "nodata", "garbage")):
        addr = "203.0.113.%d" % (80 + number)
        listed(addr, "bl.example", "127.0.0.2")
        fake.fault(entry(addr, "bl.example"), "TXT", word)
        reply = rcpt(addr)
        same(reply.code, 554, word)
        has(reply.text, "[%s] blocked using bl" % addr)


def secrets(daemon):
    """Everything that anybody can read of the daemon, but for the key's own file."""
    texts = {"log": "\n".join(daemon.messages()), "audit": read(daemon.audit_path)}
    for word in "check", "explain":
        arguments = [word, "-c", daemon.conf_path]
        if word == "explain":
            # All is asked, whatever the policy needs.
            arguments += ["--client", "203.0.113.90", "--helo", "h.example.net", "--from", "x@example.net", "--rcpt",
                          "alice@example.test"]
        for more in [[]] if word == "check" else [[], ["--json"]]:
            _, out, err = command(*(arguments + more))
            texts[" ".join([word] + more)] = out + err
    return texts


def keeps_secret(daemon, *others):
    for where, text in secrets(daemon).items():
        expect(text or where == "audit", where + " says nothing")
        expect(KEY not in text.lower(), "the key shows in the output of " + where)
    for text in others:
        expect(KEY not in text.lower(), "the key shows in " + text)


@case("the key of a paid list never shows")
def _():
    zone = KEY + ".dq.example"
    listed("203.0.113.90", zone, "127.0.0.2", text="see https://check.example/?q=203.0.113.90")
    reply = rcpt("203.0.113.90")
    has(reply.text, "blocked using paid; see https://check.example/")
    keeps_secret(postern, reply.text)
    has(read(postern.audit_path), "blocked using paid")
    # Not even where the list itself repeats it, in any case.
    listed("203.0.113.91", zone, "127.0.0.2", text="wrong key " + KEY.upper() + "?")
    reply = rcpt("203.0.113.91")
    same(reply.code, 554)
    keeps_secret(postern, reply.text)
    # Nor in trouble: refused, silent, garbage; at the test entries, too.
    troubled = Postern(LISTS + RULE, resolver=fake, files={"key": KEY + "\n"}, start=False)
    other = None
    for word in "servfail", "garbage", "wild":
        if word == "wild":
            fake.clear("*." + zone, "*")
            fake.set("*." + zone, "A", "127.255.255.254")
        else:
            fake.fault("*." + zone, "*", word)
        fake.clear("2.0.0.127." + zone, "A")
        said = Said()
        troubled.start()
        other = other or Postfix(troubled.milter)
        same(rcpt("203.0.113.92", mta=other).code, 250, word)
        said.wait("dnsbl paid " + ("is SET ASIDE" if word == "wild" else "could not be tested"))
        troubled.process.send_signal(signal.SIGUSR1)
        said.wait("questions ")
        keeps_secret(troubled)
        troubled.stop()
    fake.clear("*." + zone, "A")
    fake.clear("*." + zone, "*")
    set_tests()
    # Nor where the file of the key is not as it should be.
    for text in KEY + " and more\n", KEY + "." + KEY + "\n":
        troubled.file("key", text)
        status, out, err = command("check", "-c", troubled.conf_path)
        same(status, 1)
        has(err, "does not begin with a key")
        expect(KEY not in out + err, "the key shows in an error")
    other.stop()


# ---- lists that die ----

class Said:
    """What daemons say from here on; the messages of all come together in syslog."""

    def __init__(self):
        self.mark = len(self.lines())

    @staticmethod
    def lines():
        return ["%s: %s" % (line.severity, line.text) for line in postern.syslog.lines("postern")]

    def count(self, text):
        return sum(text in line for line in self.lines()[self.mark:])

    def wait(self, text):
        wait_until(repr(text), lambda: self.count(text))


def mend():
    """The list bl is as it should be."""
    fake.clear("*.bl.example", "A")
    for test in "2.0.0.127", "1.0.0.127":
        fake.takes(0, test + ".bl.example")
    set_tests()


def dying(what, break_it, reason):
    @case(what + " is set aside with one loud line, refuses nobody, and is taken back")
    def _():
        mend()
        break_it()
        # The first client comes before anything has been tested.
        for test in "2.0.0.127", "1.0.0.127":
            fake.takes(1, test + ".bl.example")
        said = Said()
        aside = Postern(LISTS + RULE, resolver=fake, files={"key": KEY}, start=False)
        other = Postfix(aside.milter)
        aside.start()
        for last in 100, 101, 102:
            listed("203.0.113.%d" % last, "bl.example", "127.0.0.2", text="spam")
            record = accepted("203.0.113.%d" % last, daemon=aside, mta=other)
            same((record["dnsbl.score"], record["dnsbl.faults"], record["faults"]), ("0", "0", ""))
        said.wait("err: error: dnsbl bl is SET ASIDE and counts for nothing until it heals: " + reason)
        same(said.count("; look at its zone and at the resolver that asks it, or say 'probe none'"), 1)
        same(said.count("SET ASIDE"), 1)
        # The other lists still count.
        listed("203.0.113.103", "old.example", "127.0.0.2", text="seen")
        has(rcpt("203.0.113.103", mta=other).text, "blocked using old")
        # It is tested again after a minute; a restart, which forgets answers, tests at once.
        mend()
        aside.stop()
        aside.start()
        has(rcpt("203.0.113.100", mta=other).text, "blocked using bl; spam")
        same(said.count("SET ASIDE"), 1)
        other.stop()
        aside.stop()


def clear_entry(addr):
    fake.clear(entry(addr, "bl.example"), "A")


dying("a list that lists everything (its domain was sold)",
      lambda: fake.set("*.bl.example", "A", "127.0.0.2"),
      "it lists 127.0.0.1, which no list lists")
dying("a list whose names all lead to a parked web site",
      lambda: (fake.set("*.bl.example", "A", "192.0.2.80"), clear_entry("127.0.0.2")),
      "it answers 192.0.2.80 for 127.0.0")
dying("a list that does not answer us (127.255.255.254)",
      lambda: (fake.set("*.bl.example", "A", "127.255.255.254"), clear_entry("127.0.0.2")),
      "it answers 127.255.255.254 for 127.0.0")
dying("a list that was emptied", lambda: clear_entry("127.0.0.2"),
      "it does not list 127.0.0.2, which every list lists")


@case("a list that was set aside is tested anew by a reload, which does not say so again")
def _():
    mend()
    clear_entry("127.0.0.2")
    said = Said()
    aside = Postern(LISTS + RULE, resolver=fake, files={"key": KEY})
    other = Postfix(aside.milter)
    said.wait("dnsbl bl is SET ASIDE")
    same(rcpt("203.0.113.100", mta=other).code, 250)
    aside.reload()
    same(rcpt("203.0.113.100", mta=other).code, 250)
    same(said.count("SET ASIDE"), 1)
    set_tests()

    def back():
        # The answer that there is no test entry may be kept for two seconds.
        aside.reload()
        return rcpt("203.0.113.100", mta=other).code == 554
    wait_until("the list to be taken back", back, 10)
    other.stop()
    aside.stop()


@case("a list whose test entries cannot be asked for is in fault, says so once, and counts as soon as it answers")
def _():
    mend()
    fake.fault("2.0.0.127.bl.example", "A", "servfail")
    said = Said()
    mute = Postern(LISTS + RULE, resolver=fake, files={"key": KEY})
    other = Postfix(mute.milter)
    record = accepted("203.0.113.100", daemon=mute, mta=other)
    same(record["dnsbl.faults"], "1")
    said.wait("warning: dnsbl bl could not be tested and stays as it is: its test entry 127.0.0.2 cannot be looked up")
    accepted("203.0.113.101", daemon=mute, mta=other)
    same(said.count("could not be tested"), 1)
    set_tests()
    wait_until("the list to count", lambda: rcpt("203.0.113.102", mta=other).code == 554, 5)
    other.stop()
    mute.stop()


main()
