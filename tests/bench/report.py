# SPDX-License-Identifier: MIT
"""What a run of the bench found: figures, loads, targets, and how the loads are put on."""

import json
import statistics
import subprocess

from filters import Daemon
from procs import Trouble


class Report:
    """The rows of the tables; figures with a target are held against it."""

    def __init__(self):
        self.rows, self.loads, self.targets, self.troubles = [], [], [], []
        self.profiles, self.chains, self.found = {}, {}, {}

    def add(self, what, figure, unit, below=None, at_least=None):
        met = None
        if below is not None:
            met = figure < below
        elif at_least is not None:
            met = figure >= at_least
        self.rows.append({"what": what, "figure": figure, "unit": unit, "below": below,
                          "at_least": at_least, "met": met})

    def trouble(self, text):
        self.troubles.append(text)

    def runs(self, load, name=None, **more):
        """The rounds of a load: those of this filter, and with these values."""
        return [one for one in self.loads if one["load"] == load
                and (name is None or one["filter"] == name)
                and all(one.get(key) == value for key, value in more.items())]

    def median(self, load, name, figure="cpu_us_per_message", **more):
        """The median over the rounds of a figure, or of stage.percentile; None: not measured."""
        stage, _, percentile = figure.rpartition(".")
        found = [one["stages"].get(stage, {}).get(percentile) if stage else one.get(figure)
                 for one in self.runs(load, name, **more)]
        found = [one for one in found if one is not None]
        return statistics.median(found) if found else None

    def filters(self, load):
        """Those that were measured with it, in the order of their first rounds."""
        return list(dict.fromkeys(one["filter"] for one in self.runs(load)))

    # ---- tables ----

    def print_rows(self):
        if not self.rows:
            return
        width = max(len(row["what"]) for row in self.rows)
        print("\n%-*s %12s  %-5s %s" % (width, "", "figure", "", "target"))
        for row in self.rows:
            print(("%-*s %12s  %-5s %s" % (width, row["what"], short(row["figure"]), row["unit"],
                                           target(row))).rstrip())

    def print_load(self, load, title, whole="message"):
        """A line for each filter and number of connections, medians over the rounds."""
        keys = sorted({(one["connections"], one["idle"]) for one in self.runs(load)})
        if not keys:
            return
        print("\n%-34s %5s %8s %8s %6s %17s %17s %24s %6s" % (
            title, "conn", "msg/s", "CPU us", "cores", "rcpt p50/p99 ms", "eom p50/p99 ms",
            whole + " p50/95/99 ms", "MB"))
        for connections, idle in keys:
            for name in self.filters(load):
                more = {"connections": connections, "idle": idle}
                if self.runs(load, name, **more):
                    self._print_line(load, name, more, whole)

    def _print_line(self, load, name, more, whole):
        def of(figure):
            return self.median(load, name, figure, **more)

        def spread(stage, *percentiles):
            found = [of("%s.%s_us" % (stage, one)) for one in percentiles]
            return "-" if None in found else " / ".join("%.2f" % (one / 1e3) for one in found)
        idle = " + %d idle" % more["idle"] if more["idle"] else ""
        print("  %-32s %5d %8.0f %8.1f %6.2f %17s %17s %24s %6.1f" % (
            name + idle, more["connections"], of("messages_per_second"), of("cpu_us_per_message"),
            of("cpu_share"), spread("rcpt", "p50", "p99"), spread("eom", "p50", "p99"),
            spread(whole, "p50", "p95", "p99"), of("rss_kb") / 1024))


def short(figure):
    return "%.0f" % figure if abs(figure) >= 1000 else "%.3g" % figure


def target(row):
    if row["met"] is None:
        return ""
    bound = "< %g" % row["below"] if row["below"] is not None else ">= %g" % row["at_least"]
    return "%-8s %s" % (bound, "met" if row["met"] else "NOT MET")


# ---- loads ----

def load(program, server, *arguments, seconds=0):
    """One run of bench_milter_load, as a dictionary."""
    argv = [program, "--socket", server.socket, "--pid", ",".join(server.pids())]
    result = subprocess.run(argv + [str(one) for one in arguments], stdout=subprocess.PIPE,
                            timeout=320 + 3 * seconds, check=False)
    server.check_alive()
    if result.returncode != 0:
        raise Trouble("bench_milter_load ended with status %d; the end of the filter's log:\n%s"
                      % (result.returncode, server.log()[-1000:]))
    return json.loads(result.stdout)


def one_load(report, program, what, server, seconds, *arguments, refused=False,
             keep_records=False, **more):
    """more: what the run is found by later, beside its load, filter and connections."""
    got = load(program, server, "--seconds", seconds, *arguments, seconds=seconds)
    got.update(load=what, filter=server.name, **more)
    report.loads.append(got)
    print("  %-22s %3d connections, %5d idle, %-22s %6.0f messages/s" % (
        what, got["connections"], got["idle"], server.name, got["messages_per_second"]),
        flush=True)
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
