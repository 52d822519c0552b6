# SPDX-License-Identifier: MIT
"""The configuration that is measured, the fronts that it can be measured on, and its DNS."""

import os
import subprocess

from daemon import binary
from procs import ROOT, folder, write

RECIPIENTS, CLIENTS, RULES, ENTRIES = 100000, 5000, 10000, 100000
USUAL_CLIENTS = 200  # of the loads whose DNS answers are in the cache after the first messages

# What a policy looks like that reads whole messages; neither rule is ever true.
MESSAGE_RULES = """
rule marked { when header('X-Bench') == "never"; reply 550 5.7.1 "marked"; }
rule huge { when message.size > 1000000000; reply 552 5.3.4 "too big"; }
"""

CONF = """
hostname mx.bench.example;
state_dir {dir}/state;
listen mx { socket unix:{dir}/postern.sock; perm 0600; mode enforce; }
resolver { servers {dns}; }
audit { to file:{dir}/audit; accepted yes; }
table ours { example.org; example.net; }
table trusted { 127.0.0.0/8; ::1; 192.0.2.0/26; }
table forwarders { 203.0.113.25; };
table forwarder_domains { lists.bench.example; };
table users file:{users};
recipients { domains ours; known users; }
dnsbl zen { zone zen.bench.example; listed 127.0.0.2-11; weight 3; }
dnsbl dnswl { zone dnswl.bench.example; listed 127.0.*.1-3; weight -2; }
dnsbl dbl { zone dbl.bench.example; ask sender.domain helo; listed 127.0.1.2-199; weight 3; }
"""
SHIPPED = "include {root}/etc/rules.d/*.conf;\n"
# Recipients and lists, and nothing that a message is needed for.
ENVELOPE = "".join("include {root}/etc/rules.d/%s.conf;\n" % name for name in
                   ("10-exemptions", "20-recipients", "30-senders", "40-lists"))
# Beside the rules: what was found out is told on top of each message.
RESULTS = """
results { authserv_id mx.bench.example; add spf dkim dmarc arc iprev dnswl; }
"""


def zones():
    """Clients with forward-confirmed names, sender domains with MX and A, and three lists with
    nothing but their test entries."""
    pointers, names = [], ["client A 198.18.255.1"]
    for i in range(CLIENTS):
        # As bench_milter_load numbers them.
        pointers.append("%d.%d PTR c%d.bench.example." % (i % 250 + 1, i // 250, i))
        names.append("c%d A 198.18.%d.%d" % (i, i // 250, i % 250 + 1))
        names.append("s%d MX 10 mx.bench.example.\ns%d A 198.18.255.2\n"
                     's%d TXT "v=spf1 ip4:198.18.0.0/16 -all"' % (i, i, i))
    lists = {zone + ".bench.example": "2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"test entry\""
             for zone in ("zen", "dnswl")}
    lists["dbl.bench.example"] = "test A 127.0.1.2\ntest TXT \"test entry\""
    lists["dnswl.bench.example"] = "2.0.0.127 A 127.0.0.2\n2.0.0.127 A 127.0.5.1"
    texts = {"bench.example": "\n".join(names), "18.198.in-addr.arpa": "\n".join(pointers), **lists}
    # What is not there may be cached for the whole run, too.
    head = "$TTL 3600\n@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 3600\n@ NS ns.invalid.\n"
    return {zone: head + text for zone, text in texts.items()}, head


_users = {}


def configuration(recipients=RECIPIENTS, dns=None, rules=SHIPPED):
    """The configuration; {dns} is left open without dns, {dir} in any case."""
    if recipients not in _users:
        _users[recipients] = write(os.path.join(folder("users"), "recipients"), "".join(
            "user%d@example.org\n" % i for i in range(recipients)))
    conf = (CONF + rules).replace("{users}", _users[recipients]).replace("{root}", ROOT)
    return conf.replace("{dns}", dns.at) if dns else conf


def fronts():
    """The fronts that this postern has, the one that it starts from first."""
    place = folder("front")
    os.mkdir(os.path.join(place, "state"))
    path = write(os.path.join(place, "postern.conf"), "front wire;\n" + configuration(1).replace(
        "{dns}", "127.0.0.1@9").replace("{dir}", place))
    checked = subprocess.run([binary(), "check", "-c", path], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, timeout=120, check=False)
    return ("libmilter", "wire") if checked.returncode == 0 else (None,)


def big_policy():
    lines = [configuration(1, rules="").replace("{dns}", "127.0.0.1@9"), "table big {"]
    lines += [" d%d.example.com;" % i for i in range(ENTRIES)]
    lines.append("}\nrule in-big { when sender.domain in big; reply 550 5.7.1 \"no\"; }")
    conditions = ('sender.domain == "x%(i)d.example.net"',
                  "client.ip in { 10.%(a)d.%(b)d.0/24, 172.16.%(a)d.%(b)d }",
                  'helo == "h%(i)d.example.net" and not client.ip in trusted',
                  "dnsbl.score >= 2 and sender.local in { bounce%(i)d, news%(i)d }")
    for i in range(RULES):
        when = conditions[i % 4] % {"i": i, "a": i // 256, "b": i % 256}
        lines.append("rule r%d { when %s;\n    reply 550 5.7.1 \"%%{client.ip} is not welcome\"; }"
                     % (i, when))
    # Rules that hold others to the end of the message stand below them.
    lines.append(SHIPPED.replace("{root}", ROOT))
    return "\n".join(lines)
