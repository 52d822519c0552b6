# SPDX-License-Identifier: MIT
"""Where a filter spends its processor time, by perf: parts of the program, and functions."""

import collections
import os
import re
import shutil
import subprocess

from procs import folder
from report import load

# What a file that code was loaded from is called in the tables.
PARTS = ((r"^\[", "kernel"), (r"^libcrypto", "libcrypto"), (r"^libopendkim", "libopendkim"),
         (r"^libmilter", "libmilter"), (r"^(libc|ld-linux)", "libc"),
         (r"^libunbound", "libunbound"), (r"^libevent", "libevent"), (r"^postern$", "postern"))


def part_of(name):
    return next((part for pattern, part in PARTS if re.match(pattern, name)), name)


def take(report, what, program, server, *arguments):
    """Profiles a filter under this load; its shares, largest first, are kept in the report."""
    if not shutil.which("perf"):
        report.found["perf"] = "not installed: scripts/deps bench"
        return
    path = os.path.join(folder("perf"), "perf.data")
    with open(path + ".log", "wb") as log:
        recorder = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o",
                                     path, "-p", ",".join(server.pids())],
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        load(program, server, "--seconds", 2, *arguments, seconds=2)
        recorder.send_signal(2)
        recorder.wait(30)
    told = subprocess.run(["perf", "report", "-i", path, "--stdio", "-F", "overhead,dso,symbol",
                           "-t", ";", "--percent-limit", "0", "--no-children"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=60, check=False).stdout.decode()
    parts, functions = collections.Counter(), collections.Counter()
    for line in told.splitlines():
        fields = [field.strip() for field in line.split(";")]
        if line.startswith("#") or len(fields) != 3 or not fields[0].endswith("%"):
            continue
        share, part = float(fields[0][:-1]), part_of(fields[1])
        parts[part] += share
        functions["%s:%s" % (part, re.sub(r"^\[.\] ", "", fields[2]))] += share
    if not parts:
        report.found["perf"] = "tells nothing on this machine"
        return
    report.profiles.setdefault(what, {})[server.name] = {
        "parts": dict(parts.most_common()), "functions": dict(functions.most_common(60))}


def told(report, what, name, count=6):
    """What a message costs, in words: microseconds by part, and the heaviest functions there that
    are not the kernel's or a library's for everybody."""
    found = report.profiles.get(what, {}).get(name)
    if not found:
        return "no profile: perf %s" % report.found.get("perf", "was not asked")
    cost = report.median(what, name, connections=8)
    own = [(one.split(":")[1], share) for one, share in found["functions"].items()
           if one.split(":")[0] in ("postern", "libmilter", "libopendkim")]
    return "%s %.0f us: %s%s" % (
        name, cost, ", ".join("%s %.1f" % (part, share * cost / 100)
                              for part, share in found["parts"].items() if share >= 1),
        ("; of it " if own else "") + ", ".join("%s %.1f" % (one, share * cost / 100)
                                 for one, share in own[:count]))


def share(report, what, name, *parts):
    """What these parts take of the time, 0 to 1; None without a profile."""
    found = report.profiles.get(what, {}).get(name)
    return found and sum(found["parts"].get(part, 0) for part in parts) / 100
