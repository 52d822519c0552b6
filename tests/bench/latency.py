# SPDX-License-Identifier: MIT
"""What SMTP clients wait for in all when the DNS is far away: a name server that takes its time
before each answer, a caching resolver that knows nothing yet, and messages of 200 domains."""

import statistics
import time

from authentication import CHECKS, Subject, peer_makers, resolver
from dnsservers import DnsServer, Nsd
from filters import Daemon, NullFilter, negotiated
from procs import read
from report import one_load
from world import RESULTS, SHIPPED, configuration

COLD, WARM = "cold DNS", "warm DNS"
LATENCIES = (20, 50, 200)
USUAL = 50
# Round trips of the client, and whether it sends MAIL, RCPT and DATA in one.
CLIENTS = ((0, True), (30, True), (30, False), (100, True), (100, False))
EAGER, SLOW = CLIENTS[0], CLIENTS[-1]
MANY, MESSAGES, FEW = 64, 192, 16

# How many answers, each asked for with what the one before said, the messages of mail.py need:
# SPF (as Domain.records() turns them out), then the client's name and its address.
SPF_CHAIN = (1, 3, 2, 2)
CLIENT_CHAIN = 2
# The key of a signature: its name stands in the header, which comes only after RCPT was answered.
KEY_CHAIN = 1


def envelope_chain(number):
    return max(SPF_CHAIN[number % 4], CLIENT_CHAIN)


def chains(count):
    """The answers that one after the other must come in for these messages: (DNS alone, DNS and
    the order in which a client speaks)."""
    envelope = [envelope_chain(number) for number in range(count)]
    return sum(envelope), sum(envelope) + count * KEY_CHAIN


class FarDns(DnsServer):
    """bench_dns_delay before another server; its log has a line for each question."""

    name = "far-dns"

    def __init__(self, program, near):
        super().__init__()
        self.program, self.near = program, near

    def set(self, milliseconds):
        """Begins anew with this delay."""
        if self.process:
            self.stop()
        self.spawn([self.program, str(self.port), self.near.address, str(self.near.port),
                    str(milliseconds)])
        self.wait_ready("bench.example")

    def questions(self):
        return read(self.log_path).count("\n")

    def wait_quiet(self, seconds):
        """Until nobody has asked anything for this time."""
        seen, since = self.questions(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.05)
            if self.questions() != seen:
                seen, since = self.questions(), time.monotonic()


class Scene:
    """The servers, and how one filter is measured between them."""

    def __init__(self, report, found, texts, place):
        self.report, self.place, self.program = report, place, found["bench_milter_load"]
        self.far = FarDns(found["bench_dns_delay"], Nsd(texts))
        self.far.set(0)
        self.dns = resolver(self.far.at)
        self.latency = 0

    def set(self, latency):
        self.latency = latency
        self.far.set(latency)

    def forget(self):
        """The resolver's cache is empty after this."""
        self.dns.stop()
        self.dns.start()

    def run(self, what, server, client, many, count, kind="plain", expect=()):
        round_trip, pipelined = client
        self.far.wait_quiet(max(0.3, 3 * self.latency / 1000))
        before = self.far.questions()
        more = ("--pipelined",) if pipelined else ()
        got = one_load(self.report, self.program, what, server, 60, "--connections", many, "--each",
                       "--messages", count, "--mail", "%s/%s" % (self.place, kind), "--round-trip",
                       round_trip, *more, *expect, latency=self.latency, round_trip=round_trip,
                       pipelined=pipelined)
        got["questions_per_message"] = (self.far.questions() - before) / count
        dns, spoken = chains(count)
        if self.latency:
            got["wait_per_chain"] = sum(got["waits_us"]) / 1e3 / (dns * self.latency)
            got["wait_per_spoken_chain"] = sum(got["waits_us"]) / 1e3 / (spoken * self.latency)
        got["envelope_wait_ms"] = statistics.median(got.pop("envelope_waits_us")) / 1e3
        waits = got.pop("waits_us")
        got["wait_ms"] = statistics.median(waits) / 1e3
        # The kinds of messages differ in their chains: whoever compares has the same kinds.
        got["mean_wait_ms"] = statistics.mean(waits) / 1e3
        return got

    def cold(self, make, client, many, count, warm=False):
        """With a new filter, and a resolver that knows nothing; then, with warm, again."""
        self.forget()
        subject = make()
        arguments = (subject.server, client, many, count, subject.kind, subject.expect)
        self.run(COLD, *arguments)
        if warm:
            self.run(WARM, *arguments)
        subject.server.kill()


def postern_at(scene, make, latency, options):
    """Many clients of all kinds, and one alone."""
    for client in CLIENTS if options.full or latency == USUAL else (EAGER, SLOW):
        scene.cold(make, client, MANY, MESSAGES,
                   warm=latency == USUAL and client in (EAGER, SLOW))
    scene.cold(make, EAGER, 1, FEW if latency < 200 else FEW // 2)
    if latency == LATENCIES[0]:
        scene.cold(make, SLOW, 1, FEW)


def measure(report, found, fronts, texts, place, options):
    scene = Scene(report, found, texts, place)
    conf = configuration(dns=scene.dns, rules=SHIPPED + RESULTS)
    makers = [lambda front=front: Subject(Daemon(conf, front), checks=CHECKS) for front in fronts]
    probe = Daemon(conf, fronts[0])
    null = NullFilter(found["bench_null_filter"], negotiated(scene.program, probe),
                      "null, same steps")
    probe.stop()
    for client in CLIENTS if not options.quick else (EAGER, SLOW):
        scene.run(COLD, null, client, MANY, MESSAGES)
    for client in (EAGER, SLOW):
        scene.run(COLD, null, client, 1, FEW)
    for latency in LATENCIES if not options.quick else (USUAL,):
        scene.set(latency)
        for make in makers:
            postern_at(scene, make, latency, options)
    scene.set(USUAL)
    for make in [] if options.quick else peer_makers():
        scene.cold(make, EAGER, MANY, MESSAGES, warm=True)
        scene.cold(make, SLOW, MANY, MESSAGES)
        scene.cold(make, EAGER, 1, FEW)


def print_table(report):
    rows = report.runs(COLD) + report.runs(WARM)
    if not rows:
        return
    print("\n%-32s %6s %5s %14s %9s %9s %9s %9s %9s %9s %7s" % (
        "what clients wait for, ms", "answer", "conn", "round trip", "questions", "sum", "wait p50",
        "p99", "envelope", "mean", "/ chain"))
    for one in rows:
        questions = one["questions_per_message"]
        print("  %-30s %6d %5d %14s %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %7s" % (
            "%s, %s" % (one["filter"], one["load"].split()[0]), one["latency"], one["connections"],
            "%d%s" % (one["round_trip"], " pipelined" if one["pipelined"] else ""), questions,
            questions * one["latency"], one["wait_ms"], one["stages"]["wait"]["p99_us"] / 1e3,
            one["envelope_wait_ms"], one["mean_wait_ms"],
            "%.3f" % one["wait_per_spoken_chain"]
            if one["latency"] and one["load"] == COLD else "-"))
