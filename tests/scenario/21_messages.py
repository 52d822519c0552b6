#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""Rules about the message, header fields, quarantine, and everything that makes a rule less than final."""

import datetime
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

TODAY = datetime.date.today()
NOBODY = "127.0.0.1@%d" % free_port()
sink = Sink()
postern = Postern("""
table classes { bulk@example.net; }
table levels  file:{dir}/levels;
rule mark-all    { when true; header "X-Postern: %%{id} at %%{hostname}"; }
rule mark-size   { when message.size > 2000; header "X-Size: large"; }
rule mark-again  { when lookup(levels, sender) == "gold"; header "X-Postern: gold"; }
rule mark-helo   { when sender in classes; header "X-Class: bulk from %%{helo}"; }
rule silver      { when lookup(levels, sender) == "tin"; reply 550 5.7.1 "tin is refused"; }
rule subject     { when header('Subject') matches '^\\[?cheap'; reply 554 5.7.1 "no cheap things"; }
rule folded      { when header('X-Folded') == "one two three"; reply 554 5.7.1 "it was unfolded"; }
rule large       { when message.size > 20000; reply 552 5.3.4 "%%{message.size} octets are too many"; }
rule loop        { when received.count >= 20; reply 554 5.4.6 "%%{received.count} hops are too many"; }
rule hold        { when header('Subject') matches '(?i)hold'; quarantine "held for %%{sender}"; }
rule expired     { when header('Subject') matches 'dated'; reply 550 5.7.1 "expired"; until %s; }
rule dated       { when header('Subject') matches 'dated'; reply 550 5.7.1 "still in force"; until %s; }
rule watched     { when header('Subject') matches 'watch'; observe; reply 550 5.7.1 "never said"; }
rule switched    { when header('Subject') matches 'switch'; reply 550 5.7.1 "never said"; }
rule off         { when header('Subject') matches 'switch'; reply 550 5.7.1 "never said"; }
observe switched;
disable off;
""" % (TODAY - datetime.timedelta(days=1), TODAY), files={"levels": "gold@example.net gold\ntin@example.net tin\n"})
watcher = Postern("""
rule mark   { when true; header "X-Postern: seen"; }
rule never  { when rcpt.local == never; reply 550 5.1.1 "unknown"; }
rule hold   { when header('Subject') matches 'hold'; quarantine "look"; }
rule refuse { when header('Subject') matches 'worm'; reply 554 5.7.1 "no"; }
""", mode="observe")
# Nobody answers where this one asks.
faulty = Postern("""
budget { rcpt 1s; message 1s; }
rule spared { when client.ptr == "good.example" and rcpt.local == spared; accept; }
rule plain  { when rcpt.local == spared; reply 550 5.7.1 "below an exemption in fault"; }
rule over   { when client.ptr == "bad.example" and rcpt.local != defer; reply 550 5.7.1 "never"; }
rule defer  { when client.ptr == "bad.example"; on_fault defer; reply 550 5.7.1 "never"; }
rule word   { when sender.domain_status == temperror; reply 451 4.1.8 "named by its word"; }
""", resolver=NOBODY)
mx = Postfix(postern.milter, sink, ports=[{"smtpd_milters": watcher.milter}, {"smtpd_milters": faulty.milter}],
             main={"message_size_limit": "1000000", "hopcount_limit": "100"})
BOTH = mx, Sendmail(postern.milter, sink, ports=[watcher.milter, faulty.milter])
WATCHED, FAULTY = range(2)


def client_of(mx, port=None):
    return mx.client("203.0.113.7", port=None if port is None else mx.extra[port])


def deliver(mx, message, sender="x@example.net", recipients=("alice@example.test",), port=None):
    with client_of(mx, port) as client:
        return client.deliver(sender, list(recipients), message)["data"]


def taken(mx, message, **more):
    """The message as it was delivered."""
    same(deliver(mx, message, **more).code, 250)
    return sink.wait()[0]


@case("a header rule adds its field above all others, and removes those that were there", on=BOTH)
def _(mx):
    forged = "X-Postern: forged one\nSubject: x\nx-postern: forged\n two\nX-Other: stays\nX-POSTERN:forged three\n\nhello\n"
    message = taken(mx, forged)
    values = message.header("X-Postern")
    same(len(values), 1)
    matches(values[0], r"^[A-Z0-9]{6} at mx.example.test$")
    same(message.header("X-Other"), ["stays"])
    same(message.header("Subject"), ["x"])
    expect(message.text.startswith("X-Postern: ") or message.text.index("X-Postern: ") < message.text.index("Subject:"), "on top")
    expect("forged" not in message.text, "no forged field is left")
    record = postern.wait_audit(verdict="accept")[-1]
    same(record["marked"], "mark-all")
    same(record["id"], values[0][:6])


