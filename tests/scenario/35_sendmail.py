#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 180 s
"""Every reply at every stage as both mail servers pass it on, and what is different beside Sendmail: what it hides, adds,
keeps from its filters, how long it waits, and how local mail comes in."""

import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
import sendmail
from signing import rsa_key, sign

enter_sandbox()

# The replies, each with a text that is told from the others.
CODES = {
    "c450": (450, "4.7.1", "come again"),
    "c451": (451, "4.3.0", "trouble here"),
    "c452": (452, "4.5.3", "too much of it"),
    "c521": (521, "5.3.2", "no mail here"),
    "c550": (550, "5.7.1", "not wanted"),
    "c551": (551, "5.1.6", "somewhere else"),
    "c552": (552, "5.3.4", "too large"),
    "c553": (553, "5.1.3", "no such name"),
    "c554": (554, "5.7.1", "not at all"),
    "c556": (556, "5.1.10", "never there"),
    "lines": (550, "5.7.1", "one\\ntwo 100%%\\nthree"),
}


# Elsewhere postern takes no such rule: 521 is for a host as a whole, 551 and 556 answer a recipient, 421 nobody.
NOT_AT = {"mail": ("c551", "c556"), "rcpt": ("c521",), "message": ("c521", "c551", "c556")}
AT = {stage: [name for name in CODES if name not in without] for stage, without in NOT_AT.items()}


def rules(stage, condition):
    """A rule for each reply of this stage, true where what the condition asks for is its name."""
    return "".join('rule %s { when %s == "%s"; reply %d %s "%s"; }\n' % ((name, condition, name) + CODES[name]) for name in AT[stage])


sink = Sink()
at_mail = Postern("speak_at mail;\n" + rules("mail", "sender.local"))
at_rcpt = Postern(rules("rcpt", "rcpt.local"))
at_message = Postern(rules("message", "header('X-Case')"))
STAGES = {"mail": 0, "rcpt": 1, "message": 2}
MILTERS = [one.milter for one in (at_mail, at_rcpt, at_message)]
BOTH = (Postfix("", sink, ports=[{"smtpd_milters": one} for one in MILTERS]), Sendmail("", sink, ports=MILTERS))


def answer(mx, client, stage, name):
    """The reply to the command that is refused, and the address that it is about."""
    sender = (name if stage == "mail" else "x") + "@example.net"
    recipient = (name if stage == "rcpt" else "alice") + "@example.test"
    reply = client.mail(sender)
    if stage == "mail":
        return reply, sender
    same(reply.code, 250)
    reply = client.rcpt(recipient)
    if stage == "rcpt":
        return reply, recipient
    same(reply.code, 250)
    return client.data("X-Case: %s\n\nhello\n" % name), None


def refused(mx, stage):
    """Every reply at this stage is passed on, and the session goes on where it must, or ends."""
    for name in AT[stage]:
        code, enhanced, text = CODES[name]
        with mx.client("203.0.113.7", port=mx.extra[STAGES[stage]]) as client:
            reply, address = answer(mx, client, stage, name)
            same(reply.code, code, name)
            said = mx.said(reply, address) if address else reply.text
            wanted = text.replace("%%", "%").split("\\n")
            for line, part in zip(said.split("\n"), wanted):
                has(line, "%s %s" % (enhanced, part), name)
            same(len(reply.lines), len(wanted), name)
            matches(reply.text, r" \(ref [A-Z0-9]{6}\)$", name)
            if code == 521 and mx.closes_on_521:
                expect(client.is_closed_by_server(), "it ends the session")
                continue
            # Whoever comes next in this session meets no remnant of it.
            client.cmd("RSET")
            same(client.deliver("y@example.net", ["bob@example.test"])["data"].code, 250, name)
    taken = sink.wait(len(AT[stage]) - (stage == "mail" and mx.closes_on_521))
    same({tuple(message.recipients) for message in taken}, {("bob@example.test",)})


@case("every reply to MAIL", on=BOTH)
def _(mx):
    refused(mx, "mail")


@case("every reply to RCPT", on=BOTH)
def _(mx):
    refused(mx, "rcpt")


@case("every reply at the end of the message", on=BOTH)
def _(mx):
    refused(mx, "message")


# ---- what is known at connect and HELO ----

