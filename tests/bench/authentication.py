# SPDX-License-Identifier: MIT
"""SPF, DKIM and DMARC of real messages: postern beside the filters of Debian, on the same mail
and the same DNS, in turns."""

import json
import os
import re
import subprocess

import sandbox
from dnsservers import Nsd, Unbound
from filters import PEERS, Daemon, NullFilter, OpenDkim, OpenDmarc, PySpf, missing_peers
from procs import folder, read, wait_until, write
from report import load, one_load, spread

MESSAGES, WARMUP, CONNECTIONS, ROUNDS = 200, 400, 8, 3
LOAD = "authentication"

# Beside the rules: what was found out is told on top of each message.
RESULTS = """
results { authserv_id mx.bench.example; add spf dkim dmarc arc iprev dnswl; }
"""
CHECKS = ("spf", "dkim", "dmarc")


def mail():
    """The folder with the messages, and the zones that go with them."""
    place = folder("mail")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mail.py")
    subprocess.run([program, place, str(MESSAGES)], check=True, timeout=120)
    return place, json.loads(read(os.path.join(place, "zones.json")))


def resolver(zones):
    """A caching resolver on port 53 before a server of these zones, for everything here."""
    nsd = Nsd(zones)
    unbound = Unbound(nsd.at, port=53, options=("cache-max-negative-ttl: 3600",
                                                "infra-host-ttl: 900"))
    conf = write(os.path.join(unbound.dir, "resolv.conf"), "nameserver %s\n" % unbound.address)
    subprocess.run(["mount", "--bind", conf, "/etc/resolv.conf"], check=True)
    return unbound


def judge(report, daemon, accepted):
    """Trouble unless each message has its record, and each record tells of the three passes;
    returns the number of those that do, and of all."""
    path = os.path.join(daemon.dir, "audit")
    wait_until("postern's records", lambda: read(path).count("\n") >= accepted)
    lines = read(path).split("\n")[:-1]
    right = [line for line in lines
             if all(re.search(r' %s\.result="?pass\b' % check, line) for check in CHECKS)]
    if len(right) < len(lines):
        wrong = next(line for line in lines if line not in right)
        report.trouble("%d of %d audit records of genuine messages without the three passes; "
                       "one is: %s" % (len(lines) - len(right), len(lines), wrong[:2000]))
    daemon.forget_records()
    return len(right), len(lines)


def best(report, name):
    """The load of this filter that took the least processor time: others use the machine, too."""
    runs = [one for one in report.loads if one["load"] == LOAD and one["filter"] == name]
    return min(runs, key=lambda one: one["cpu_us_per_message"]) if runs else None


def start(found, conf):
    """(filter, folder of messages, texts that it must add), in the order of the table."""
    daemon = Daemon(conf)
    steps = load(found["bench_milter_load"], daemon, "--connections", 0, "--idle", 1)["steps"]
    null, plain = (NullFilter(found["bench_null_filter"], one) for one in (steps, "plain"))
    null.name, plain.name = "null, same steps", "null, all steps"
    rows = [(null, "plain", ()), (plain, "plain", ()),
            (daemon, "plain", [check + "=pass" for check in CHECKS])]
    if not missing_peers():
        rows += [(OpenDkim(), "plain", ("dkim=pass",)), (OpenDmarc(), "checked", ("dmarc=pass",)),
                 (PySpf(), "plain", ("spf=pass",))]
    return daemon, rows


def targets(report):
    postern = best(report, "postern")["cpu_us_per_message"]
    report.add("CPU, postern (authentication)", postern, "us")
    for name in ("null, same steps", "null, all steps"):
        report.add("  postern / " + name, postern / best(report, name)["cpu_us_per_message"], "")
    peers = {name: best(report, name) for name in PEERS}
    if not all(peers.values()):
        return
    cost = {name: one["cpu_us_per_message"] for name, one in peers.items()}
    for name in PEERS:
        report.add("CPU, " + name, cost[name], "us")
    report.add("  postern / opendkim", postern / cost["opendkim"], "", below=1)
    report.add("  the three together / postern", sum(cost.values()) / postern, "", at_least=6)


def measure(report, found, conf, zones, head, seconds):
    """conf: the configuration, with {dns} left open; zones: what the lists and rules ask for;
    head: what a zone begins with."""
    if sandbox.inside() != "private":
        print("authentication: left out, it needs root and a private network", flush=True)
        return
    if missing_peers():
        print("authentication: %s not installed; tests/bench/run --peers installs them"
              % ", ".join(missing_peers()), flush=True)
    place, more = mail()
    dns = resolver({**zones, **{zone: head + text for zone, text in more.items()}})
    daemon, rows = start(found, conf.replace("{dns}", dns.at) + RESULTS)
    judged = [0, 0]
    for _ in range(ROUNDS):
        for server, kind, texts in rows:
            expect = [word for text in texts for word in ("--expect", text)]
            got = one_load(report, found["bench_milter_load"], LOAD, server, seconds,
                           "--connections", CONNECTIONS, "--mail", os.path.join(place, kind),
                           "--warmup", WARMUP, *expect, keep_records=True)
            if server is daemon:
                found_right = judge(report, daemon, got["accepted"] + WARMUP)
                judged = [a + b for a, b in zip(judged, found_right)]
    report.add("messages that postern judged right, of %d" % judged[1], judged[0], "")
    targets(report)


def print_table(report):
    postern = best(report, "postern")
    if postern is None:
        return
    print("\n%-18s %14s %10s %11s %22s  %s" % (
        "authentication", "CPU us/message", "/ postern", "messages/s", "whole p50 / p99 ms", "RSS"))
    for name in ("null, same steps", "null, all steps", "postern", *PEERS):
        one = best(report, name)
        if one:
            print("%-18s %14.0f %10.2f %11.0f %22s  %.0f MB" % (
                name, one["cpu_us_per_message"],
                one["cpu_us_per_message"] / postern["cpu_us_per_message"],
                one["messages_per_second"], spread(one["stages"]["session"]),
                one["rss_kb"] / 1024))