@case("several header rules: all fields in the order of the rules, forged ones go even where no rule is true", on=BOTH)
def _(mx):
    message = taken(mx, "X-Size: forged\nX-Class: forged\nSubject: x\n\nhello\n", sender="gold@example.net")
    same([value[-4:] for value in message.header("X-Postern")], ["test", "gold"])
    message = taken(mx, "Subject: x\n\n" + 300 * "0123456789\n", sender="bulk@example.net")
    same((message.header("X-Size"), message.header("X-Class")), (["large"], ["bulk from client.example.net"]))
    names = [line.split(":")[0] for line in message.text.split("\r\n") if line.startswith("X-")]
    same(names, ["X-Postern", "X-Size", "X-Class"])


@case("forged fields are removed from the last to the first, and the new ones inserted in turn")
def _():
    with Milter(postern.milter) as milter:
        milter.greet()
        got = milter.message(sender="<gold@example.net>", headers=[("X-Postern", "a"), ("Subject", "x"), ("x-postern", "b"), ("X-POSTERN", "c")])
        changes = got["eom"].modifications
    same([(one[0], one[1], one[3]) for one in changes[:3]], [("change_header", 3, ""), ("change_header", 2, ""), ("change_header", 1, "")])
    same([(one[0], one[1], one[2]) for one in changes[3:]], [("insert_header", 0, "X-Postern")] * 2)
    same(changes[3][3].strip(), "gold")


@case("header('Subject'): matched, unfolded, and only the first counts", on=BOTH)
def _(mx):
    for subject, code in (("cheap", 554), ("[cheap] thing", 554), ("not cheap", 250)):
        same(deliver(mx, "Subject: %s\n\nhello\n" % subject).code, code, subject)
    same(deliver(mx, "Subject: fine\nSubject: cheap\n\nhello\n").code, 250)
    same(deliver(mx, "subject:cheap\n\nhello\n").code, 554)
    same(deliver(mx, "X-Folded: one\n two\n three\n\nhello\n").code, 554)
    same(deliver(mx, "X-Folded: one two\n\nhello\n").code, 250)
    sink.wait(3)


@case("message.size and received.count are those of the message", on=BOTH)
def _(mx):
    reply = deliver(mx, "Subject: x\n\n" + 2100 * "01234567\n")
    same(reply.code, 552)
    size = int(matches(reply.text, r"5\.3\.4 (\d+) octets").group(1))
    # Every octet of the body with CRLF, the field that was sent, and those that Postfix adds and shows.
    expect(21000 + len("Subject: x\r\n") <= size <= 21500, "%d octets" % size)
    hops = "".join("Received: by hop%d.example.net; Sun, 22 Nov 2026 04:00:00 +0000\n" % number for number in range(20))
    reply = deliver(mx, hops + "Subject: x\n\nhello\n")
    same((reply.code, reply.enhanced), (554, "5.4.6"))
    has(reply.text, "20 hops are too many")
    same(deliver(mx, hops.split("\n", 1)[1] + "Subject: x\n\nhello\n").code, 250)
    sink.wait()


@case("lookup() gives the value of the entry", on=BOTH)
def _(mx):
    with client_of(mx) as client:
        client.mail("tin@example.net")
        reply = client.rcpt("alice@example.test")
    same(reply.code, 550)
    has(reply.text, "tin is refused")


@case("quarantine: the message is taken, and waits in the hold queue with its reason", on=BOTH)
def _(mx):
    reply = deliver(mx, "Subject: please Hold\n\nhello\n", sender="held@example.net")
    same(reply.code, 250)
    held = wait_until("the message to be held", lambda: [one for one in mx.queue() if one["queue_name"] == "hold"])
    same(held[0]["sender"], "held@example.net")
    same(sink.count(), 0)
    record = postern.wait_audit(rule="hold", qid=held[0]["queue_id"])[0]
    same((record["verdict"], record["stage"], record["reply"]), ("quarantine", "message", "held for held@example.net"))


@case("until: a rule of yesterday is over, one of today is not, and the past is a warning", on=BOTH)
def _(mx):
    reply = deliver(mx, "Subject: dated\n\nhello\n")
    same(reply.code, 550)
    has(reply.text, "still in force")
    postern.wait_message("warning: .*expired")


