#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
# time limit: 120 s
"""The front that speaks the protocol itself: to the byte what libmilter says, and what only it can do."""

import os
import re
import resource
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from milterclient import ALL_ACTIONS, ALL_STEPS, NO_REPLY, NO_STEP, SKIP, Closed as Gone
from signing import rsa_key, sign, zone_line

enter_sandbox()

key = rsa_key()
nsd = Nsd({"113.0.203.in-addr.arpa": "7 PTR client.example.net.\n",
           "example.net": "client A 203.0.113.7\n" + zone_line("sel._domainkey", key.text)})
dns = Unbound({".": nsd.at})
RULES = """
rule closed { when client.ip == 203.0.113.99; reply 521 5.3.2 "%{hostname} takes nothing from you"; }
rule stage  { when sender == "mail@example.net"; reply 550 5.7.1 "spoken at %{sender}: 100%% sure"; }
rule many   { when rcpt.local == many; reply 550 5.1.1 "one line for %{rcpt} and another with %% in it"; }
rule long   { when rcpt.local == long; reply 554 5.7.1 "LONG"; }
rule later  { when rcpt.local == later; reply 451 4.3.0 "try again"; }
rule no     { when rcpt.local == no; reply 550 5.1.1 "<%{rcpt}>: no"; }
rule who    { when rcpt.local == who; local; reply 550 5.7.1 "helo %{helo}, daemon %{mta.daemon}, user %{auth.user}, ptr %{client.ptr}"; }
rule mark   { when true; header "X-Mark: %{sender} at %{helo}"; }
rule second { when rcpt.count > 1; header "X-Second: yes"; }
rule worm   { when header('Subject') matches 'worm'; reply 554 5.7.1 "no worms"; }
rule hold   { when header('Subject') matches 'hold'; quarantine "held for %{sender}"; }
rule large  { when message.size > 100000; reply 552 5.3.4 "too large"; }
results { add iprev; authserv_id mx.example.test; }
""".replace("LONG", " ".join("word%d" % number for number in range(150)))
ENVELOPE = """
rule no     { when rcpt.local == no; reply 550 5.1.1 "<%{rcpt}>: no"; }
"""
TAKEN = re.compile(rb"[2-9A-HJKMNP-Z]{6}")
ID = re.compile(rb"\(ref [2-9A-HJKMNP-Z]{6}\)")


def strings(*texts):
    return b"".join((text.encode() if isinstance(text, str) else text) + b"\0" for text in texts)


def client(addr="203.0.113.7", host=None, family="4"):
    if family == "U":
        return strings(host or "localhost") + b"U"
    return strings(host or "[%s]" % addr) + family.encode() + struct.pack(">H", 40000) + strings(addr)


C, H = ("C", client()), ("H", strings("client.example.net"))
M, R, T, N, E = ("M", strings("<x@example.net>")), ("R", strings("<alice@example.test>")), ("T", b""), ("N", b""), ("E", b"")
A, K, Q = ("A", b""), ("K", b""), ("Q", b"")
SUBJECT, WORM, HOLD = (("L", strings("Subject", " " + word)) for word in ("hello", "a worm", "hold this"))
B = ("B", b"hello\r\n" * 100)


def rcpt(*names):
    return [("R", strings("<%s@example.test>" % name)) for name in names]


