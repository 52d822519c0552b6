# SPDX-License-Identifier: MIT
"""What postern wants to cost, held against this run; and where the time goes that is too much.

A row: what is compared, the figure, the bound, whether it is met (None: not measured here), and
what to know about it. Shares of time come from perf in this run, nothing is rounded to fit."""

import os

import authentication
import idle
import latency
import profile_cpu
from filters import CHAIN, postern

FULL, ENVELOPE = authentication.LOAD, authentication.ENVELOPE_LOAD
NULL = "null, same steps"
# Bounds by front. What is bound for the wire front alone has no bound on the other.
BOUNDS = {
    "opendkim": {"wire": 0.5, "libmilter": 0.65},
    "chain": {"wire": 8, "libmilter": 6},
    "beside crypto": {"wire": 0.7, "libmilter": 1.3},
    "p99": {"wire": 3, "libmilter": 3},
    "envelope": {"wire": 0.5, "libmilter": 1.15},
    "cold": {"wire": 1.2, "libmilter": 1.2},
    "covered": {"wire": 0, "libmilter": 0},
    "at once": {"wire": 1},
    "idle kB": {"wire": 8},
    "idle CPU": {"wire": 1.1},
}


class Targets:
    def __init__(self, report):
        self.report = report

    def add(self, front, key, what, figure, why="", least=False):
        bound = BOUNDS[key].get(front)
        met = None
        if figure is not None and bound is not None:
            met = figure >= bound if least else figure <= bound
        sign = ">=" if least else "<="
        self.report.targets.append({
            "front": front, "what": what, "figure": figure, "met": met, "why": why,
            "bound": "-" if bound is None else "%s %g" % (sign, bound)})

    def cpu(self, load, name, **more):
        return self.report.median(load, name, connections=8, **more)


def ratio(a, b):
    return a / b if a is not None and b else None


def against_peers(targets, front):
    name, report = postern(front), targets.report
    own = targets.cpu(FULL, name)
    where = profile_cpu.told(report, FULL, name)
    targets.add(front, "opendkim", "CPU a message / opendkim's",
                ratio(own, targets.cpu(FULL, "opendkim")), where)
    cost = [targets.cpu(FULL, peer) for peer in CHAIN]
    targets.add(front, "chain", "CPU of opendkim, opendmarc, pyspf-milter together / postern's",
                ratio(sum(cost), own) if None not in cost else None, where, least=True)
    targets.add(front, "chain", "CPU of rspamd / postern's",
                ratio(targets.cpu(FULL, "rspamd"), own), where, least=True)


def against_null(targets, front):
    name, report = postern(front), targets.report
    own, null = targets.cpu(FULL, name), targets.cpu(FULL, NULL)
    crypto = profile_cpu.share(report, FULL, name, "libcrypto", "libopendkim")
    targets.add(front, "beside crypto", "CPU outside libcrypto and libopendkim / null filter's",
                ratio(own * (1 - crypto), null) if own and crypto is not None else None,
                "%s\n%s" % (profile_cpu.told(report, FULL, name, 8),
                           profile_cpu.told(report, FULL, NULL)))
    p99 = [report.median(FULL, one, "session.p99_us", connections=64) for one in (name, NULL)]
    targets.add(front, "p99", "p99 of a message at 64 connections / null filter's", ratio(*p99),
                profile_cpu.told(report, FULL, name))
    own = targets.cpu(ENVELOPE, name)
    where = "%s\n%s" % (profile_cpu.told(report, ENVELOPE, name, 8),
                        profile_cpu.told(report, ENVELOPE, NULL))
    for null in (NULL, "null, no header no body"):
        targets.add(front, "envelope", "recipients and lists, CPU / that of %s" % null,
                    ratio(own, targets.cpu(ENVELOPE, null)), where)


def cold_of(report, name, **more):
    runs = report.runs(latency.COLD, name, **more)
    return runs[0] if runs else None


def waiting(targets, front):
    name, report = postern(front), targets.report
    one = cold_of(report, name, latency=latency.USUAL, round_trip=0, connections=1)
    many = cold_of(report, name, latency=latency.USUAL, round_trip=0, connections=latency.MANY)
    why = "" if not one else "%.1f questions a message: %.0f ms if asked one by one; mean wait " \
        "%.1f ms" % (one["questions_per_message"],
                     one["questions_per_message"] * latency.USUAL, one["mean_wait_ms"])
    targets.add(front, "cold", "50 ms an answer, cold: wait / longest chain, with a key's only "
                "after RCPT", one and one["wait_per_spoken_chain"], why)
    targets.add(front, "cold", "the same / longest chain of DNS alone",
                one and one["wait_per_chain"],
                "a key's name stands in the header, which comes after the reply to RCPT; nothing "
                "else waits for an answer that it does not need")
    targets.add(front, "at once", "%d such clients at once: mean wait / that of one" % latency.MANY,
                many and one and many["mean_wait_ms"] / one["mean_wait_ms"],
                many and one and "%.1f ms and %.1f ms; %d cold messages are %.0f ms of processor "
                "time for postern alone, beside name servers and load program on %d cores" % (
                    many["mean_wait_ms"], one["mean_wait_ms"], latency.MANY,
                    many["cpu_us_per_message"] * latency.MANY / 1e3, os.cpu_count()))
    slow = {"round_trip": 100, "pipelined": False, "connections": 1}
    covered = cold_of(report, name, latency=20, **slow)
    null = cold_of(report, NULL, latency=0, **slow)
    for key, what, why in (
            ("envelope_wait_ms", "ms before the message above null filter's, 20 ms an answer, "
             "100 ms a round trip",
             "no answer of the DNS is in it: that is the work of four stages"),
            ("wait_ms", "ms in all above null filter's, the same",
             "a key's name comes with the header, and with it the end of the message")):
        targets.add(front, "covered", what, covered and null and covered[key] - null[key], why)


def idling(targets, front):
    name, report = postern(front), targets.report
    for level in (5000, 19000):
        targets.add(front, "idle kB", "kB for each of %d idle sessions" % level,
                    report.median(idle.LOAD, name, "kb_per_idle_session", idle=level))
        targets.add(front, "idle CPU", "CPU a message beside %d idle sessions / beside none"
                    % level, ratio(report.median(idle.LOAD, name, idle=level),
                                   report.median(idle.LOAD, name, idle=0)))


def measure(report, fronts):
    targets = Targets(report)
    for front in [one or "libmilter" for one in fronts]:
        for part in (against_peers, against_null, waiting, idling):
            part(targets, front)


def print_table(report):
    print("\n%-10s %-78s %9s %8s" % ("target", "", "figure", "bound"))
    for one in report.targets:
        if one["figure"] is None:
            continue
        word = {None: "", True: "met", False: "NOT MET"}[one["met"]]
        print("%-10s %-78s %9.3f %8s  %s" % (one["front"], one["what"], one["figure"],
                                             one["bound"], word))
        for line in one["why"].split("\n") if one["met"] is False and one["why"] else ():
            print("%11s%s" % ("", line))
