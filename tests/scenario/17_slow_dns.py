#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""Slow DNS answers: one client's wait is not the others', and forty waits are not added up."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *
from recursor import Recursor

enter_sandbox()

# What a slow answer takes, how many clients there are, and what a busy machine may add.
SLOW_S, CLIENTS, SLACK = 2, 40, 3

fake = Recursor()
fake.set("2.0.0.127.bl.example", "A", "127.0.0.2")
fake.set("*.example.net", "MX", (10, "mail.example.net"))
postern = Postern("""
dnsbl bl { zone bl.example; listed 127.0.0.2; weight 3; }
rule listed  { when dnsbl.score >= 3;
               reply 554 5.7.1 "Client host [%{client.ip}] blocked using %{dnsbl.name}; %{dnsbl.reason}"; }
rule null-mx { when sender.domain_status == null_mx; reply 550 5.7.27 "<%{sender}>: no bounces"; }
""", resolver=fake)
mx = Postfix(postern.milter)


def entry(addr):
    return ".".join(reversed(addr.split("."))) + ".bl.example"


class Client(threading.Thread):
    """A message of one client; seconds is what its replies took together, total what all took from the first packet on
    (questions about a client begin before he says MAIL)."""

    def __init__(self, addr, sender):
        super().__init__()
        self.addr, self.sender = addr, sender
        self.codes, self.error, self.seconds, self.total = [], None, 0, 0

    def run(self):
        begin = time.monotonic()
        try:
            with mx.client(self.addr) as client:
                for step in (lambda: client.mail(self.sender), lambda: client.rcpt("alice@example.test"),
                             lambda: client.data("Subject: x\n\nx\n")):
                    start = time.monotonic()
                    code = step().code
                    self.seconds += time.monotonic() - start
                    self.codes.append(code)
                    if code >= 400:
                        break
            self.total = time.monotonic() - begin
        except Exception as error:  # told by the one who joins the thread
            self.error = error


def run(clients):
    """All at once; returns them when the last one is served."""
    for client in clients:
        client.start()
    for client in clients:
        client.join()
        expect(client.error is None, client.error)
    return clients


def warm():
    """As many smtpd processes as will be needed, so that nobody waits for one to start."""
    run([Client("203.0.112.%d" % number, "warm@w%d.example.net" % number) for number in range(CLIENTS + 5)])


@case("one answer takes two seconds: nobody else waits longer than that")
def _():
    warm()
    for round_ in range(3):
        slow = "198.51.100.%d" % (round_ + 1)
        fake.takes(SLOW_S, entry(slow))
        first = Client(slow, "x@slow%d.example.net" % round_)
        others = [Client("203.0.%d.%d" % (10 + round_, number), "x@n%d-%d.example.net" % (round_, number))
                  for number in range(1, CLIENTS + 1)]
        run([first] + others)
        same(first.codes, [250, 250, 250])
        expect(first.total >= SLOW_S - 0.1, "the slow answer was not waited for: %.1f s" % first.total)
        for client in others:
            same(client.codes, [250, 250, 250])
        worst = max(client.seconds for client in others)
        expect(worst < (SLOW_S + SLACK) * SLOW, "the slowest of the others took %.1f s" % worst)
        quick = sum(client.seconds < SLOW_S / 2 for client in others)
        expect(SLOW > 1 or quick >= CLIENTS / 2, "only %d of %d were served at once" % (quick, CLIENTS))


@case("forty clients, each with a slow answer of his own: the waits run side by side")
def _():
    clients = []
    for number in range(1, CLIENTS + 1):
        addr = "198.51.101.%d" % number
        fake.takes(SLOW_S, entry(addr))
        if number % 4 == 0:
            fake.set(entry(addr), "A", "127.0.0.2")
            fake.set(entry(addr), "TXT", "spam")
        clients.append(Client(addr, "x@all%d.example.net" % number))
    start = time.monotonic()
    run(clients)
    total = time.monotonic() - start
    for client in clients:
        wanted = [250, 554] if int(client.addr.rpartition(".")[2]) % 4 == 0 else [250, 250, 250]
        same(client.codes, wanted, client.addr)
        expect(client.total >= SLOW_S - 0.1, "%s was not waited for: %.1f s" % (client.addr, client.total))
    # One after the other they would take 80 s.
    expect(total < (3 * SLOW_S + SLACK) * SLOW, "all together took %.1f s" % total)


@case("answers that come after the resolver's time-out let the mail pass, and are there for the next client")
def _():
    addr = "198.51.102.1"
    fake.set(entry(addr), "A", "127.0.0.2")
    fake.takes(4, entry(addr))
    client = run([Client(addr, "x@late.example.net")])[0]
    same(client.codes, [250, 250, 250])
    expect(client.seconds < (3 + SLACK) * SLOW, "it took %.1f s" % client.seconds)

    def refused():
        with mx.client(addr) as again:
            again.mail("x@late.example.net")
            return again.rcpt("alice@example.test").code == 554
    wait_until("the late answer to count", refused, 8)


@case("a sender whose domain is slow keeps only himself waiting")
def _():
    fake.takes(SLOW_S, "slowest.example", "MX", "A", "AAAA")
    fake.set("slowest.example", "A", "192.0.2.1")
    clients = run([Client("203.0.113.%d" % number, "x@slowest.example") for number in range(1, 6)]
                  + [Client("203.0.113.%d" % (number + 10), "x@quick%d.example.net" % number) for number in range(1, 11)])
    for client in clients:
        same(client.codes, [250, 250, 250])
    # MX, then both addresses side by side.
    expect(max(client.seconds for client in clients[:5]) < (2 * SLOW_S + SLACK) * SLOW, "they wait for one answer after the other")
    worst = max(client.seconds for client in clients[5:])
    expect(worst < (SLOW_S + SLACK) * SLOW, "the slowest of the others took %.1f s" % worst)


@case("whoever goes away while an answer is awaited leaves nothing behind")
def _():
    gone = []
    for number in range(1, 21):
        addr = "198.51.103.%d" % number
        fake.takes(SLOW_S, entry(addr))
        client = mx.client(addr)
        client.send("MAIL FROM:<x@gone.example.net>", "RCPT TO:<alice@example.test>")
        gone.append(client)
    for client in gone:
        client.close()
    # A reload in the middle of it all.
    postern.reload()
    served = run([Client("203.0.114.%d" % number, "x@after%d.example.net" % number) for number in range(1, 11)])
    for client in served:
        same(client.codes, [250, 250, 250])
    time.sleep(SLOW_S + 0.5)
    same(run([Client("203.0.114.99", "x@end.example.net")])[0].codes, [250, 250, 250])


main()