# What an MTA says, as (command letter, data).
CONVERSATIONS = {
    "a message": [C, H, M, R, T, SUBJECT, N, B, E, Q],
    "three messages": [C, H] + 3 * [M, R, T, SUBJECT, N, B, B, E] + [Q],
    "a reply at MAIL": [C, H, ("M", strings("<mail@example.net>", "SIZE=1")), M, R, T, SUBJECT, E, Q],
    "a 521": [("C", client("203.0.113.99")), H, M, M, Q],
    "one recipient refused": [C, H, M] + rcpt("alice", "no", "bob", "later") + [T, SUBJECT, N, B, E, Q],
    "all recipients refused": [C, H, M] + rcpt("no", "many", "long") + [A, M, R, T, SUBJECT, N, E, Q],
    "several lines": [C, H, M] + rcpt("many", "long", "many") + [A, Q],
    "a reply at the end": [C, H, M, R, T, WORM, N, B, E, M, R, T, SUBJECT, N, B, E, Q],
    "quarantine": [C, H, M, R, T, HOLD, N, B, E, Q],
    "fields are replaced": [C, H, M] + rcpt("alice", "bob") + [
        T, ("L", strings("X-Mark", " forged")), SUBJECT, ("L", strings("x-mark", "forged\n\tagain")), ("L", strings("Authentication-Results",
        " mx.example.test; spf=pass")), ("L", strings("Authentication-Results", " other.example; spf=pass")), ("L", strings("Empty", "")), N, B, E, Q],
    "a large body": [C, H, M, R, T, SUBJECT, N] + [("B", b"x" * 65535)] * 3 + [E, Q],
    "aborts": [C, H, M, A, M, R, A, M, R, T, A, M, R, T, SUBJECT, A, M, R, T, SUBJECT, N, B, A, A, M, R, T, SUBJECT, N, E, Q],
    "HELO again, and none": [C, H, H, M, R, T, SUBJECT, N, E, H, M, R, T, SUBJECT, N, E, Q],
    "without HELO": [C, M] + rcpt("who") + [T, SUBJECT, N, E, Q],
    "MAIL in a transaction": [C, H, M, R, M, R, T, WORM, N, E, Q],
    "HELO in a transaction": [C, H, M, R, T, H, M, R, T, WORM, N, E, Q],
    "unknown commands": [C, ("U", strings("XYZZY")), H, ("U", strings("")), M, R, T, SUBJECT, N, E, Q],
    "without DATA and the end of headers": [C, H, M, R, SUBJECT, B, E, M, R, E, Q],
    "a local client": [("C", client("", "localhost", "U")), H, M] + rcpt("no", "who") + [T, WORM, N, E, Q],
    "IPv6": [("C", client("IPv6:2001:db8::7", family="6")), H, M] + rcpt("who") + [A, Q],
    "macros": [
        ("D", b"C" + strings("j", "mx.example.org", "{daemon_name}", "smtpd", "{client_ptr}", "ptr.example.net")), C,
        ("D", b"H" + strings("{tls_version}", "TLSv1.3")), H, ("D", b"M" + strings("{i}", "4ABC", "{auth_authen}", "joe", "{auth_type}", "PLAIN")),
        M] + rcpt("who") + [("D", b"R" + strings("i", "4ABD", "{rcpt_mailer}", "error", "{rcpt_host}", "5.1.1", "{rcpt_addr}", "550 no"))] + rcpt(
        "who") + [("D", b"R" + strings("{rcpt_mailer}", "smtp"))] + rcpt("who", "alice") + [
        ("D", b"T"), T, ("D", b"L" + strings("x", "y")), SUBJECT, ("D", b"N" + strings("i", "4ABE")), N, ("D", b"E" + strings("i", "4ABF")), E, M] +
        rcpt("who") + [A, H] + [M] + rcpt("who") + [Q],
    "another session on the connection": [C, H, M] + rcpt("no") + [R, T, SUBJECT, N, B, E, K, C, H, M, R, T, ("L", strings("X-Mark", " forged")), N, E, Q],
}
OFFERS = {
    "all": (6, ALL_ACTIONS, ALL_STEPS),
    "no reply is always waited for": (6, ALL_ACTIONS, ALL_STEPS & ~sum(NO_REPLY.values())),
    "nothing is left out": (6, ALL_ACTIONS, 0x100c00),
    "no blank": (6, ALL_ACTIONS, ALL_STEPS & ~0x100000),
    "no macros, no changes": (6, 0x0c, ALL_STEPS),
    "larger chunks": (6, ALL_ACTIONS, ALL_STEPS | 0x30000000),
    "of the year 2003": (2, 0x3f, 0x7f),
    "of the beginning": (2, 0, 0),
    "of the future": (9, 0xffff, ALL_STEPS),
}


def play(where, offer, steps):
    """Says it all as an MTA does, to the byte the same each time; returns all that comes back, without ids."""
    with Milter(where, 3, negotiate=False) as milter:
        answers = []

        def hear():
            while True:
                try:
                    letter, data = milter.receive()
                except (Gone, TimeoutError) as error:
                    raise Trouble("%s in place of an answer; so far %r" % (error, answers)) from None
                answers.append(letter.encode() + data)
                if letter not in "imq":
                    return letter

        milter.send_packet("O", struct.pack(">3I", *offer))
        hear()
        version, actions, chosen = struct.unpack(">3I", answers[0][1:13])
        # Only the wire front can tell where skipping is of use; no rule here lets it skip.
        answers[0] = b"O" + struct.pack(">3I", version, actions, chosen & ~SKIP) + answers[0][13:]
        for letter, data in steps:
            if chosen & NO_STEP.get(letter, 0):
                continue
            milter.send_packet(letter, data)
            if letter not in "DAKQ" and not chosen & NO_REPLY.get(letter, 0):
                hear()
        same(milter.is_closed_by_filter(), True, "it is closed after QUIT")
        return [ID.sub(b"(ref ID)", answer) for answer in answers]


