# SPDX-License-Identifier: MIT
"""Many sessions that say nothing, and few beside them whose clients take 3 ms to each command."""

from authentication import peers, resolver
from dnsservers import Nsd
from filters import Daemon, NullFilter, negotiated
from procs import Trouble
from report import load, one_load
from world import RESULTS, SHIPPED, configuration

LOAD = "3 ms a command"
LEVELS, PEER_LEVELS = (0, 1000, 5000, 19000), (0, 1000, 5000)
ENOUGH = 20  # messages; a figure of fewer says nothing


def one_level(report, program, server, place, kind, idle, seconds):
    """The memory of one that has served a few messages is what idle sessions are held against."""
    messages = ("--connections", 8, "--mail", "%s/%s" % (place, kind))
    before = load(program, server, *messages, "--messages", 300, "--seconds", 5)["rss_kb"]
    try:
        got = one_load(report, program, LOAD, server, seconds, *messages, "--round-trip", 3,
                       "--warmup", 16, "--idle", idle)
    except Trouble as error:
        report.trouble("%s with %d idle sessions: %s" % (server.name, idle, error))
        return
    if got["messages"] < ENOUGH:
        report.trouble("%s with %d idle sessions: only %d messages" % (server.name, idle,
                                                                       got["messages"]))
        report.loads.remove(got)
    elif idle:
        got["kb_per_idle_session"] = (got["rss_idle_kb"] - before) / idle


def measure(report, found, fronts, texts, place, options):
    dns = resolver(Nsd(texts).at)
    program = found["bench_milter_load"]
    conf = configuration(dns=dns, rules=SHIPPED + RESULTS)
    seconds = 1 if options.quick else 2
    probe = Daemon(conf, fronts[0])
    steps = negotiated(program, probe)
    probe.stop()
    for at in range(1 if options.quick else 3):
        for idle in LEVELS:
            again = at > 0 and not options.full  # the front whose targets these are
            makers = [lambda front=front: Daemon(conf, front)
                      for front in (fronts[-1:] if again else fronts)]
            if not again:
                makers.insert(0, lambda: NullFilter(found["bench_null_filter"], steps,
                                                    "null, same steps"))
            for make in makers:
                server = make()
                one_level(report, program, server, place, "plain", idle, seconds)
                server.stop()
    for idle in LEVELS if options.full else () if options.quick else PEER_LEVELS:
        for subject in peers():
            one_level(report, program, subject.server, place, subject.kind, idle, seconds)
            subject.server.stop()


def print_table(report):
    report.print_load(LOAD, "3 ms between commands", "wait")
    rows = sorted({(one["idle"], one["filter"]) for one in report.runs(LOAD) if one["idle"]})
    if rows:
        print("\n%-34s %10s" % ("memory", "kB/idle session"))
    for idle, name in rows:
        print("  %-32s %10.2f" % ("%s, %d" % (name, idle), report.median(
            LOAD, name, "kb_per_idle_session", idle=idle)))
