#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 180 s
"""Recipients of one message whose policies differ, with hand-made clients and with a real sending Postfix."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

RULES = """
table strict { bob@example.test; dan@example.test; s1@example.test; s2@example.test; s3@example.test;
               s4@example.test; s5@example.test; s6@example.test; s7@example.test; s8@example.test; }
table small  { eve@example.test; }
table exempt { zoe@example.test; }
rule exempt  { when rcpt in exempt; accept; }
rule subject { when rcpt in strict and header('Subject') matches 'viagra';
               reply 554 5.7.1 "<%{rcpt}>: Message refused by content policy"; }
rule size    { when rcpt in small and message.size > 3000;
               reply 552 5.3.4 "<%{rcpt}>: this mailbox takes small messages only"; }
rule worst   { when header('Subject') matches 'worm'; reply 554 5.7.1 "nobody here wants this"; }
"""
BAD = "Subject: cheap viagra\n\nx\n"
GOOD = "Subject: hello\n\nx\n"
LARGE = "Subject: hello\n\n" + "0123456789\n" * 400
REFUSED = ["s%d@example.test" % i for i in range(1, 9)]

sink, bounces = Sink(), Sink()
postern = Postern(RULES)
strictest = Postern("mixed_recipients strictest;\n" + RULES)
lenient = Postern("mixed_recipients lenient;\n" + RULES)
watcher = Postern(RULES, mode="observe")
holder = Postern("table strict { bob@example.test; }\n"
                 "rule hold { when rcpt in strict and header('Subject') matches 'viagra'; quarantine \"look at it\"; }")
# Postfix's own limits, which the harness lifts elsewhere: slow from 10 errors on, an end at 20; at 1 under stress.
mx = Postfix(postern.milter, sink,
             main={"smtpd_soft_error_limit": "10", "smtpd_hard_error_limit": "20", "smtpd_error_sleep_time": "1s",
                   "non_smtpd_milters": postern.milter},
             ports=[{"smtpd_hard_error_limit": "1"}, {"smtpd_milters": strictest.milter},
                    {"smtpd_milters": lenient.milter}, {"smtpd_milters": watcher.milter},
                    {"smtpd_milters": holder.milter}])
BOTH = mx, Sendmail(postern.milter, sink, users=["joe"],
                    ports=[postern.milter, strictest.milter, lenient.milter, watcher.milter, holder.milter])
STRESSED, STRICTEST, LENIENT, WATCHED, HELD = range(5)


def address(mx, host=7):
    """A client of the server's own: who is to be split is remembered by network."""
    return "%s.%d" % ("203.0.113" if mx.kind == "Postfix" else "198.51.100", host)


def deliver(mx, sender, recipients, message, addr=None, port=None, **more):
    """(codes of the recipients, last reply) of one transaction in a session of its own."""
    if port is not None:
        more["port"] = mx.extra[port]
    with mx.client(addr or address(mx), **more) as client:
        replies = client.deliver(sender, recipients, message)
        client.quit()
    return [reply.code for reply in replies["rcpt"]], replies["data"]


def last_record(daemon, sender, **fields):
    return daemon.wait_audit(sender=sender, **fields)[-1]


@case("recipients of different policies are taken together while the outcome is the same", on=BOTH)
def _(mx):
    codes, reply = deliver(mx, "same@example.net", ["alice@example.test", "bob@example.test", "eve@example.test"], GOOD)
    same((codes, reply.code), ([250, 250, 250], 250))
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "bob@example.test", "eve@example.test"])
    expect("mixed" not in last_record(postern, "same@example.net"), "nothing was mixed")
    codes, reply = deliver(mx, "same@example.net", ["alice@example.test", "bob@example.test"], "Subject: worm\n\nx\n")
    same((codes, reply.code), ([250, 250], 554))
    has(reply.text, "nobody here wants this")
    codes, reply = deliver(mx, "same@example.net", ["bob@example.test", "dan@example.test"], BAD)
    same((codes, reply.code), ([250, 250], 554))
    has(reply.text, "<bob@example.test>: Message refused by content policy")
    # Refused by two rules is refused, too.
    codes, reply = deliver(mx, "same@example.net", ["bob@example.test", "eve@example.test"], BAD + LARGE)
    same((codes, reply.code), ([250, 250], 554))
    # Nothing of this is remembered against the sender.
    same(deliver(mx, "same@example.net", ["alice@example.test", "bob@example.test"], GOOD)[0], [250, 250])
    same(len(sink.wait()), 1)


