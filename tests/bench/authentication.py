# SPDX-License-Identifier: MIT
"""SPF, DKIM and DMARC of real messages: postern beside the filters of Debian, on the same mail
and the same DNS, in turns."""

import json
import os
import re
import subprocess

import profile_cpu
from dnsservers import Nsd, Unbound
from filters import (Daemon, NullFilter, OpenDkim, OpenDmarc, PySpf, Rspamd, missing_peers,
                     negotiated)
from procs import folder, read, wait_until, write
from report import one_load
from world import ENVELOPE, RESULTS, SHIPPED, configuration

MESSAGES, WARMUP = 200, 400
LOAD, ENVELOPE_LOAD = "authentication", "recipients and lists"
CHECKS = ("spf", "dkim", "dmarc")
NR_HEADER_BODY = "0x80080"  # SMFIP_NR_HDR and SMFIP_NR_BODY


def mail():
    """The folder with the messages, and the zones that go with them."""
    place = folder("mail")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mail.py")
    subprocess.run([program, place, str(MESSAGES)], check=True, timeout=120)
    return place, json.loads(read(os.path.join(place, "zones.json")))


def resolver(server):
    """A caching resolver on port 53 before this server, for everything here. It has room for what 64
    clients ask at once: a question that is lost is sent again only after a quarter of a second."""
    unbound = Unbound(server, port=53, options=("cache-max-negative-ttl: 3600",
                                                "infra-host-ttl: 900", "so-rcvbuf: 8m"))
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


class Subject:
    """A filter, the folder of messages that it is given, and what it must add to each."""

    def __init__(self, server, kind="plain", checks=()):
        self.server, self.kind = server, kind
        self.expect = [word for check in checks for word in ("--expect", check + "=pass")]
        self.warm = False

    def arguments(self, place, connections):
        first, self.warm = not self.warm, True
        return ("--connections", connections, "--mail", os.path.join(place, self.kind),
                "--warmup", WARMUP if first else max(WARMUP // 4, connections), *self.expect)


def peer_makers():
    """What makes a Subject of each of Debian's filters, as many as are installed."""
    rows = (("opendkim", OpenDkim, "plain", ("dkim",)),
            ("opendmarc", OpenDmarc, "checked", ("dmarc",)),
            ("pyspf-milter", PySpf, "plain", ("spf",)), ("rspamd", Rspamd, "plain", CHECKS))
    return [lambda kind=kind, mail_kind=mail_kind, checks=checks: Subject(
        kind(), mail_kind, checks) for name, kind, mail_kind, checks in rows
            if name not in missing_peers()]


def peers():
    return [make() for make in peer_makers()]


def start(report, found, fronts, dns):
    """All that are measured, in the order of the table."""
    conf = configuration(dns=dns, rules=SHIPPED + RESULTS)
    daemons = [Daemon(conf, front) for front in fronts]
    program, null = found["bench_milter_load"], found["bench_null_filter"]
    steps = [negotiated(program, daemon) for daemon in daemons]
    report.found["steps"] = dict(zip((daemon.name for daemon in daemons), steps))
    nulls = [NullFilter(null, "plain", "null, all asked"),
             NullFilter(null, NR_HEADER_BODY, "null, NR_HDR NR_BODY"),
             NullFilter(null, steps[0], "null, same steps"),
             NullFilter(null, "skip", "null, no header no body")]
    return daemons, [Subject(one) for one in nulls] + [
        Subject(one, checks=CHECKS) for one in daemons] + peers()


def measure_full(report, found, fronts, dns, place, options):
    daemons, subjects = start(report, found, fronts, dns)
    rounds = 1 if options.quick else 3
    judged = [0, 0]
    few = rounds if options.full else 1
    plan = {8: rounds, 64: min(2 * few, rounds), 1: few, 256: few}
    for at in range(rounds):
        for connections in [one for one, times in plan.items() if at < times]:
            for subject in subjects:
                daemon = subject.server if subject.server in daemons else None
                before = WARMUP if not subject.warm else max(WARMUP // 4, connections)
                brief = options.quick or connections in (1, 256)
                got = one_load(report, found["bench_milter_load"], LOAD, subject.server,
                               1 if brief else 1.5, *subject.arguments(place, connections),
                               keep_records=True)
                if daemon:
                    found_right = judge(report, daemon, got["accepted"] + before)
                    judged = [a + b for a, b in zip(judged, found_right)]
    report.add("messages that postern judged right, of %d" % judged[1], judged[0], "")
    for subject in subjects:
        if subject.server in daemons or subject.server.name == "null, same steps":
            profile_cpu.take(report, LOAD, found["bench_milter_load"], subject.server,
                             *subject.arguments(place, 8))


def measure_envelope(report, found, fronts, dns, place, options):
    """Recipients and lists alone: no rule needs a message."""
    program, null = found["bench_milter_load"], found["bench_null_filter"]
    daemons = [Daemon(configuration(dns=dns, rules=ENVELOPE), front) for front in fronts]
    steps = negotiated(program, daemons[0])
    report.found["steps, recipients and lists"] = steps
    subjects = [Subject(one) for one in (NullFilter(null, "skip", "null, no header no body"),
                                         NullFilter(null, steps, "null, same steps"), *daemons)]
    for _ in range(1 if options.quick else 3):
        for subject in subjects:
            one_load(report, program, ENVELOPE_LOAD, subject.server, 1 if options.quick else 1.5,
                     *subject.arguments(place, 8))
    for subject in subjects[1:]:
        profile_cpu.take(report, ENVELOPE_LOAD, program, subject.server,
                         *subject.arguments(place, 8))


def measure(report, found, fronts, texts, place, options):
    """texts: all zones; place: the messages."""
    dns = resolver(Nsd(texts).at)
    measure_full(report, found, fronts, dns, place, options)
    measure_envelope(report, found, fronts, dns, place, options)