def compare(name, wire, library):
    """Plays conversations with different offers to both fronts."""
    count = 0
    for offer in OFFERS:
        wanted = play(library.milter, OFFERS[offer], CONVERSATIONS[name])
        same(play(wire.milter, OFFERS[offer], CONVERSATIONS[name]), wanted, "offer " + offer)
        count += sum(answer[:1] in b"yimq" for answer in wanted)
    return count


def pair(rules, **options):
    return [Postern(rules, dns, front=front, **options) for front in ("wire", "libmilter")]


both = pair(RULES)
at_mail = pair("speak_at mail;\n" + RULES)
bare = pair(ENVELOPE)
watching = pair(RULES, mode="observe")


for conversation in CONVERSATIONS:
    @case("both fronts say the same, to the byte: " + conversation)
    def _(name=conversation):
        compare(name, *at_mail)
        spoken = compare(name, *both)
        expect(spoken > 0, "something was said")
        same(compare(name, *watching), 0)
        compare(name, *bare)


@case("the records of both are the same, too")
def _():
    # Which facts beside these were known when it was written may depend on how fast the DNS was.
    keys = "verdict", "stage", "rule", "at", "reply", "client", "helo", "sender", "rcpt", "qid", "listener", "observed", "marked"

    def heads(postern):
        return [[re.sub(r"\(ref \w{6}\)", "", entry.get(key, "")) for key in keys] for entry in postern.audit()]
    for wire, library in (both, at_mail, bare, watching):
        wait_until("all records", lambda: len(wire.audit()) == len(library.audit()))
        expect(len(wire.audit()) > 20, "there are some")
        same(heads(wire), heads(library))


@case("several sockets, each with its mode and its networks")
def _():
    port = free_port()
    other = Postern(conf="front wire;\nhostname mx.example.test;\nstate_dir {dir}/state;\naudit { to file:{dir}/audit; }\n"
                    "listen one { socket {socket}; }\nlisten two { socket unix:{dir}/two; perm 0600; mode observe; }\n"
                    "listen three { socket inet:0.0.0.0:%d; allow 127.0.0.2 10.0.0.0/8; }\n"
                    "rule word { when rcpt.local == word; reply 550 5.7.1 \"from %%{listener}\"; }\n" % port)

    def word(where, source=None):
        if source:
            sock = socket.create_connection(where, 20 * SLOW, source_address=(source, 0))
            milter = Milter.__new__(Milter)
            milter.__dict__.update(socket=sock, version=6, actions=ALL_ACTIONS, steps=0, symbols={}, skipping=False)
            milter.negotiate()
        else:
            milter = Milter(where)
        with milter:
            milter.greet()
            milter.mail("<x@example.net>")
            return milter.rcpt("<word@example.test>")
    has(word(other.milter).text, "from one")
    same(word(os.path.join(other.dir, "two")).word, "continue")
    same(os.stat(os.path.join(other.dir, "two")).st_mode & 0o777, 0o600)
    has(word(("127.0.0.1", port), "127.0.0.2").text, "from three")
    for _ in range(3):
        raises(Gone, word, ("127.0.0.1", port), "127.0.0.3")
    other.wait_message(r"warning: listen three: 127\.0\.0\.3 may not connect")
    same(len([line for line in other.messages() if "may not connect" in line]), 1)
    has(word(("127.0.0.1", port), "127.0.0.2").text, "from three")
    other.stop()
    expect(not os.path.exists(os.path.join(other.dir, "two")), "its socket is removed, too")