@case("where the outcome differs: 451 4.5.3 after the dot, and 452 4.5.3 at RCPT the next time", on=BOTH)
def _(mx):
    recipients = ["alice@example.test", "bob@example.test", "carol@example.test"]
    codes, reply = deliver(mx, "diff@example.net", recipients, BAD)
    same((codes, reply.code, reply.enhanced), ([250, 250, 250], 451, "4.5.3"))
    record = postern.record_of(reply)
    same((record["verdict"], record["rule"], record["stage"]), ("defer", "postern:split", "message"))
    same(record["mixed"], "late <alice@example.test>=accept <bob@example.test>=reject:subject "
                          "<carol@example.test>=accept")
    same(sink.count(), 0)
    # The retry may come from a neighbour, and in another case.
    with mx.client(address(mx, 9)) as client:
        client.mail("Diff@Example.net")
        same(client.rcpt("alice@example.test").code, 250)
        reply = client.rcpt("bob@example.test")
        same((reply.code, reply.enhanced), (452, "4.5.3"))
        same(client.rcpt("carol@example.test").code, 250)
        same(client.data(BAD).code, 250)
        client.mail("diff@example.net")
        same(client.rcpt("bob@example.test").code, 250)
        reply = client.data(BAD)
        same(reply.code, 554)
        has(reply.text, "<bob@example.test>: Message refused by content policy")
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "carol@example.test"])
    record = last_record(postern, "Diff@Example.net", rule="postern:split")
    same((record["stage"], record["verdict"], record["rcpt"]), ("rcpt", "defer", "bob@example.test"))


@case("who comes first decides: the others wait for the strict one, too", on=BOTH)
def _(mx):
    codes, reply = deliver(mx, "diff@example.net", ["bob@example.test", "alice@example.test", "dan@example.test"], BAD)
    same((codes, reply.code), ([250, 452, 250], 554))


@case("other senders and other networks are not split", on=BOTH)
def _(mx):
    both = ["alice@example.test", "bob@example.test"]
    same(deliver(mx, "other@example.net", both, GOOD)[0], [250, 250])
    same(deliver(mx, "diff@example.net", both, GOOD, addr="203.0.112.7")[0], [250, 250])
    same(deliver(mx, "diff@example.net", both, GOOD, addr="2001:db8::7")[0], [250, 250])
    sink.wait(3)


@case("a recipient whom an exemption takes out; one with another limit; one who is alike after all", on=BOTH)
def _(mx):
    for sender, others, message, refusal in (("exempt@example.net", "zoe@example.test", "Subject: worm\n\nx\n", "worst"),
                                             ("limit@example.net", "eve@example.test", LARGE, "size")):
        codes, reply = deliver(mx, sender, ["alice@example.test", others], message)
        same((codes, reply.code), ([250, 250], 451), sender)
        has(postern.record_of(reply)["mixed"], ":" + refusal)
        codes, reply = deliver(mx, sender, ["alice@example.test", others, "carol@example.test"], GOOD)
        same((codes, reply.code), ([250, 452, 250], 250), sender)
    sink.wait(2)


@case("at most five are split off in one session; then the strictest policy speaks for all", on=BOTH)
def _(mx):
    everybody = ["alice@example.test"] + REFUSED
    same(deliver(mx, "many@example.net", everybody, BAD)[1].code, 451)
    with mx.client(address(mx)) as client:
        replies = client.deliver("many@example.net", everybody, BAD)
        same([reply.code for reply in replies["rcpt"]], [250] + 5 * [452] + 3 * [250])
        same(replies["data"].code, 554)
        record = last_record(postern, "many@example.net", verdict="reject")
        matches(record["mixed"], r"^strictest <alice@example.test>=accept <s6@example.test>=reject:subject")
        replies = client.deliver("many@example.net", ["alice@example.test", "bob@example.test"], GOOD)
        same([reply.code for reply in replies["rcpt"]], [250, 250], "the next transaction of the session")
        same(replies["data"].code, 250)
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "bob@example.test"])