early = Postern("""
speak_at mail;
rule client { when client.ip == 203.0.113.66; reply 554 5.7.1 "not from %{client.ip}"; }
rule name   { when helo == "bad.example"; reply 550 5.7.1 "not as %{helo}"; }
rule later  { when helo == "later.example"; reply 451 4.7.1 "not now, %{helo}"; }
rule host   { when client.ip == 203.0.113.67; reply 521 5.3.2 "not this host"; }
""")
EARLY = Postfix(early.milter, sink), Sendmail(early.milter, sink)


@case("what is certain at connect or HELO is said at MAIL, with its code and text, which Sendmail would hide earlier", on=EARLY)
def _(mx):
    for addr, helo, code, text in (("203.0.113.66", "c.example", 554, "not from 203.0.113.66"),
                                   ("203.0.113.7", "bad.example", 550, "not as bad.example"),
                                   ("203.0.113.7", "later.example", 451, "not now, later.example"),
                                   ("203.0.113.67", "c.example", 521, "not this host")):
        with mx.client(addr, helo=helo) as client:
            same((client.greeting.code, client.ehlo_reply.code), (220, 250))
            reply = client.mail("x@example.net")
            same(reply.code, code)
            has(mx.said(reply, "x@example.net"), text)


# ---- what Sendmail says of itself, and what it keeps to itself ----

RULES = """
speak_at mail;
rule never   { when sender.local == never; reply 550 5.7.1 "<%{sender}>: never"; }
rule ghost   { when rcpt.local == ghost; reply 550 5.1.1 "<%{rcpt}>: User unknown"; }
rule own     { when header('Subject') matches 'virus'; local; reply 554 5.7.1 "no viruses, not even from us"; }
rule subject { when header('Subject') matches 'worm'; reply 554 5.7.1 "no worms"; }
rule hold    { when header('Subject') matches 'hold'; quarantine "look at it"; }
rule mark    { when true; header "X-Seen: <%{sender}> %{client.local} %{auth.user}"; }
rule tls     { when tls.version != ""; header "X-TLS: %{tls.version}"; }
"""
postern = Postern(RULES)
mx = Sendmail(postern.milter, sink, recipients=["alice", "bob", "ghost", "postmaster", "carol"], users=["joe"],
              rules="LOCAL_RULESETS\nSLocal_check_mail\nR$*\t$: $>canonify $1\n"
                    "R$* <@barred.example$*>\t$#error $@ 5.7.1 $: \"550 Sendmail does not like you\"\n")


def records(since):
    return postern.audit()[since:]


@case("a 550 to MAIL or RCPT gets the address in front of its text")
def _():
    with mx.client("203.0.113.7") as client:
        same(client.mail("x@example.net").code, 250)
        reply = client.rcpt("ghost@example.test")
        matches(reply.text, r"^5\.1\.1 <ghost@example\.test>\.\.\. <ghost@example\.test>: User unknown \(ref ......\)$")
    postern.record_of(reply)


@case("whom Sendmail's own rulesets refuse is not shown to its filters")
def _():
    since = len(postern.audit())
    with mx.client("203.0.113.7") as client:
        has(client.mail("x@barred.example").text, "Sendmail does not like you")
        same(client.mail("never@example.net").code, 550)
        same(client.mail("x@example.net").code, 250)
        has(client.rcpt("nobody@example.test").text, "User unknown")
        same(client.rcpt("alice@example.test").code, 250)
        same(client.data("Subject: x\n\nx\n").code, 250)
    same(sink.wait()[0].header("X-Seen"), ["<x@example.net> no"])
    postern.wait_audit(sender="x@example.net", verdict="accept")
    same([(one["rule"], one["rcpt"]) for one in records(since)], [("never", ""), ("", "alice@example.test")])


@case("of unknown users it tells, who are recorded; a mailbox that has moved must be an alias, then 551 is ours to say")
def _():
    daemon = Postern("""
table moved file:{dir}/moved;
recipients { domains ours; moved moved; }
table ours { example.test; }
rule moved  { when rcpt.status == moved; reply 551 5.1.6 "<%{rcpt}>: User not local; please try <%{rcpt.moved_to}>"; }
rule failed { when rcpt.status == unavailable; reply 451 4.3.0 "try again"; }
""", files={"moved": "dave@example.test dave@example.net\nerin@example.test erin@example.net\n"})
    other = Sendmail(daemon.milter, sink, aliases={"dave": "dave@example.net", "alice": "alice@example.net"})
    with other.client("203.0.113.7") as client:
        client.mail("x@example.net")
        has(client.rcpt("erin@example.test").text, "5.1.1 <erin@example.test>... User unknown")
        reply = client.rcpt("dave@example.test")
        same(reply.code, 551)
        has(reply.text, "please try <dave@example.net>")
        same(client.rcpt("alice@example.test").code, 250)
        same(client.data("Subject: x\n\nx\n").code, 250)
    same(sink.wait()[0].recipients, ["alice@example.net"])
    same([(one["verdict"], one["rcpt"], one["reply"][:30]) for one in daemon.wait_audit(3)],
         [("mta-reject", "erin@example.test", "550 5.1.1 User unknown"),
          ("reject", "dave@example.test", "551 5.1.6 <dave@example.test>:"), ("accept", "alice@example.test", "")])
    other.stop()
    daemon.stop()


