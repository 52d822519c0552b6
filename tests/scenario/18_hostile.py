#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""What no MTA would say, and what hostile clients make an MTA say: the daemon lives on, every reply is one that an MTA can
pass on, and no record is forged."""

import os
import random
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from milterclient import Closed as Gone

enter_sandbox()

nsd = Nsd({"113.0.203.in-addr.arpa": "7 PTR client.example.net.\n", "example.net": "client A 203.0.113.7\n"})
dns = Unbound({".": nsd.at})
sink = Sink()
# Everything that comes from outside is echoed, in replies at RCPT and at the end of the message, and in a header field.
ECHO = ("<%{rcpt}> <%{sender}> helo %{helo} ptr %{client.ptr} daemon %{mta.daemon} user %{auth.user} %{auth.type} "
        "tls %{tls.version}: 100%% no")
postern = Postern("""
table ours { example.test; }
recipients { domains ours; }
rule taken  { when rcpt.local == taken; header "X-Seen: %%{sender} %%{helo}"; }
rule echo   { when rcpt.local != taken; reply 550 5.1.1 "%s"; }
rule worm   { when header('Subject') matches 'worm'; reply 554 5.7.1 "no worms from %%{sender} at %%{helo}"; }
""" % ECHO, resolver=dns)
mx = Postfix(postern.milter, sink)

HEAD = ["id", "verdict", "stage", "rule", "at", "reply", "client", "name", "helo", "sender", "rcpt", "qid", "listener",
        "observed"]
STRINGS = [
    b"", b"<", b">", b"<>", b"<<>>", b"><", b"@", b"<@>", b"<@@@@>", b"<a@>", b"<@b>", b"a b c", b"<a b@c d>",
    b"<x\r@example.net>", b"<x\n@example.net>", b"<x\r\n250 ok\r\n@example.net>", b"x\ty@example.net",
    b"<x@example.net> verdict=accept rule=forged", b'<x" verdict="accept@example.net>', b'<x\\" id="AAAAAA@example.net>',
    b"<x\n2026-11-22T04:00:00.000+00:00 postern[1]: id=FORGED verdict=accept@example.net>",
    b"<\xff\xfe\x80@example.net>", "<jörg@exämple.net>".encode(), "<\u202eevil@example.net>".encode(), b"<\x1b[2J\x07@example.net>",
    b"<%s%n%d%%%{rcpt}%{id}@example.net>", b"<100%@example.net>", b"<%@%>", b'<"unbalanced@example.net>', b'<unbalanced"@example.net>',
    b'<"a\\@example.net>', b'<"a\\">', b'<"">', b'<""@example.net>', b'<"a b"@example.net>', b"<@hop.example,@hop2.example:x@example.net>",
    b"<@hop.example:>", b"<@:@:@:x@example.net>", b"<:x@example.net>", b"<x@[192.0.2.1]>", b"<x@[IPv6:2001:db8::1]>", b"<x@[>",
    b"<x@[]>", b"<x@]>", b"<x@[IPv6:>", b"<x@example.net.>", b"<x@.>", b"<x@..>", b"<x@.example.net>", b"<x@example..net>",
    b"<x@" + b"a" * 64 + b".example>", b"<x@" + b"a." * 200 + b"example>", b"<x@xn--\xc3\xa4.example>", b"<x@xn--a.example>",
    b"<" + b"a" * 64000 + b"@example.net>", b"<x@" + b"a" * 64000 + b">", b"<" + b"@a" * 20000 + b":x@b>", b'"' * 60001, b"\\" * 60001,
    b"<" + b"%" * 60000 + b">", b"(" * 30000, b"." * 60000, b"<x@" + "ä".encode() * 30000 + b">", b" " * 60000,
    b"550 5.1.1 fake", b"250-first\r\n250 second", b"127.0.0.1 is an address",
]


def whole_reply(answer):
    """A reply that every MTA passes on as it is: RFC 5321 4.2, one class, printable, % doubled."""
    raw = answer.raw
    expect(raw.endswith(b"\0") and raw.count(b"\0") == 1, "one NUL, at the end: %r" % raw[:80])
    lines = raw[:-1].split(b"\r\n")
    expect(len(lines) <= 32, "%d lines" % len(lines))
    for number, line in enumerate(lines):
        expect(all(0x20 <= byte <= 0x7e for byte in line), "printable ASCII: %r" % line)
        wire = line.replace(b"%%", b"%")
        expect(len(wire) <= 510 and len(line) <= 980, "%d octets in a line" % len(wire))
        match = matches(line.decode(), r"^([45])\d\d([ -])([245])\.\d{1,3}\.\d{1,3} \S")
        same(match.group(1), match.group(3), "the classes of both codes")
        same(match.group(2), " " if number == len(lines) - 1 else "-", "the continuation mark")
        same(line[:3], lines[0][:3], "the code of each line")
        expect(all(len(run) % 2 == 0 for run in re.findall(rb"%+", line)), "a single %% in %r" % line)
    return answer


def acceptable(answer):
    """What an MTA can live with."""
    if answer.word == "reply":
        whole_reply(answer)
    else:
        has(("continue", "none", "unasked", "skip", "tempfail"), answer.word)
    return answer


def lives():
    """The daemon is there, and decides as it should."""
    postern.check_alive()
    with Milter(postern.milter) as milter:
        milter.greet()
        milter.mail("<sender@example.net>")
        same(milter.rcpt("<other@example.test>").code, 550)
        same(milter.rcpt("<taken@example.test>").word, "continue")
        milter.data()
        milter.header("Subject", "a worm")
        milter.eoh()
        same(milter.eom().code, 554)
        milter.quit()


_read = 0


def new_records():
    """The records since the last call; each has the keys of the manual in their order, and none that is not in it."""
    global _read
    text = read(postern.audit_path)
    end = text.rfind("\n") + 1
    records = [record(line) for line in text[_read:end].splitlines()]
    _read = end
    known = None
    for entry in records:
        keys = list(entry)
        same(keys[:len(HEAD)], HEAD)
        matches(entry["id"], r"^[A-Z0-9]{6}$")
        has(("accept", "reject", "defer", "mta-reject"), entry["verdict"])
        has(("taken", "echo", "worm", "", "mta", "postern:busy"), entry["rule"])
        known = keys[len(HEAD):]
        for key in known:
            matches(key, r"^(marked|mixed|fault|late|faults|(client|mta|tls|auth|helo|sender|rcpt|dnsbl|time|message|received)"
                         r"(\.[a-z_]+)?|rcpt\.local\S*|header\S*)$")
    return records


@case("hostile strings as sender, recipient, HELO, client name and macros")
def _():
    lives()
    wait_until("the first records", lambda: len(postern.audit()) == 2)
    new_records()
    for text in STRINGS:
        loose = text.replace(b"\0", b"")
        with Milter(postern.milter) as milter:
            acceptable(milter._stage("C", loose + b"\0" + b"4" + struct.pack(">H", 4000) + b"203.0.113.7\0",
                                     {"j": loose[:9000].decode("utf-8", "surrogateescape"),
                                      "daemon_name": loose[:9000].decode("utf-8", "surrogateescape"),
                                      "client_ptr": loose[:9000].decode("utf-8", "surrogateescape")}))
            acceptable(milter._stage("H", loose + b"\0", {"tls_version": loose[:9000].decode("utf-8", "surrogateescape")}))
            acceptable(milter._stage("M", loose + b"\0SIZE=1\0" + loose[:900] + b"\0",
                                     {"auth_authen": loose[:9000].decode("utf-8", "surrogateescape"),
                                      "auth_type": loose[:9000].decode("utf-8", "surrogateescape")}))
            answer = whole_reply(milter._stage("R", loose + b"\0", None))
            same(answer.code, 550, repr(loose[:40]))
            acceptable(milter.rcpt("<taken@example.test>"))
            milter.header("Subject", "worm")
            milter.eoh()
            same(whole_reply(milter.eom(macros={"i": loose[:9000].decode("utf-8", "surrogateescape")})).code, 554)
            milter.quit()
    wanted = 2 * len(STRINGS)
    records = []
    wait_until("%d records" % wanted, lambda: records.extend(new_records()) or len(records) >= wanted)
    same(len(records), wanted, "no line is forged")
    same([entry["verdict"] for entry in records], ["reject"] * wanted)
    same({entry["sender"] for entry in records} & {"forged"}, set())
    # What was sent is what is recorded, byte by byte.
    by_sender = [entry["sender"] for entry in records]
    for text in b"<x\r\n250 ok\r\n@example.net>", b'<x" verdict="accept@example.net>', b"<\x1b[2J\x07@example.net>":
        has(by_sender, text[1:-1].decode("latin-1"))
    lives()


@case("hostile strings as header fields: names, values, their number")
def _():
    new_records()
    with Milter(postern.milter) as milter:
        milter.greet()
        milter.mail("<sender@example.net>")
        milter.rcpt("<taken@example.test>")
        milter.data()
        for number in range(9800):
            acceptable(milter.header("X-%d" % number if number % 3 else "Received", "value %d" % number))
        # libmilter ends the session at a field without a name.
        for text in STRINGS[1:]:
            acceptable(milter.header(text, text[:60000 - len(text)] if len(text) < 60000 else b""))
            acceptable(milter.header(b"X-Seen", text))
        acceptable(milter.header("Subject", "fine"))
        acceptable(milter.header("Subject", "worm"))
        milter.eoh()
        answer = milter.eom()
        same(answer.word, "continue")
        # The field is added, and those that were there are removed, from the last to the first.
        removed = [index for word, index, name, value in
                   (one for one in answer.modifications if one[0] == "change_header") if value == ""]
        same(removed, sorted(removed, reverse=True))
        same([one[0] for one in answer.modifications][-1], "insert_header")
        same(len(removed), len(STRINGS) - 1, "every field of that name is removed")
        milter.quit()
    # A field does not escape because many others stand before it.
    with Milter(postern.milter) as milter:
        milter.greet()
        milter.mail("<sender@example.net>")
        milter.rcpt("<taken@example.test>")
        for number in range(20000):
            milter.header("a", "")
        milter.header("Subject", "worm")
        milter.eoh()
        same(whole_reply(milter.eom()).code, 554)
    lives()
    for size in 65000, 65530:
        with Milter(postern.milter) as milter:
            milter.greet()
            milter.mail("<sender@example.net>")
            milter.rcpt("<taken@example.test>")
            milter.header("Subject", b"x" * (size - 10) + b"worm")
            milter.eoh()
            milter.body(b"y" * 65535)
            same(milter.eom().word, "continue", "a subject is looked at up to 8192 bytes")
    new_records()


@case("ten thousand recipients, and no other transaction suffers")
def _():
    with Milter(postern.milter) as milter:
        milter.greet()
        milter.mail("<sender@example.net>")
        codes = set()
        for number in range(5200):
            answer = milter.rcpt("<taken@example.test>")
            codes.add((number >= 5000, answer.code))
            if answer.code:
                whole_reply(answer)
        same(codes, {(False, None), (True, 452)})
        milter.header("Subject", "worm")
        milter.eoh()
        same(whole_reply(milter.eom()).code, 554)
    lives()
    new_records()


@case("no macros, unknown macros, macros without a value, without an end, and a thousand of them")
def _():
    sets = [None, {}, {"unknown": "x", "": "", "{": "}"}, {"i": "", "j": "", "auth_authen": ""},
            {"n%d" % number: "value" for number in range(1000)}]
    for macros in sets:
        with Milter(postern.milter) as milter:
            for stage in "CHMRTLNE" if macros is not None else "":
                milter.macros(stage, macros)
            got = milter.greet(macros=macros)
            expect(got.goes_on, "the session goes on")
            got = milter.message(recipients=("<taken@example.test>",), headers=(("Subject", "worm"),))
            same(whole_reply(got["eom"]).code, 554)
    # libmilter itself reads past the end of a list with an odd number of strings; no MTA sends one.
    for data in b"", b"C", b"Cj", b"C\0\0", b"\0", b"\xffj\0x\0", b"Zj\0x\0", b"C" + b"a\0" * 30000:
        with Milter(postern.milter) as milter:
            milter.send_packet("D", data)
            try:
                milter.greet()
                milter.mail("<sender@example.net>")
                acceptable(milter.rcpt("<other@example.test>"))
            except Gone:
                pass
    lives()
    new_records()


@case("commands in every order: without HELO, HELO again, MAIL after MAIL, RCPT without MAIL, EOM without RCPT")
def _():
    steps = {"C": lambda m: m.connect(), "H": lambda m: m.helo(), "M": lambda m: m.mail("<sender@example.net>"),
             "R": lambda m: m.rcpt("<other@example.test>"), "T": lambda m: m.rcpt("<taken@example.test>"),
             "D": lambda m: m.data(), "L": lambda m: m.header("Subject", "worm"), "N": lambda m: m.eoh(),
             "B": lambda m: m.body(b"x"), "E": lambda m: m.eom(), "A": lambda m: m.abort(), "K": lambda m: m.quit_keep()}
    known = {"CMTDLE": [554], "CHHHMTDLE": [554], "CHMMTDLE": [554], "CHMTMMTDLE": [554], "CHMREMTE": [550],
             "CMTHMTLE": [554], "CHMTLEMTE": [554], "CHMTLAMTLE": [554], "CHMRRRMR": [550] * 4}
    for order, wanted in known.items():
        with Milter(postern.milter) as milter:
            codes = [answer.code for answer in (steps[step](milter) for step in order) if answer and answer.code]
            same(codes, wanted, order)
    chance = random.Random(20261122)
    for _ in range(120):
        order = "".join(chance.choices("CHMRTDLNBEAK", k=chance.randint(1, 14)))
        with Milter(postern.milter) as milter:
            try:
                for step in order:
                    milter.socket.settimeout(0.05 * SLOW)
                    answer = steps[step](milter)
                    if answer:
                        acceptable(answer)
            except (Gone, TimeoutError):
                # libmilter ends sessions whose order it finds wrong, or leaves a command without an answer.
                pass
    lives()
    new_records()


@case("connections that drop at every byte of a conversation")
def _():
    words = [Milter.packet("O", struct.pack(">3I", 6, 0x1ff, 0x1fffff)),
             Milter.packet("D", b"Cj\0mx.example.test\0{daemon_name}\0mx\0"),
             Milter.packet("C", b"[203.0.113.7]\0" + b"4" + struct.pack(">H", 4000) + b"203.0.113.7\0"),
             Milter.packet("H", b"client.example.net\0"), Milter.packet("D", b"M{mail_addr}\0x@example.net\0"),
             Milter.packet("M", b"<x@example.net>\0SIZE=1\0"), Milter.packet("R", b"<other@example.test>\0"),
             Milter.packet("R", b"<taken@example.test>\0"), Milter.packet("T"), Milter.packet("L", b"Subject\0 worm\0"),
             Milter.packet("N"), Milter.packet("B", b"hello\r\n"), Milter.packet("E"), Milter.packet("Q")]
    whole = b"".join(words)
    for end in range(1, len(whole) + 1):
        with Milter(postern.milter, negotiate=False) as milter:
            milter.send_raw(whole[:end])
            if end % 2:
                # Half of them wait for the first answer before they go.
                try:
                    milter.socket.settimeout(0.02)
                    milter.socket.recv(1)
                except OSError:
                    pass
    # The same, every byte a packet of its own on the wire.
    with Milter(postern.milter, negotiate=False) as milter:
        for byte in whole[:-5]:
            milter.send_raw(bytes([byte]))
        answers = []
        while len(answers) < 2 or answers[-1] != "y":
            answers.append(milter.receive()[0])
        has(answers, "y")
    lives()
    new_records()


@case("garbage, packets that are too long, packets of no length, unknown commands, odd negotiations")
def _():
    chance = random.Random(5321)
    pieces = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xffC", b"\0\x10\0\0" + b"C" * 70000, b"\0\0\0\1\xff", b"\0\0\0\1\0",
              b"EHLO example.net\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\1L" + b"x" * 65536, b"\0\1\0\2L" + b"x" * 65537,
              b"\0\1\1\0B" + b"x" * 65791]
    pieces += [Milter.packet(chr(letter), data) for letter in range(0x20, 0x7f) for data in (b"", b"\0", b"x", b"x\0y\0\0")]
    pieces += [Milter.packet("O", data) for data in
               (b"", b"\0\0\0\6", struct.pack(">3I", 0, 0, 0), struct.pack(">3I", 1, 0, 0), struct.pack(">3I", 2, 0x3f, 0x7f),
                struct.pack(">3I", 99, 0xffffffff, 0xffffffff), struct.pack(">3I", 6, 0, 0) + b"\0\0\0\0" + b"x" * 100)]
    pieces += [chance.randbytes(chance.randint(1, 300)) for _ in range(200)]
    for piece in pieces:
        for first in False, True:
            with Milter(postern.milter, negotiate=False) as milter:
                try:
                    if first:
                        milter.negotiate()
                        milter.greet()
                        milter.mail("<x@example.net>")
                        acceptable(milter.rcpt("<taken@example.test>"))
                    milter.send_raw(piece)
                    if chance.random() < 0.3:
                        milter.send_raw(piece)
                except (Gone, OSError):
                    pass
    lives()
    new_records()
    # An MTA that can do less is served as far as it goes: protocol 2, few steps and actions.
    for version, actions, options in (2, 0x3f, 1), (2, 0x3f, 0x7f), (6, 0x10, 1), (6, 0x1ff, 0x7f):
        with Milter(postern.milter, version=version, actions=actions, steps=options) as milter:
            same(milter.steps & ~options, 0)
            same(milter.actions & ~actions, 0)
            milter.greet()
            milter.mail("<sender@example.net>")
            same(whole_reply(milter.rcpt("<other@example.test>")).code, 550)
            same(milter.rcpt("<taken@example.test>").word, "continue")
            milter.data()
            milter.header("Subject", "fine")
            milter.eoh()
            milter.body(b"x\r\n")
            answer = milter.eom()
            same(answer.word, "continue")
            if actions & 1 == 0:
                same(answer.modifications, [])


@case("memory does not grow over thousands of sessions")
def _():
    def sessions(count):
        for number in range(count):
            with Milter(postern.milter) as milter:
                milter.greet("203.0.113.%d" % (number % 250))
                milter.mail("<x%d@example.net>" % number)
                milter.rcpt("<other@example.test>")
                milter.rcpt("<taken@example.test>")
                milter.header("Subject", "worm %d" % number)
                milter.eoh()
                milter.eom()
                if number % 3 == 0:
                    milter.quit()
                elif number % 3 == 1:
                    milter.mail("<again@example.net>")

    sessions(500)
    before = postern.memory()
    sessions(2000)
    wait_until("the sessions to be over", lambda: len(os.listdir("/proc/%d/fd" % postern.process.pid)) < 60)
    grown = postern.memory() - before
    # The address sanitizer keeps what was freed for a time.
    expect(grown < (3 << 20 if SLOW == 1 else 400 << 20), "%d kB in 2000 sessions" % (grown >> 10))
    lives()
    new_records()


@case("what hostile clients can make Postfix say: replies stay whole, records true, mail goes on")
def _():
    for text in STRINGS:
        if b"\r" in text or b"\n" in text or len(text) > 1800:
            continue
        path = text if text.startswith(b"<") else b"<" + text + b">"
        with mx.connect() as client:
            client.ehlo()
            client.send(b"EHLO " + text)
            client.read()
            client.send(b"MAIL FROM:" + path)
            if client.read().code != 250:
                client.mail("sender@example.net")
            client.send(b"RCPT TO:" + path)
            reply = client.read()
            expect(reply.code == 250 or 450 <= reply.code < 560, "%r: %r" % (text, reply))
            # Postfix says so where it does not understand the filter's reply.
            expect("4.3.5" not in reply.text, "%r: %r" % (text, reply))
            expect(client.rcpt("taken@example.test").code in (250, 503), "the transaction goes on")
            client.cmd("RSET")
            same(client.deliver("sender@example.net", ["taken@example.test"])["data"].code, 250)
    for message in sink.wait(len([1 for text in STRINGS if b"\r" not in text and b"\n" not in text and len(text) <= 1800])):
        same(len(message.header("X-Seen")), 1)
    expect(not [line for line in mx.maillog() if "malformed reply" in line], "no malformed reply")
    new_records()
    lives()


main()