@case("who has logged in is never split: the strictest policy speaks", on=BOTH)
def _(mx):
    for attempt in 1, 2:
        codes, reply = deliver(mx, "user@example.net", ["alice@example.test", "bob@example.test"], BAD, LOGIN="joe")
        same((codes, reply.code), ([250, 250], 554), "attempt %d" % attempt)
        has(last_record(postern, "user@example.net")["mixed"], "strictest ")


@case("neither is what local programs send, which no reply reaches")
def _():
    same(mx.sendmail(BAD, "-f", "root@example.test", "alice@example.test", "bob@example.test"), 0)
    same(sorted(sink.wait()[0].recipients), ["alice@example.test", "bob@example.test"])
    same(mx.queue(), [])


@case("mixed_recipients strictest and lenient never split", on=BOTH)
def _(mx):
    both = ["alice@example.test", "bob@example.test"]
    for attempt in 1, 2:
        codes, reply = deliver(mx, "x@example.net", both, BAD, port=STRICTEST)
        same((codes, reply.code), ([250, 250], 554))
        has(reply.text, "<bob@example.test>: Message refused by content policy")
        codes, reply = deliver(mx, "x@example.net", both, BAD, port=LENIENT)
        same((codes, reply.code), ([250, 250], 250))
    same([sorted(message.recipients) for message in sink.wait(2)], [both, both])
    has(last_record(strictest, "x@example.net")["mixed"], "strictest <alice@example.test>=accept <bob@")
    has(last_record(lenient, "x@example.net")["mixed"], "lenient <alice@example.test>=accept <bob@")
    same(last_record(lenient, "x@example.net")["verdict"], "accept")
    same(deliver(mx, "x@example.net", ["bob@example.test", "dan@example.test"], BAD, port=LENIENT)[1].code, 554)


@case("mode observe splits nobody and records what it would have done", on=BOTH)
def _(mx):
    for attempt in 1, 2:
        codes, reply = deliver(mx, "w@example.net", ["alice@example.test", "bob@example.test"], BAD, port=WATCHED)
        same((codes, reply.code), ([250, 250], 250))
    sink.wait(2)
    record = last_record(watcher, "w@example.net")
    same((record["verdict"], record["rule"]), ("would-defer", "postern:split"))
    has(record["mixed"], "<bob@example.test>=reject:subject")


@case("a quarantine for one of two is a difference, too", on=BOTH)
def _(mx):
    codes, reply = deliver(mx, "q@example.net", ["alice@example.test", "bob@example.test"], BAD, port=HELD)
    same((codes, reply.code), ([250, 250], 451))
    codes, reply = deliver(mx, "q@example.net", ["alice@example.test", "bob@example.test"], BAD, port=HELD)
    same((codes, reply.code), ([250, 452], 250))
    same(sorted(sink.wait()[0].recipients), ["alice@example.test"])
    same(deliver(mx, "q@example.net", ["bob@example.test"], BAD, port=HELD)[1].code, 250)
    held = wait_until("the message to be held",
                      lambda: [entry for entry in mx.queue() if entry["queue_name"] == "hold"])
    same([one["address"] for one in held[0]["recipients"]], ["bob@example.test"])
    same(sink.count(), 0)


@case("a reload does not forget whom to split; a restart does, and it is learned again", on=BOTH)
def _(mx):
    both = ["alice@example.test", "bob@example.test"]
    same(deliver(mx, "kept@example.net", both, BAD)[1].code, 451)
    postern.reload()
    same(deliver(mx, "kept@example.net", both, GOOD)[0], [250, 452])
    sink.wait()
    postern.stop()
    postern.start()
    codes, reply = deliver(mx, "kept@example.net", both, BAD)
    same((codes, reply.code), ([250, 250], 451))
    codes, reply = deliver(mx, "kept@example.net", both, BAD)
    same((codes, reply.code), ([250, 452], 250))
    sink.wait()