@case("with delay_checks Sendmail's own word on client and sender comes at RCPT, after the filter's on MAIL")
def _():
    both = Postern(RULES)
    delayed = Sendmail(both.milter, sink, more="FEATURE(`delay_checks')dnl\n", rules=mx.rules)
    with delayed.client("203.0.113.7") as client:
        reply = client.mail("never@example.net")
        has(delayed.said(reply, "never@example.net"), "5.7.1 <never@example.net>: never")
        # The filter is not asked about a recipient that Sendmail refuses for the sender's sake.
        same(client.mail("x@barred.example").code, 250)
        has(client.rcpt("ghost@example.test").text, "Sendmail does not like you")
        client.cmd("RSET")
        same(client.deliver("x@example.net", ["ghost@example.test", "alice@example.test"])["data"].code, 250)
    same([(one["rule"], one["rcpt"]) for one in both.wait_audit(3)],
         [("never", ""), ("ghost", "ghost@example.test"), ("", "alice@example.test")])
    sink.wait()
    delayed.stop()
    both.stop()


# ---- how it tells what it knows ----

@case("the queue id is known from MAIL on, the daemon's name and the user from where they are")
def _():
    since = len(postern.audit())
    with mx.client("203.0.113.7", name="mail.example.net", LOGIN="joe") as client:
        same(client.login_reply.code, 235)
        same(client.mail("never@example.net").code, 550)
        replies = client.deliver("x@example.net", ["ghost@example.test", "alice@example.test"])
    message = sink.wait()[0]
    same(message.header("X-Seen"), ["<x@example.net> no joe"])
    postern.wait_audit(rule="", sender="x@example.net", auth_user="joe")
    first, second, third = records(since)
    for one in first, second, third:
        same((one["auth.user"], one["auth.type"], one["mta.daemon"], one["client"]), ("joe", "PLAIN", "MTA0", "203.0.113.7"))
        expect(re.match(r"[0-9A-Za-z]{14}$", one["qid"]), one["qid"])
    same(second["qid"], third["qid"])
    has(replies["data"].text, third["qid"])


@case("macros that sendmail.mc names, too few of them, do not take away what is asked for")
def _():
    stages = "CONNECT HELO ENVFROM ENVRCPT DATA EOM"
    poor = Sendmail(postern.milter, sink, users=["joe"],
                    more="".join("define(`confMILTER_MACROS_%s', `v')dnl\n" % one for one in stages.split()))
    with poor.client("203.0.113.7", LOGIN="joe") as client:
        client.deliver("poor@example.net", ["alice@example.test"])
    record = postern.wait_audit(sender="poor@example.net")[0]
    same((record["auth.user"], record["mta.daemon"], len(record["qid"])), ("joe", "MTA0", 14))
    sink.wait()
    poor.stop()


PLAIN = Postfix(postern.milter, sink, main={"strict_rfc821_envelopes": "no"}), Sendmail(postern.milter, sink)


@case("addresses in odd dress: source routes, quotes, case, parameters, the bare postmaster, the null sender", on=PLAIN)
def _(mx):
    for sender, recipient, wanted in (
            ("<>", "<alice@example.test>", ("", "", "alice", "example.test")),
            ("<x@example.net> SIZE=100 BODY=8BITMIME", "<alice@example.test> NOTIFY=NEVER", ("x", "example.net", "alice", "example.test")),
            ("<@hop.example:x@example.net>", "<@hop.example:alice@example.test>", ("x", "example.net", "alice", "example.test")),
            ('<"x"@example.net>', '<"alice"@example.test>', ("x", "example.net", "alice", "example.test")),
            ("<X@Example.NET>", "<Alice@Example.TEST>", ("X", "example.net", "Alice", "example.test")),
            ("x@example.net", "alice@example.test", ("x", "example.net", "alice", "example.test")),
            ("<x@example.net>", "<postmaster>", ("x", "example.net", "postmaster", "mx.example.test"))):
        since = len(postern.audit())
        with mx.client("203.0.113.7") as client:
            same(client.cmd("MAIL FROM:" + sender).code, 250, sender)
            same(client.cmd("RCPT TO:" + recipient).code, 250, recipient)
            same(client.data("Subject: x\n\nx\n").code, 250)
        record = wait_until("the record", lambda: records(since))[0]
        same(tuple(record[key] for key in ("sender.local", "sender.domain", "rcpt.local", "rcpt.domain")), wanted, sender)
        same(record["sender.null"], "yes" if sender == "<>" else "no")
    # This Sendmail has no mailer for its own postmaster.
    sink.wait(7 if mx.kind == "Postfix" else 6)


