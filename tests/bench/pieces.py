# SPDX-License-Identifier: MIT
"""The pieces that run for every command: processor time, and instructions as callgrind counts."""

import json
import os
import re
import shutil
import subprocess

from procs import folder, read

CALLS = 200
# A row of bench_decide, the function in it that is counted, with all that it calls.
COUNTED = (("decide_100_rules", "decide"), ("decide_100_rules_message", "decide"),
           ("decide_needs_100_rules", "decide_needs"),
           ("template_expand_reply_new", "template_expand"),
           ("template_expand_reply_new", "reply_new"), ("audit_line_24_fields", "audit_line"),
           ("mailbox_parse", "mailbox_parse"), ("mailbox_parse_hard", "mailbox_parse"),
           ("addr_parse", "addr_parse"), ("addr_parse_ipv6", "addr_parse"),
           ("domain_canonical", "domain_canonical"))
DKIM = (("dkim_unsigned_10k_us", "DKIM, 10 kB unsigned"),
        ("dkim_10k_us", "DKIM, 10 kB, RSA-2048, key kept"),
        ("dkim_1M_us", "DKIM, 1 MB, relaxed body"),
        ("dkim_1M_simple_us", "DKIM, 1 MB, simple body"),
        ("key_decoding_us", "decoding such a key in OpenSSL"))


def instructions(program, row, function):
    """Of one call; None where callgrind does not find the function."""
    path = os.path.join(folder("callgrind"), "out")
    subprocess.run(["valgrind", "-q", "--tool=callgrind", "--toggle-collect=" + function,
                    "--callgrind-out-file=" + path, program, row, str(CALLS)],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=120, check=True)
    total = re.search(r"^(?:summary|totals): (\d+)", read(path), re.MULTILINE)
    return int(total.group(1)) / CALLS if total and int(total.group(1)) else None


def measure(report, found):
    result = subprocess.run([found["bench_decide"]], stdout=subprocess.PIPE, timeout=120,
                            check=True)
    for name, nanoseconds in json.loads(result.stdout).items():
        report.add(name.replace("_", " "), nanoseconds / 1e3, "us",
                   {"decide_100_rules": 5.0}.get(name))
    result = subprocess.run([found["bench_dkim"]], stdout=subprocess.PIPE, timeout=120, check=True)
    got = json.loads(result.stdout)
    for name, what in DKIM:
        report.add(what, got[name], "us")
    if not shutil.which("valgrind"):
        print("pieces: no instruction counts, valgrind is not installed (scripts/deps bench)",
              flush=True)
        return
    for row, function in COUNTED:
        counted = instructions(found["bench_decide"], row, function)
        if counted is None:
            report.trouble("callgrind does not find %s in %s" % (function, row))
        else:
            report.add("instructions, %s (%s)" % (function, row.replace("_", " ")), counted, "")
