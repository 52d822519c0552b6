#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
# time limit: 60 s
"""The records: where they go, what never delays a reply, and what is in them."""

import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

syslog = Syslog.shared()
RULES = """
state_dir {dir}/state;
listen mx { socket {socket}; perm 0666; }
resolver { servers 127.0.0.1@9; }
table ours { example.test; }
recipients { domains ours; }
rule word   { when rcpt.local == word;  reply 550 5.7.1 "<%{rcpt}>: a word"; }
rule later  { when rcpt.local == later; reply 451 4.7.1 "later"; }
rule worm   { when header('Subject') matches 'worm'; reply 554 5.7.1 "no worms"; }
rule watch  { when header('Subject') matches 'watch'; observe; accept; }
"""
HEAD = ["id", "verdict", "stage", "rule", "at", "reply", "client", "name", "helo", "sender", "rcpt", "qid", "listener", "observed"]


def daemon(audit):
    return Postern(conf="audit { %s }\n" % audit + RULES)


def talk(postern, recipient="word", subject="x", sender="x@example.net", helo="client.example.net"):
    """One transaction; returns what was answered last."""
    with Milter(postern.milter) as milter:
        milter.greet(helo=helo)
        got = milter.message("<%s>" % sender, ["<%s@example.test>" % recipient], [("Subject", subject)])
        milter.quit()
    return got["end"]


def records_in_syslog(sender):
    return [entry for entry in syslog.lines("postern") if "sender=%s " % sender in entry.text]


everyday = daemon("to file:{dir}/audit;")


@case("to syslog: facility mail, level info, the daemon's name and number, one line a record")
def _():
    postern = daemon("to syslog;")
    same(talk(postern, sender="one@example.net").code, 550)
    entry = wait_until("the record", lambda: records_in_syslog("one@example.net"))[0]
    same((entry.facility, entry.severity, entry.ident, entry.pid is not None), ("mail", "info", "postern", True))
    fields = record(entry.text)
    same((fields["verdict"], fields["rule"], fields["rcpt"]), ("reject", "word", "word@example.test"))
    expect(not os.path.exists(postern.audit_path), "no file")
    # A syslog daemon that is started anew is found again.
    global syslog
    syslog.stop()
    same(talk(postern, sender="nobody@example.net").code, 550)
    # The private /dev is there already.
    Syslog._private_dev = lambda self: None
    syslog = everyday.syslog = Syslog.shared()

    def again():
        talk(postern, sender="two@example.net")
        return records_in_syslog("two@example.net")
    wait_until("records to come again", again)
    postern.stop()