# ---- header fields ----


key = rsa_key()
names = FakeDns()
names.set("sel._domainkey.sig.example", "TXT", key.text)
# Odd, and legal: no blank, two, a tab, folds before and after the first word, trailing blanks, nothing at all.
ODD = ("From: x@sig.example\nTo:no blank <alice@example.test>\nSubject:  two blanks\nX-Tab:\ttab\nX-Fold:\n\tfolded at once\n"
       "X-Folded: one\n  two\n\tthree \t\nX-Empty:\nX-Blank: \nX-Long: " + "word " * 180 + "\n")
FIELDS = [line.split(":")[0] for line in ODD.split("\n") if line[:1].isalpha()]
# rcpt.domain holds the rules to the end of the message, where header() is known.
exact = Postern("""
rule dkim   { when dkim.result != pass and rcpt.domain == example.test; reply 550 5.7.20 "the signature does not verify: %{dkim.reason}"; }
rule folded { when not header('X-Folded') matches '^one  two\tthree'; reply 554 5.6.0 "X-Folded"; }
rule values { when header('To') != "no blank <alice@example.test>" or header('Subject') != "two blanks" or header('X-Tab') != "tab"
                   or header('X-Fold') != "folded at once" or header('X-Empty') != ""; reply 554 5.6.0 "a value"; }
rule mark   { when true; header "X-Mark: yes"; }
""", resolver=names)
EXACT = Postfix(exact.milter, sink), Sendmail(exact.milter, sink)


@case("values keep the blanks that they came with: a simple signature over odd fields verifies, before and behind the server", on=EXACT)
def _(mx):
    text = sign(ODD + "X-Mark: forged\n\nhello\n", "sig.example", "sel", key, canon="simple/simple", names=FIELDS)
    with mx.client("203.0.113.7") as client:
        reply = client.deliver("x@sig.example", ["alice@example.test"], text)["data"]
    same(reply.code, 250, reply.text)
    message = sink.wait()[0]
    same(message.header("X-Mark"), ["yes"])
    # What arrives is still signed.
    with mx.client("203.0.113.7") as client:
        reply = client.deliver("x@sig.example", ["alice@example.test"], message.data)["data"]
    same(reply.code, 250, reply.text)
    expect(sink.wait()[0].text.startswith("X-Mark: yes\r\n"), "one blank behind the colon of what is added")


@case("quarantine: Sendmail's queue has the message and the reason, and nothing is delivered before it is released")
def _():
    with mx.client("203.0.113.7") as client:
        same(client.deliver("held@example.net", ["alice@example.test"], "Subject: hold\n\nx\n")["data"].code, 250)
    held, = [one for one in mx.queue() if one["queue_name"] == "hold"]
    same((held["sender"], held["reason"]), ("held@example.net", "look at it"))
    same(postern.wait_audit(rule="hold")[-1]["qid"], held["queue_id"])
    same(sink.count(), 0)
    mx.release(held["queue_id"])
    mx.flush()
    same(sink.wait()[0].sender, "held@example.net")


# ---- local mail ----

@case("sendmail(1) hands mail over by SMTP from loopback: it is a client like another, and a refusal comes back as a bounce")
def _():
    local = Sendmail(postern.milter, sink)
    since = len(postern.audit())
    same(local.submit("Subject: x\n\nx\n", "-f", "carol@example.test", "alice@example.test"), 0)
    message = sink.wait()[0]
    same(message.header("X-Seen"), ["<carol@example.test> no"])
    local.submit("Subject: a worm\n\nx\n", "-f", "carol@example.test", "alice@example.test")
    bounce = sink.wait()[0]
    same((bounce.sender, bounce.recipients), ("", ["carol@example.test"]))
    has(bounce.text, "no worms")
    local.submit("Subject: x\n\nx\n", "-f", "carol@example.test", "ghost@example.test")
    bounce = sink.wait()[0]
    has(bounce.text, "<ghost@example.test>: User unknown")
    # The bounces came through the filter, too: from the null sender, and not refused.
    seen = wait_until("the records", lambda: len(records(since)) >= 5 and records(since))
    same([(one["rule"], one["client"], one["client.local"]) for one in seen],
         [(rule, "127.0.0.1", "no") for rule in ("", "subject", "", "ghost", "")])
    same([one["sender.null"] for one in seen], ["no", "no", "yes", "no", "yes"])
    wait_until("the queue to be empty", lambda: not local.queue())