# ---- a real sender ----

def sending_postfix(name, port):
    """Postfix somewhere else: all its mail goes to our MX, only bounces go to their sender. It tries again every second."""
    return Postfix("", "[127.0.0.1]:%d" % port, name=name, hostname="out.example.net", main={
        "mydestination": "", "queue_run_delay": "1s", "minimal_backoff_time": "1s", "maximal_backoff_time": "2s",
        "transport_maps": "inline:{ { example.net = smtp:[%s]:%d } }" % (bounces.address, bounces.port)})


def settled(postfix):
    """Waits until its queue is empty; every try is made at once."""
    def probe():
        postfix.flush()
        return not postfix.queue()
    wait_until("the sender's queue to be empty", probe, 40)


def refused_in(message):
    """The recipients that a bounce names as failed."""
    return re.findall(r"^Final-Recipient: rfc822; (\S+)\r$", message.text, re.M)


def gather(place, wanted, recipients_of):
    """Collects messages until they hold these recipients, each once and nobody else."""
    found = []
    def probe():
        found.extend(recipient for message in place.take() for recipient in recipients_of(message))
        return len(found) >= len(wanted)
    try:
        wait_until("mail for %d recipients" % len(wanted), probe)
    finally:
        same(sorted(found), sorted(wanted))


def outcome(sender, delivered, refused):
    """The sender's queue runs empty; who takes the message has it once, the others are in the bounces."""
    settled(sender)
    gather(sink, delivered, lambda message: message.recipients)
    gather(bounces, refused, refused_in)


out = sending_postfix("out", mx.port)


@case("a real Postfix delivers to everybody but those who refuse, and its user gets the bounces")
def _():
    before = len(mx.maillog())
    same(out.sendmail(BAD, "-f", "one@example.net", "alice@example.test", "bob@example.test", "carol@example.test",
                      "eve@example.test"), 0)
    outcome(out, ["alice@example.test", "carol@example.test", "eve@example.test"], ["bob@example.test"])
    log = "\n".join(mx.maillog()[before:])
    # Postfix logs what is said after the dot without the code.
    for part in "4.5.3 The recipients of this message", "452 4.5.3", "5.7.1 <bob@example.test>: Message refused":
        has(log, part)
    expect("too many errors" not in log, "Postfix did not hang up")


@case("so it does with three kinds of recipients")
def _():
    same(out.sendmail(BAD + LARGE, "-f", "three@example.net", "alice@example.test", "bob@example.test",
                      "eve@example.test", "carol@example.test", "dan@example.test", "zoe@example.test"), 0)
    outcome(out, ["alice@example.test", "carol@example.test", "zoe@example.test"],
            ["bob@example.test", "dan@example.test", "eve@example.test"])


@case("a crowd, of whom five have another policy, comes nowhere near Postfix's limits")
def _():
    before = len(mx.maillog())
    crowd = ["c%d@example.test" % i for i in range(1, 31)]
    same(out.sendmail(BAD, "-f", "crowd@example.net", *(crowd + REFUSED[:5])), 0)
    outcome(out, crowd, REFUSED[:5])
    expect("too many errors" not in "\n".join(mx.maillog()[before:]), "Postfix did not hang up")


@case("a stressed Postfix, which hangs up at the first error, only delays")
def _():
    # Its clients never get past a refused recipient, whoever refuses it; nothing may bounce meanwhile.
    hurried = sending_postfix("hurried", mx.extra[STRESSED])
    before = len(mx.maillog())
    same(hurried.sendmail(BAD, "-f", "stress@example.net", "alice@example.test", "bob@example.test"), 0)

    def tried_again():
        hurried.flush()
        return "452 4.5.3" in "\n".join(mx.maillog()[before:])
    wait_until("a second attempt", tried_again, 20)
    same((sink.count(), bounces.count(), len(hurried.queue())), (0, 0, 1))
    calm = "smtp:[127.0.0.1]:%d" % mx.port
    hurried.set(default_transport=calm, local_transport=calm)
    outcome(hurried, ["alice@example.test"], ["bob@example.test"])


main()
