# SPDX-License-Identifier: MIT
"""What a run of the bench found: figures, loads, and how the loads are put on."""

import json
import subprocess

from filters import Daemon
from procs import Trouble


class Report:
    """The rows of the table; figures with a target are held against it."""

    def __init__(self):
        self.rows, self.loads, self.troubles = [], [], []

    def add(self, what, figure, unit, below=None, at_least=None):
        met = None
        if below is not None:
            met = figure < below
        elif at_least is not None:
            met = figure >= at_least
        self.rows.append({"what": what, "figure": round(figure, 4), "unit": unit, "below": below,
                          "at_least": at_least, "met": met})

    def trouble(self, text):
        self.troubles.append(text)

    def print_rows(self):
        width = max(len(row["what"]) for row in self.rows)
        print("\n%-*s %12s  %-5s %s" % (width, "", "figure", "", "target"))
        for row in self.rows:
            figure = "%.0f" % row["figure"] if row["figure"] >= 1000 else "%.3g" % row["figure"]
            print(("%-*s %12s  %-5s %s" % (width, row["what"], figure, row["unit"], target(row)))
                  .rstrip())

    def print_loads(self):
        print("\n%-22s %4s %-16s %8s %8s %6s %17s %17s %17s" % (
            "load", "conn", "", "msg/s", "CPU us", "cores", "rcpt p50/p99 ms", "eom p50/p99 ms",
            "msg p50/p99 ms"))
        for load in self.loads:
            whole = "session" if load["load"] == "authentication" else "message"
            print(("%-22s %4d %-16s %8.0f %8.1f %6.2f" % (
                load["load"], load["connections"], load["filter"], load["messages_per_second"],
                load["cpu_us_per_message"], load["cpu_share"]))
                + "".join(" %17s" % spread(load["stages"].get(stage))
                          for stage in ("rcpt", "eom", whole)))


def target(row):
    if row["met"] is None:
        return ""
    bound = "< %g" % row["below"] if row["below"] is not None else ">= %g" % row["at_least"]
    return "%-8s %s" % (bound, "met" if row["met"] else "NOT MET")


def spread(stage):
    return "-" if not stage else "%.2f / %.2f" % (stage["p50_us"] / 1e3, stage["p99_us"] / 1e3)


def load(program, server, *arguments, seconds=0):
    """One run of bench_milter_load, as a dictionary."""
    argv = [program, "--socket", server.socket, "--pid", str(server.process.pid)]
    result = subprocess.run(argv + [str(one) for one in arguments], stdout=subprocess.PIPE,
                            timeout=60 + 3 * seconds, check=False)
    server.check_alive()
    if result.returncode != 0:
        raise Trouble("bench_milter_load ended with status %d; the end of the filter's log:\n%s"
                      % (result.returncode, server.log()[-1000:]))
    return json.loads(result.stdout)


def one_load(report, program, what, server, seconds, *arguments, refused=False,
             keep_records=False):
    got = load(program, server, "--seconds", seconds, *arguments, seconds=seconds)
    got.update(load=what, filter=server.name)
    report.loads.append(got)
    print("  %-22s %3d connections, %-16s %6.0f messages/s" % (
        what, got["connections"], server.name, got["messages_per_second"]), flush=True)
    if isinstance(server, Daemon) and not keep_records:
        server.forget_records()
    wrong = (got["deferred"] + got["broken"] + got["unexpected"]
             + (got["accepted"] if refused else got["refused"]))
    if wrong:
        report.trouble("%s, %d connections, %s: %d refused, %d deferred, %d connections closed, "
                       "%d without the results that they must have"
                       % (what, got["connections"], server.name, got["refused"], got["deferred"],
                          got["broken"], got["unexpected"]))
    return got