@case("what a front cannot serve is refused by check and serve: file, line, caret and remedy")
def _():
    place = folder("refused")
    rows = [
        ("libmilter", "listen a { socket unix:/a; }\nlisten b { socket unix:/b; }\n", 3, "serves one socket a process; .* write 'front wire;'"),
        ("libmilter", "listen a { socket inet:127.0.0.1:1; allow 127.0.0.1; }\n", 2, "allow cannot be kept .* write 'front wire;'"),
        ("libmilter", "listen a { socket inet:192.0.2.1:1; }\n", 2, "could claim any client address.* write 'front wire;'"),
        ("wire", "listen a { socket inet:192.0.2.1:1; }\n", 2, "refused without 'allow { NETWORKS }'.*could claim any client address"),
        ("wire", "listen a { socket inet6:[::]:1; }\n", 2, "refused without 'allow { NETWORKS }'"),
        ("wire", "listen a { socket unix:/a;\nallow 127.0.0.1; }\n", 3, "allow is for inet sockets.*owner, group and perm"),
        ("wire", "listen a { socket inet:192.0.2.1:1;\nallow { 192.0.2.0/24;\n192.0.2.0/33; } }\n", 4, "'192.0.2.0/33' is no network"),
        ("wire", "listen a { socket unix:/a; }\nlisten b { socket unix:/a; }\n", 3, "listen a has the same socket"),
        ("wire", "listen a { socket unix:/a; }\nlisten b { socket local:/a; }\n", 3, "listen a has the same socket"),
        ("wire", "listen a { socket inet:localhost:1; }\nlisten b { socket inet:1@127.0.0.1; }\n", 3, "listen a has the same socket"),
        ("wire", "listen a { socket inet6:[::1]:1; }\nlisten b { socket inet6:[0:0::1]:1; }\n", 3, "listen a has the same socket"),
        ("wire", "listen a { socket tcp:1; }\n", 2, "unix:PATH"),
    ]
    for front, text, line, words in rows:
        path = write(os.path.join(place, "postern.conf"), "front %s;\n%sstate_dir %s;\n" % (front, text, place))
        for verb in "check", "serve":
            status, _, err = command(verb, "-c", path)
            same(status, 1, "%s: %s" % (verb, text))
            matches(err, r"%s:%d:\d+: error: [^\n]*%s[^\n]*\n    [^\n]+\n +\^" % (re.escape(path), line, words), verb)
    path = write(os.path.join(place, "postern.conf"), "front wire;\nlisten a { socket unix:/a; }\nlisten b { socket inet:0.0.0.0:1; allow "
                 "192.0.2.1/24; }\nstate_dir %s;\n" % place)
    status, out, err = command("check", "-c", path)
    same(status, 0, err)
    has(err, "bits set behind its prefix")
    has(out, "listen b: inet:0.0.0.0:1")


def keep_few(postern, spare):
    """Leaves the daemon so many descriptors beside those that it has now."""
    used = len(os.listdir("/proc/%d/fd" % postern.process.pid))
    resource.prlimit(postern.process.pid, resource.RLIMIT_NOFILE, (used + spare, used + spare))


def hello(milter):
    milter.send_packet("O", struct.pack(">3I", 6, ALL_ACTIONS, ALL_STEPS))


@case("without descriptors to spare it waits, says so once, burns nothing, and goes on")
def _():
    other = Postern(RULES, front="wire")
    keep_few(other, 30)
    milters = [Milter(other.milter, negotiate=False) for _ in range(40)]
    other.wait_message(r"listen mx: \d+ connections are open, and what is left of \d+ descriptors is kept .*LimitNOFILE=")

    def spent():
        fields = read("/proc/%d/stat" % other.process.pid).rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    before = spent()
    for milter in milters:
        hello(milter)
    for milter in milters[:10]:
        same(milter.receive()[0], "O", "those that were taken are served")
    # Long enough for a loop that does not rest to be seen.
    time.sleep(1.5)
    expect(spent() - before < 0.3 * SLOW, "it spent %.2f s" % (spent() - before))
    said = [line for line in other.messages() if "new ones wait" in line]
    same(len(said), 1, str(said))
    for milter in milters[:20]:
        milter.close()
    for milter in milters[20:]:
        same(milter.receive()[0], "O", "those that waited are served, too")
        milter.close()
    other.stop()