@case("observing rules are recorded, whether they say so or the file does, and disabled ones are not", on=BOTH)
def _(mx):
    taken(mx, "Subject: watch\n\nhello\n")
    same(postern.wait_audit(observed="watched")[-1]["verdict"], "accept")
    taken(mx, "Subject: switch\n\nhello\n")
    same(postern.wait_audit(observed="switched")[-1]["verdict"], "accept")


@case("mode observe refuses, holds and changes nothing, and records what it would have", on=BOTH)
def _(mx):
    message = taken(mx, "X-Postern: forged\nSubject: worm\n\nhello\n", port=WATCHED)
    same(message.header("X-Postern"), ["forged"])
    same(watcher.wait_audit(rule="refuse")[-1]["verdict"], "would-reject")
    taken(mx, "Subject: hold\n\nhello\n", port=WATCHED)
    same(watcher.wait_audit(rule="hold")[-1]["verdict"], "would-quarantine")
    with client_of(mx, WATCHED) as client:
        got = client.deliver("x@example.net", ["never@example.test", "alice@example.test"])
        same([reply.code for reply in got["rcpt"]], [250, 250])
        same(got["data"].code, 250)
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "never@example.test"])
    record = watcher.wait_audit(rule="never")[-1]
    same((record["verdict"], record["stage"]), ("would-reject", "rcpt"))
    same(watcher.wait_audit(verdict="accept")[-1]["rcpt"], "alice@example.test")
    wait_until("the queue to hold nothing but what was held",
               lambda: not [one for one in mx.queue() if one["queue_name"] != "hold"])


@case("share: the same network and sender domain always meet the same answer, others the other one")
def _():
    shared = Postern('rule part { when rcpt.local == part; share 40%; reply 550 5.7.1 "in the share"; }')
    outcomes = {}
    for attempt in range(2):
        for number in range(100):
            for host in 7, 200:
                with Milter(shared.milter) as milter:
                    milter.greet("203.0.%d.%d" % (number, host))
                    milter.mail("<user%d@d%d.example>" % (attempt * 9 + host, number % 7))
                    code = milter.rcpt("<part@example.test>").code
                    outcomes.setdefault(number, set()).add(code)
                    milter.quit()
    expect(all(len(codes) == 1 for codes in outcomes.values()), "one network and domain, one answer")
    refused = len([codes for codes in outcomes.values() if codes == {550}])
    # 40 of 100, give or take four standard deviations; the hash is the same on every run.
    expect(20 <= refused <= 60, "%d of 100 are refused" % refused)
    shared.stop()


@case("on_fault, exemptions in fault, and facts that are named by their fault word", on=BOTH)
def _(mx):
    before = len(faulty.audit())
    with client_of(mx, FAULTY) as client:
        client.mail("x@example.net")
        reply = client.rcpt("spared@example.test")
        same((reply.code, reply.enhanced), (451, "4.4.3"))
        reply = client.rcpt("defer@example.test")
        same((reply.code, reply.enhanced), (451, "4.4.3"))
    records = faulty.wait_audit(before + 2, rule="postern:fault")[before:]
    same([record["fault"] for record in records], ["spared", "defer"])
    has(records[0]["faults"].split(","), "client.ptr")
    same([record["verdict"] for record in records], ["defer"] * 2)


@case("a policy asks the MTA for what its rules need, and for nothing else")
def _():
    client_only = 'rule client { when client.ip in { 192.0.2.1 }; reply 550 5.7.1 "no"; }\n'
    rows = [(client_only, False, False, 0), ("rule a { when message.size > 9; reply 552 5.3.4 \"x\"; }", None, True, 0),
            ("rule a { when header('Subject') == \"x\"; reply 550 5.7.1 \"x\"; }", True, False, 0),
            ('rule a { when client.ip in { 192.0.2.1 }; header "X-Postern: a"; }', True, False, 0x11),
            ('rule a { when client.ip in { 192.0.2.1 }; quarantine "a"; }', False, False, 0x20)]
    for rules, headers, body, actions in rows:
        other = Postern(rules)
        with Milter(other.milter) as milter:
            if headers is not None:
                same(milter.header("Subject", "x").word == "unasked", not headers, rules)
            same(milter.body(b"x").word == "unasked", not body, rules)
            # Adding, changing and removing fields, quarantine; macros may always be asked for.
            same(milter.actions & 0xff, actions, rules)
        other.stop()


main()
