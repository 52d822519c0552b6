# SPDX-License-Identifier: MIT
"""Start-up, and loads of made-up messages: what an everyday session costs."""

import os
import subprocess
import time

from daemon import binary
from dnsservers import Nsd
from filters import Daemon, NullFilter, negotiated
from procs import folder, read, write
from report import one_load
from world import (CLIENTS, ENTRIES, MESSAGE_RULES, RECIPIENTS, RULES, USUAL_CLIENTS, big_policy,
                   configuration)

CONNECTIONS = (1, 8, 64)
USUAL = ("--clients", USUAL_CLIENTS, "--senders", USUAL_CLIENTS, "--users", RECIPIENTS,
         "--warmup", 2 * USUAL_CLIENTS)


def measure_start(report, dns):
    def one(recipients):
        runs = []
        for _ in range(3):
            daemon = Daemon(configuration(recipients, dns))
            runs.append((daemon.start_seconds, daemon.rss()))
            daemon.stop()
        return min(runs)
    seconds, megabytes = one(1)
    report.add("start-up, 1 recipient", seconds, "s")
    report.add("memory after it", megabytes, "MB")
    seconds, megabytes = one(RECIPIENTS)
    report.add("start-up, %d recipients" % RECIPIENTS, seconds, "s", 0.5)
    report.add("memory after it", megabytes, "MB", 40)


def measure_check(report):
    place = folder("check")
    os.mkdir(os.path.join(place, "state"))
    path = write(os.path.join(place, "postern.conf"), big_policy().replace("{dir}", place))
    spent = []
    for _ in range(2):
        begun = time.monotonic()
        with open(os.path.join(place, "out"), "w", encoding="utf-8") as out:
            result = subprocess.run([binary(), "check", "-c", path], stdout=out, stderr=out,
                                    timeout=120, check=False)
        spent.append(time.monotonic() - begun)
        if result.returncode != 0:
            report.trouble("postern check of the big policy: status %d: %s"
                           % (result.returncode, read(os.path.join(place, "out"))[-500:]))
    report.add("check of %d rules, %d inline entries" % (RULES, ENTRIES), min(spent), "s", 1)


def measure_cold(report, program, daemon, seconds):
    """Each client and each sender is new: nothing is in any cache."""
    one_load(report, program, "all DNS uncached", daemon, seconds * 2, "--connections", 8,
             "--per-connection", 1, "--clients", CLIENTS, "--senders", CLIENTS,
             "--messages", CLIENTS - 100, "--users", RECIPIENTS)


def measure_loads(report, program, servers, seconds):
    for what, more in (("session per message", ("--per-connection", 1)), ("one session", ())):
        for connections in CONNECTIONS:
            for server in servers:
                one_load(report, program, what, server, seconds, "--connections", connections,
                         *USUAL, *more)
    for daemon in servers[1:]:
        one_load(report, program, "every recipient refused", daemon, seconds, "--connections", 8,
                 *USUAL, "--unknown", 100, refused=True)


def measure_messages(report, found, daemons, seconds):
    """A policy that needs header fields and bodies, and the null filter with the same steps."""
    program = found["bench_milter_load"]
    null = NullFilter(found["bench_null_filter"], negotiated(program, daemons[0]))
    for server in (null, *daemons):
        one_load(report, program, "headers and body", server, seconds, "--connections", 8, *USUAL)


def measure(report, found, fronts, texts, options):
    seconds = 2 if options.full else 1
    dns = Nsd(texts)
    print("start-up and check ...", flush=True)
    measure_start(report, dns)
    measure_check(report)
    program = found["bench_milter_load"]
    daemons = [Daemon(configuration(dns=dns), front) for front in fronts]
    print("loads ...", flush=True)
    for daemon in daemons:
        measure_cold(report, program, daemon, seconds)
    steps = negotiated(program, daemons[0])
    null = NullFilter(found["bench_null_filter"], steps, "null, same steps")
    measure_loads(report, program, [null, *daemons], seconds)
    for daemon in daemons:
        report.add("memory after these loads, " + daemon.name, daemon.rss(), "MB")
        lost, records = daemon.lost_records()
        report.add("audit records lost, of %d" % records, lost, "")
    measure_messages(report, found, [
        Daemon(configuration(dns=dns) + MESSAGE_RULES, front) for front in fronts], seconds)
