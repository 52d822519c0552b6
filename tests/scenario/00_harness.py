#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
"""The harness itself: real servers start, answer and stop, and what they did is seen."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *  # noqa: E402,F403

enter_sandbox()

syslog = Syslog.shared()
sink = Sink()
mx = Postfix(sink=sink, recipients=["alice", "bob"], ports=[{"smtpd_hard_error_limit": "1"}])
nsd = Nsd({"example.test": 'alice A 192.0.2.17\n@ TXT "v=spf1 -all"\n@ MX 5 mx\n',
           "example.net": "mail AAAA 2001:db8::25\n"})
unbound = Unbound({"example.test": nsd.at})
lists = Rbldnsd({"dnsbl.example.test": ("ip4set", ":127.0.0.2:listed\n203.0.113.7\n"),
                 "names.example.test": ("dnset", ":127.0.0.3:bad name\nbad.example.net\n")})
fake = FakeDns()


@case("Postfix without a filter delivers to the sink")
def _():
    with mx.client("203.0.113.7", name="mail.example.net", helo="mail.example.net") as client:
        same(client.greeting.code, 220)
        same(client.ehlo_reply.code, 250)
        got = client.deliver("sender@example.net", ["alice@example.test", "nobody@example.test"],
                             "Subject: one\n\nfirst\n.dot\n")
        same([reply.code for reply in got["rcpt"]], [250, 550])
        same(got["rcpt"][1].enhanced, "5.1.1")
        same(got["data"].code, 250)
        client.quit()
    message = sink.wait(1)[0]
    same((message.sender, message.recipients), ("sender@example.net", ["alice@example.test"]))
    has(message.text, "\r\n.dot\r\n")
    same(message.header("subject"), ["one"])
    has(message.header("Received")[0], "[203.0.113.7]")
    mx.wait_log(r"to=<alice@example.test>.*status=sent")


@case("commands can be pipelined, and an IPv6 client can be played")
def _():
    with mx.client("2001:db8::7") as client:
        got = client.pipeline("MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.test>",
                              "RCPT TO:<no@example.test>", "DATA")
        same([reply.code for reply in got], [250, 250, 550, 354])
        same(client.content("Subject: two\n\n").code, 250)
    has(sink.wait(1)[0].header("Received")[0], "2001:db8::7")


@case("Sendmail without a filter does the same, and knows who logs in and what is queued")
def _():
    other = Sendmail("", sink, recipients=["alice", "bob"], users=["joe"])
    with other.client("203.0.113.7", name="mail.example.net", LOGIN="joe") as client:
        same(client.login_reply.code, 235)
        has(client.ehlo_reply.text, "mail.example.net [203.0.113.7]")
        got = client.deliver("sender@example.net", ["alice@example.test", "nobody@example.test"])
        same([reply.code for reply in got["rcpt"]], [250, 550])
        same(other.said(got["rcpt"][1], "nobody@example.test"), "5.1.1 User unknown")
        same(got["data"].code, 250)
    with other.client("2001:db8::8") as client:
        same(client.deliver("sender@example.net", ["bob@example.test"])["data"].code, 250)
    # Sendmail delivers each in a process of its own.
    first, second = sorted(sink.wait(2), key=lambda message: message.recipients)
    same((first.sender, first.recipients), ("sender@example.net", ["alice@example.test"]))
    has(first.header("Received")[0], "mail.example.net [203.0.113.7]")
    has(second.header("Received")[0], "[IPv6:2001:db8:0:0:0:0:0:8]")
    sink.answers["bob@example.test"] = "450 4.2.0 later"
    same(other.submit("Subject: three\n\nx\n", "-f", "carol@example.test", "bob@example.test"), 0)
    waiting = wait_until("the message to be queued", other.queue)
    same([(one["queue_name"], one["sender"], one["recipients"]) for one in waiting],
         [("deferred", "carol@example.test", [{"address": "bob@example.test"}])])
    other.wait_log("stat=Deferred: 450 4.2.0 later")
    sink.answers.clear()

    # What is still in the hands of the first attempt is passed over by the next.
    def flushed():
        other.flush()
        return not other.queue()
    wait_until("the queue to be empty", flushed)
    same(sink.wait()[0].recipients, ["bob@example.test"])
    other.stop()


@case("a service with options of its own closes after one error")
def _():
    with mx.client("203.0.113.7", port=mx.extra[0]) as client:
        same([reply.code for reply in client.pipeline("NONSENSE", "NONSENSE", "NOOP")], [500, 421])
        expect(client.is_closed_by_server(), "still open")


@case("a local submission is delivered, a change of main.cf is seen after the reload")
def _():
    same(mx.sendmail("Subject: local\n\n", "-f", "root@example.test", "alice@example.test"), 0)
    same(sink.wait(1)[0].header("Subject"), ["local"])
    mx.set(smtpd_banner="other.example.test ESMTP")
    wait_until("the new greeting", lambda: "other" in mx.connect().greeting.text)


@case("a second instance sends as a client would")
def _():
    sender = Postfix(sink="[127.0.0.1]:%d" % mx.port, hostname="out.example.net", name="sender")
    sender.sendmail("Subject: sent\n\n", "-f", "me@example.net", "alice@example.test")
    same(sink.wait(1)[0].sender, "me@example.net")
    sender.sendmail("Subject: bounced\n\n", "-f", "me@example.net", "nobody@example.test")
    sender.wait_log(r"to=<nobody@example.test>.*status=bounced.*User unknown")
    same([entry for entry in sender.queue() if entry["sender"] == "me@example.net"], [])
    sender.stop()


@case("nsd answers, and answers anew after a zone has changed")
def _():
    same(nsd.ask("alice.example.test").values("A"), ["192.0.2.17"])
    same(nsd.ask("example.test", "TXT").values("TXT"), ["v=spf1 -all"])
    same(nsd.ask("example.test", "MX").values("MX"), [(5, "mx.example.test")])
    same(nsd.ask("mail.example.net", "AAAA").values("AAAA"), ["2001:db8::25"])
    same(nsd.ask("nobody.example.test").rcode, "NXDOMAIN")
    nsd.set_zone("example.net", "other A 192.0.2.18\n")
    same(nsd.ask("other.example.net").values("A"), ["192.0.2.18"])


@case("unbound asks the given server and nobody else")
def _():
    same(unbound.ask("alice.example.test").values("A"), ["192.0.2.17"])
    same(unbound.ask("mail.example.net").rcode, "REFUSED")
    whole = Unbound(nsd.at)
    same(whole.ask("other.example.net").values("A"), ["192.0.2.18"])
    whole.stop()


@case("rbldnsd answers; paused, it is silent")
def _():
    same(lists.ask("7.113.0.203.dnsbl.example.test").values("A"), ["127.0.0.2"])
    same(lists.ask("7.113.0.203.dnsbl.example.test", "TXT").values("TXT"), ["listed"])
    same(lists.ask("8.113.0.203.dnsbl.example.test").rcode, "NXDOMAIN")
    same(lists.ask("bad.example.net.names.example.test").values("A"), ["127.0.0.3"])
    for server, name in ((lists, "8.113.0.203.dnsbl.example.test"), (nsd, "example.test")):
        server.pause()
        same(server.ask(name, seconds=0.2), None)
        server.resume()
        expect(server.ask(name), "silent after it was resumed")
    lists.set_zone("dnsbl.example.test", ":127.0.0.2:listed\n203.0.113.8\n")
    same(lists.ask("7.113.0.203.dnsbl.example.test").rcode, "NXDOMAIN")


@case("the lying name server lies as it is told")
def _():
    fake.set("good.test", "TXT", "v=spf1 ip4:192.0.2.1 -all", b"two\r\nlines")
    same(sorted(fake.ask("good.test", "TXT").values("TXT")),
         ["two\r\nlines", "v=spf1 ip4:192.0.2.1 -all"])

    def rcode(name, kind="A"):
        answer = fake.ask(name, kind, 0.3)
        return answer and answer.rcode

    same(rcode("good.test", "MX"), "NOERROR")
    same(rcode("unset.test"), "NXDOMAIN")
    for word, wanted in (("servfail", "SERVFAIL"), ("refused", "REFUSED"), ("silence", None)):
        fake.fault("*.bad.test", "*", word)
        same(rcode("x.bad.test"), wanted, word)
    fake.fault("cut.test", "A", "truncate")
    expect(fake.ask("cut.test").tc, "not truncated")
    fake.set("long.test", "TXT", *["x" * 250] * 8)
    expect(fake.ask("long.test", "TXT").tc, "not truncated")
    same(fake.count("good.test"), 2)
    over = Unbound(fake.at)
    fake.fault("slow.test", "A", "nodata")
    fake.delay("slow.test", "A", 0.2)
    start = time.monotonic()
    same(fake.ask("slow.test").rcode, "NOERROR")
    expect(time.monotonic() - start >= 0.2, "not delayed")
    # More than a resolver's UDP answer to a plain question holds: it tells us to come by TCP.
    expect(over.ask("long.test", "TXT").tc, "not truncated")
    expect(fake.count("long.test") >= 3, "not asked by TCP")
    over.stop()


@case("syslog is collected from a private /dev/log")
def _():
    subprocess.run(["logger", "-p", "mail.warning", "-t", "postern", "hello %s"], check=True)
    entry = syslog.wait("hello %s")
    same((entry.facility, entry.severity, entry.ident), ("mail", "warning", "postern"))
    for device in ("null", "urandom", "shm", "stdin"):
        expect(os.path.exists("/dev/" + device), device)


@case("audit records are parsed strictly")
def _():
    same(record('id=4x rule="a \\"b\\" \\\\ c" reply="" n=3\n'),
         {"id": "4x", "rule": 'a "b" \\ c', "reply": "", "n": "3"})
    same(record('x="\\x0d\\n"'), {"x": "\r\n"})
    for bad in ('a="b', "a=1 a=2", "word", 'a="b"c=d'):
        raises(Trouble, record, bad)


@case("a wait in vain is trouble")
def _():
    raises(Trouble, wait_until, "nothing", lambda: False, 0)


main()