@case("sendmail -bs has no client address: only a local rule holds, and only at the end of the message")
def _():
    def codes(subject, sender="x@example.net"):
        replies = mx.session("EHLO me", "MAIL FROM:<%s>" % sender, "RCPT TO:<ghost@example.test>", "RCPT TO:<alice@example.test>",
                             "DATA", "Subject: %s\r\n\r\nx\r\n." % subject, "QUIT")
        return [reply.code for reply in replies], replies[-2].text
    taken, _ = codes("a worm", "never@example.net")
    same(taken, [220, 250, 250, 250, 250, 354, 250, 221])
    message = sink.wait()[0]
    same((sorted(message.recipients), message.header("X-Seen")), (["alice@example.test", "ghost@example.test"], ["<never@example.net> yes"]))
    record = postern.wait_audit(sender="never@example.net", verdict="accept")[-1]
    same((record["client"], record["client.local"]), ("", "yes"))
    taken, text = codes("a virus")
    same(taken, [220, 250, 250, 250, 250, 354, 554, 221])
    has(text, "no viruses, not even from us")


# ---- how long it waits ----

slow = FakeDns()
slow.delay("late.example", "MX", 90)
WAITING = """
%s
rule gone { when sender.domain_status == missing%s; on_fault defer; reply 550 5.1.8 "<%%{sender}>: no such domain"; }
"""
AT_RCPT, AT_MESSAGE = "", " and header('Subject') == \"x\""


def waited(mx, port=None):
    """A message whose sender's domain nobody finds anything out about: all replies, and the seconds that the last one took."""
    with mx.client("203.0.113.7", port=port) as client:
        same(client.mail("x@late.example").code, 250)
        start = time.monotonic()
        reply = client.rcpt("alice@example.test")
        if reply.code == 250:
            start = time.monotonic()
            reply = client.data("Subject: x\n\nx\n")
    return reply, time.monotonic() - start


@case("with the lines of etc/sendmail.mc and the budget as they are, every answer comes in time")
def _():
    for condition in AT_RCPT, AT_MESSAGE:
        daemon = Postern(WAITING % ("", condition), resolver=slow.at + "; timeout 30s")
        example = sendmail.example()
        has(example, "S=unix:/run/postern/postern.sock,")
        other = Sendmail("", sink, more=example.replace("/run/postern/postern.sock", sendmail.seen(daemon.socket)))
        reply, seconds = waited(other)
        same((reply.code, reply.enhanced), (451, "4.4.3"), reply.text)
        has(reply.text, "(ref ")
        # Not before the budget is over, which would be a decision without need.
        expect(seconds > 7.5, "%.1f s" % seconds)
        other.stop()
        daemon.stop()


@case("an answer later than R is none, also at the end of the message, where E does not help: F decides")
def _():
    for condition in AT_RCPT, AT_MESSAGE:
        daemon = Postern(WAITING % ("budget { rcpt 5s; message 5s; }", condition), resolver=slow.at + "; timeout 30s")
        other = Sendmail(daemon.milter, sink, equates="F=T, T=R:2s;E:1m", ports=[(daemon.milter, "T=R:2s;E:1m")])
        reply, seconds = waited(other)
        same((reply.code, reply.enhanced), (451, "4.3.2"), reply.text)
        expect(seconds < 4, "%.1f s" % seconds)
        other.wait_log("timeout before data read")
        # Without F=T it comes in, unchecked.
        reply, seconds = waited(other, other.extra[0])
        same(reply.code, 250)
        expect(seconds < 4, "%.1f s" % seconds)
        sink.wait()
        other.stop()
        daemon.stop()


@case("a budget that is longer than what Sendmail waits by itself is a warning")
def _():
    for text, warned in (("", False), ("budget { rcpt 9s; message 9s; }", False), ("budget { message 10s; }", True)):
        path = write(postern.dir + "/check.conf", postern.text() + text)
        status, out, err = command("check", "-c", path)
        same((status, "longer than Sendmail waits" in out + err), (0, warned), text)