@case("where the MTA waits after each chunk of a body anyway, the rest of one that nothing needs is skipped")
def _():
    signed = 'rule signed { when dkim.result == pass; reply 550 5.7.1 "signed, of %{dkim.domains}"; }\n'
    sized = 'rule large { when message.size > 190000; reply 552 5.3.4 "of %{message.size} octets"; }\n'
    waits = ALL_STEPS & ~NO_REPLY["B"]
    plain = "From: joe@example.net\r\nSubject: hello\r\n\r\n" + 3 * ("x" * 63998 + "\r\n")
    mail = {"plain": plain.encode(), "signed": sign(plain, "example.net", "sel", key)}
    asked, needless = 3 * ["continue"], ["skip", "unasked", "unasked"]
    rows = [
        ("wire", signed, waits, SKIP, {"plain": (needless, None), "signed": (asked, 550)}),
        ("wire", signed, ALL_STEPS, 0, {"plain": (3 * ["none"], None), "signed": (3 * ["none"], 550)}),
        ("wire", signed, waits & ~SKIP, 0, {"plain": (asked, None), "signed": (asked, 550)}),
        ("wire", signed + sized, waits, SKIP, {"plain": (asked, 552), "signed": (asked, 550)}),
        ("libmilter", signed, waits, 0, {"plain": (asked, None), "signed": (asked, 550)}),
    ]
    for front, rules, offer, chosen, wanted in rows:
        other = Postern(rules, dns, front=front)
        with Milter(other.milter, steps=offer) as milter:
            same(milter.steps & SKIP, chosen, "%s, offered %#x" % (front, offer))
            milter.greet()
            for kind in "plain", "signed", "plain":
                head, _, body = mail[kind].partition(b"\r\n\r\n")
                milter.mail("<x@example.net>")
                milter.rcpt("<alice@example.test>")
                milter.data()
                for field in re.split(rb"\r\n(?![ \t])", head):
                    milter.header(*field.decode().split(": ", 1))
                milter.eoh()
                words = [milter.body(body[at:at + 64000]).word for at in range(0, len(body), 64000)]
                end = milter.eom()
                same((words, end.code), wanted[kind], "%s, offered %#x, %s: %s" % (front, offer, kind, end))
        other.stop()


@case("with no descriptor at all it rests, too")
def _():
    other = Postern(RULES, front="wire")
    # The half of one that is free is none, so nothing is kept for others.
    keep_few(other, 1)
    milters = [Milter(other.milter, negotiate=False) for _ in range(3)]
    other.wait_message("new ones wait: .*LimitNOFILE=")
    for milter in milters:
        milter.close()
    other.stop()


@case("connections leave descriptors for the DNS: those that were taken get their verdicts")
def _():
    other = Postern('rule known { when client.rdns == pass; reply 550 5.7.1 "known"; }', dns, front="wire")
    keep_few(other, 30)
    taken = Milter(other.milter)
    crowd = [Milter(other.milter, negotiate=False) for _ in range(40)]
    other.wait_message("new ones wait")
    for milter in crowd:
        hello(milter)
    taken.greet("203.0.113.7")
    taken.mail("<x@example.net>")
    has(taken.rcpt("<alice@example.test>").text, "known")
    for milter in crowd + [taken]:
        milter.close()
    other.stop()


@case("a daemon that is started with few descriptors takes as many as it may")
def _():
    for front in "wire", "libmilter":
        other = Postern(RULES, front=front, start=False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(100, hard), hard))
        try:
            other.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        same(resource.prlimit(other.process.pid, resource.RLIMIT_NOFILE), (hard, hard))
        other.stop()


@case("a client of many transactions, of whom nothing can be found out, costs no memory for each")
def _():
    broken = FakeDns()
    broken.fault("*", "*", "servfail")
    other = Postern('rule ptr { when client.rdns == fail; reply 550 5.7.1 "no"; }\n', broken, front="wire")
    with Milter(other.milter) as milter:
        milter.greet()

        def transactions(count):
            for _ in range(count):
                milter.mail("<x@example.net>")
                milter.rcpt("<alice@example.test>")
                milter.abort()
        transactions(2000)
        before = other.memory()
        transactions(8000)
        grown = other.memory() - before
    expect(grown < 1 << 20 or SLOW > 1, "memory has grown by %d kB in 8,000 transactions" % (grown >> 10))
    other.stop()


@case("a changed front is said to take a restart as long as another one runs")
def _():
    other = Postern(RULES, front="wire")

    def reload(front):
        """How often it has been said once the configuration is taken."""
        other.front = "front %s; " % front
        other.write_conf()
        other.reload()
        return len([line for line in other.messages() if "the front has changed: that takes a restart" in line])
    same([reload(front) for front in ("libmilter", "libmilter", "wire", "wire")], [1, 2, 2, 2])
    other.stop()


main()