@case("to a file and to syslog: the same record in both")
def _():
    postern = daemon("to syslog file:{dir}/audit;")
    same(talk(postern, sender="both@example.net").code, 550)
    entry = wait_until("the record in syslog", lambda: records_in_syslog("both@example.net"))[0]
    fields = postern.wait_audit(sender="both@example.net")[0]
    same(record(entry.text), fields)
    line = read(postern.audit_path)
    matches(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d postern\[%d\]: id=" % postern.process.pid)
    same(os.stat(postern.audit_path).st_mode & 0o777, 0o640)
    postern.stop()


@case("the file is opened anew at SIGHUP, so that logrotate can rename it, and no record is lost")
def _():
    talk(everyday, sender="before@example.net")
    everyday.wait_audit(sender="before@example.net")
    os.rename(everyday.audit_path, everyday.audit_path + ".1")
    talk(everyday, sender="between@example.net")
    wait_until("the record in the old file", lambda: "between@example.net" in read(everyday.audit_path + ".1"))
    everyday.reload()
    talk(everyday, sender="after@example.net")
    everyday.wait_audit(sender="after@example.net")
    expect("after@example.net" not in read(everyday.audit_path + ".1"), "the new record is in the new file alone")
    same(len(everyday.audit()), 1)
    # Records of a burst, with rotations in the middle of it.
    for number in range(100):
        talk(everyday, sender="burst%d@example.net" % number)
        if number % 20 == 10:
            os.rename(everyday.audit_path, "%s.burst%d" % (everyday.audit_path, number))
            everyday.reload()
    place = os.path.dirname(everyday.audit_path)

    def everything():
        text = "".join(read(os.path.join(place, name)) for name in os.listdir(place) if name.startswith("audit"))
        found = re.findall(r"sender=burst(\d+)@", text)
        return sorted(map(int, found)) == list(range(100))
    wait_until("all hundred records, once each", everything)


@case("another place is taken at SIGHUP; a configuration whose file cannot be opened is not taken at all")
def _():
    whole = everyday.whole
    everyday.write_conf(conf=whole.replace("{dir}/audit", "{dir}/other"))
    everyday.reload()
    talk(everyday, sender="moved@example.net")
    wait_until("the record in the new place", lambda: "moved@example.net" in read(everyday.dir + "/other"))
    expect("moved@example.net" not in read(everyday.audit_path), "not in the old one")
    taken = len([line for line in everyday.messages() if "postern.conf taken: " in line])
    everyday.write_conf(conf=whole.replace("{dir}/audit", "{dir}/missing/audit").replace("local == word", "local == new"))
    everyday.reload()
    everyday.wait_message(r"error: \S+postern\.conf:\d+:\d+: error: cannot open \S+missing/audit .*No such file.*able to write")
    everyday.wait_message(r"postern\.conf was not taken \(1 error\); the configuration of before goes on")
    same(len([line for line in everyday.messages() if "postern.conf taken: " in line]), taken)
    talk(everyday, "new", sender="stayed@example.net")
    wait_until("the record in the place before", lambda: "stayed@example.net" in read(everyday.dir + "/other"))
    same([entry["verdict"] for entry in map(record, read(everyday.dir + "/other").splitlines()) if entry["sender"] == "stayed@example.net"], ["accept"])
    everyday.write_conf(conf=whole)
    everyday.reload()


@case("a file that cannot be opened at the start is an error")
def _():
    place = folder("nowhere")
    conf = write(place + "/conf", ("audit { to file:%s/missing/audit; }\n" % place + RULES).replace("{dir}", place)
                 .replace("{socket}", "unix:%s/sock" % place))
    status, _, err = command("serve", "-f", "-c", conf)
    same(status, 1)
    has(err, "missing/audit")
    expect(not os.path.exists(place + "/sock"), "no socket")


@case("a full disk delays no reply; it is said once, counted, and the next whole line stands alone")
def _():
    place = folder("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "small", place], check=True)
    full = Postern(conf="audit { to file:%s/audit; }\n" % place + RULES)
    start = time.monotonic()
    for number in range(100):
        same(talk(full, sender="full%d@example.net" % number).code, 550)
    took = time.monotonic() - start
    expect(took < 10 * SLOW, "100 transactions took %.1f s" % took)
    full.wait_message("audit records could not be written to %s/audit: No space left" % place)
    def counted():
        full.process.send_signal(signal.SIGUSR1)
        match = re.search(r"records written (\d+), failed (\d+), dropped (\d+)", "\n".join(full.messages()))
        time.sleep(0.05)
        lines = [line for line in full.messages() if "records written" in line]
        match = re.search(r"records written (\d+), failed (\d+), dropped (\d+)", lines[-1]) if lines else None
        return match and sum(map(int, match.groups())) == 100 and int(match.group(2)) > 0
    wait_until("all records to be counted", counted)
    same(len([line for line in full.messages() if "could not be written" in line]), 1)
    # Room again: what was torn is ended, what comes is whole.
    with open(place + "/audit", "rb") as log:
        torn = log.read()
    subprocess.run(["mount", "-o", "remount,size=1m", place], check=True)
    same(talk(full, sender="room@example.net").code, 550)
    lines = wait_until("the record", lambda: [line for line in read(place + "/audit").splitlines() if "room@example.net" in line])
    same(record(lines[0])["sender"], "room@example.net")
    expect(read(place + "/audit").encode().startswith(torn), "what was there stays")
    full.stop()
    subprocess.run(["umount", place], check=True)
    whole = Postern(conf="audit { to file:/dev/full; }\n" + RULES)
    same(talk(whole).code, 550)
    whole.wait_message("could not be written to /dev/full")
    whole.stop()


@case("a reader that has stopped delays no reply, and finds all records later")
def _():
    place = folder("pipe")
    os.mkfifo(place + "/pipe")
    reader = os.open(place + "/pipe", os.O_RDONLY | os.O_NONBLOCK)
    stuck = Postern(conf="audit { to file:%s/pipe; }\n" % place + RULES)
    start = time.monotonic()
    for number in range(300):
        same(talk(stuck, sender="stuck%d@example.net" % number).code, 550)
    expect(time.monotonic() - start < 15 * SLOW, "the replies were delayed")
    # Now somebody reads, and what was queued is written.
    text = b""
    while text.count(b"\n") < 300:
        try:
            text += os.read(reader, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    same(len({record(line)["sender"] for line in text.decode().splitlines()}), 300)
    stuck.stop()
    os.close(reader)


@case("the same keys in the same order in all records; every value is what was sent")
def _():
    for recipient, subject in (("word", "x"), ("later", "x"), ("alice", "worm"), ("alice", "watch"), ("alice", "fine")):
        talk(everyday, recipient, subject, sender="keys@example.net")
    records = everyday.wait_audit(5, sender="keys@example.net")
    same([(one["verdict"], one["stage"], one["rule"]) for one in records],
         [("reject", "rcpt", "word"), ("defer", "rcpt", "later"), ("reject", "message", "worm"), ("accept", "message", ""), ("accept", "message", "")])
    order = []
    for one in records:
        same(list(one)[:len(HEAD)], HEAD)
        has(one, "faults")
        # Each two records have their common keys in one order.
        for other in records:
            same([key for key in one if key in other], [key for key in other if key in one])
        order.append(list(one))
    same(records[3]["observed"], "watch")
    matches(records[0]["at"], r"^postern\.conf:\d+$")
    same(records[0]["at"].split(":")[1], str(everyday.text().split("rule word")[0].count("\n") + 1))
    has(records[0]["reply"], "550 5.7.1 <word@example.test>: a word (ref %s)" % records[0]["id"])
    same(records[4]["reply"], "")


@case("values are escaped, so that nothing from outside forges a key or a line")
def _():
    nasty = 'x" verdict="accept\\" id=FORGED\n2026-11-22T04:00:00.000+00:00 postern[1]: id=FORGED verdict=accept\t\x01\x7f\xff'
    before = len(read(everyday.audit_path).splitlines())
    with Milter(everyday.milter) as milter:
        milter.greet(helo=nasty)
        milter._stage("M", b"<" + nasty.encode("latin-1") + b"@example.net>\0", None)
        milter.rcpt("<word@example.test>")
        milter.quit()
    line = wait_until("the record", lambda: read(everyday.audit_path).splitlines()[before:])
    same(len(line), 1)
    fields = record(line[0])
    same(fields["sender"], nasty + "@example.net")
    same(fields["helo"].encode("latin-1").decode("utf-8"), nasty)
    same(fields["verdict"], "reject")
    long = "y" * 5000
    talk(everyday, helo=long, sender="long@example.net")
    fields = everyday.wait_audit(sender="long@example.net")[0]
    same(fields["helo"], "y" * 1000 + "...")


@case("accepted no: what is refused, held or observed is recorded, what is taken is not")
def _():
    quiet = daemon("to file:{dir}/audit; accepted no;")
    talk(quiet, "alice", "fine", sender="fine@example.net")
    talk(quiet, "word", sender="word@example.net")
    talk(quiet, "alice", "worm", sender="worm@example.net")
    talk(quiet, "alice", "watch", sender="watch@example.net")
    quiet.wait_audit(sender="watch@example.net")
    same([one["sender"] for one in quiet.audit()], ["word@example.net", "worm@example.net", "watch@example.net"])
    quiet.stop()


@case("SIGUSR1 shows the counters, and they count")
def _():
    counting = daemon("to file:{dir}/audit;")
    def lines():
        return [one for one in counting.messages() if "transactions under way" in one]
    def counters():
        before = len(lines())
        counting.process.send_signal(signal.SIGUSR1)
        line = wait_until("the counters", lambda: lines()[before:])[-1]
        return {name: int(number) for name, number in re.findall(r"([a-z -]+?)(?: way)? (\d+)[,;]?", line.split("info: ")[-1])}
    first = counters()
    same(sorted(first.values()), [0] * len(first))
    milter = Milter(counting.milter)
    milter.greet()
    milter.mail("<x@example.net>")
    milter.rcpt("<alice@example.test>")
    for number in range(3):
        talk(counting)
    counting.wait_audit(3)
    # The daemon may still be at the ends of the three when their records are there.
    wait_until("three records and one transaction", lambda: {1, 3} <= set(counters().values()))
    milter.close()
    wait_until("no transaction", lambda: 1 not in counters().values())
    counting.stop()


main()