# ---- where it finds the daemon, and where not ----

@case("the daemon away: F=T defers, F=R refuses at the greeting, without F all comes in; back again, new sessions find it")
def _():
    daemon = Postern(RULES)
    other = Sendmail(daemon.milter, sink, ports=[(daemon.milter, "F=R"), (daemon.milter, "")])
    refusing, open_door = other.extra
    with other.client("203.0.113.7") as client:
        same(client.mail("x@example.net").code, 250)
        daemon.kill()
        reply = client.rcpt("alice@example.test")
        same((reply.code, reply.enhanced), (451, "4.3.2"))
        with other.client("203.0.113.7") as second:
            same((second.greeting.code, second.mail("x@example.net").code), (220, 451))
        with other.client("203.0.113.7", port=refusing) as second:
            same((second.greeting.code, second.mail("x@example.net").code), (554, 550))
        with other.client("203.0.113.7", port=open_door) as second:
            same(second.deliver("never@example.net", ["alice@example.test"])["data"].code, 250)
        same(sink.wait()[0].header("X-Seen"), [])
        daemon.start()
        client.cmd("RSET")
        same(client.mail("x@example.net").code, 451, "the old session does not find it again")
    with other.client("203.0.113.7") as client:
        same(client.deliver("x@example.net", ["alice@example.test"])["data"].code, 250)
    same(len(sink.wait()[0].header("X-Seen")), 1)
    other.stop()
    daemon.stop()


@case("a folder of the daemon's own user will do for the socket; one that everybody can write to stops Sendmail")
def _():
    daemon = Postern(RULES)
    shutil.chown(daemon.dir, "nobody", "nogroup")
    os.chmod(daemon.dir, 0o2750)
    other = Sendmail(daemon.milter, sink)
    with other.client("203.0.113.7") as client:
        same(client.deliver("x@example.net", ["alice@example.test"])["data"].code, 250)
    same(len(sink.wait()[0].header("X-Seen")), 1)
    other.stop()
    os.chmod(daemon.dir, 0o777)
    has(str(raises(Trouble, Sendmail, daemon.milter, sink)), "World writable directory")
    daemon.stop()


@case("STARTTLS: the version is known from the second HELO on")
def _():
    since = len(postern.audit())
    other = Sendmail(postern.milter, sink, tls=True)
    with other.client("203.0.113.7") as client:
        same(client.starttls().code, 220)
        same(client.ehlo("client.example.net").code, 250)
        client.deliver("x@example.net", ["ghost@example.test", "alice@example.test"])
    same(sink.wait()[0].header("X-TLS"), ["TLSv1.3"])
    same([one["tls.version"] for one in wait_until("the records", lambda: len(records(since)) == 2 and records(since))], ["TLSv1.3"] * 2)
    other.stop()


@case("the longest reply there is arrives whole")
def _():
    words = " ".join("%05d" % number for number in range(1900))
    daemon = Postern('rule long { when sender.local == long; reply 550 5.7.1 "%s"; }' % words)
    for kind in Postfix, Sendmail:
        other = kind(daemon.milter, sink)
        with other.client("203.0.113.7") as client:
            client.mail("long@example.net")
            reply = client.rcpt("alice@example.test")
        lines = other.said(reply, "alice@example.test").split("\n")
        same(" ".join(line[6:] for line in lines).split(" (ref ")[0], words)
        other.stop()
    daemon.stop()


@case("no line is longer than 512 octets, whatever address Sendmail puts in front", on=BOTH)
def _(mx):
    daemon = Postern('rule long { when true; reply 550 5.7.1 "%s"; }' % " ".join("word%d" % number for number in range(150)))
    other = type(mx)(daemon.milter, sink)
    domain = ".".join(["b" * 40] * 4 + ["example.test"])
    with other.client("203.0.113.7") as client:
        for local in "a", "a" * 30, "a" * 64:
            client.cmd("RSET")
            same(client.mail("x@example.net").code, 250)
            reply = client.rcpt(local + "@" + (domain if isinstance(mx, Sendmail) else "example.test"))
            has(reply.text, "word0 word1 ")
            longest = max(len("550-") + len(line) + len("\r\n") for line in reply.lines)
            expect(longest <= 512, "%d octets in %s" % (longest, reply))
    other.stop()
    daemon.stop()


main()
