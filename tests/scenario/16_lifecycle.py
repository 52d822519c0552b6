#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""The daemon's life: start, reload, stop and sudden death, while mail flows."""

import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

OLD = 'rule word { when rcpt.local == word; reply 550 5.7.1 "the old rule"; }\n'
NEW = OLD.replace("old", "new")
sink = Sink()
postern = Postern(OLD)
mx = Postfix(postern.milter, sink)


class Traffic:
    """Clients that deliver mail one message after the other until told to stop. taken: the subjects of all messages that
    got a 250; deferred: how many commands got a 4xx; wrong: every other answer."""

    def __init__(self, clients=3):
        self.taken, self.deferred, self.wrong = set(), 0, []
        self.lock, self.over = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            self.judge()

    def note(self, reply, subject):
        with self.lock:
            if reply.code == 250:
                self.taken.add(subject)
            elif 400 <= reply.code < 500:
                self.deferred += 1
            else:
                self.wrong.append("%s: %r" % (subject, reply))

    def one(self, client, subject):
        """One transaction; False where it did not come to its end."""
        for line in "MAIL FROM:<x@example.net>", "RCPT TO:<alice@example.test>":
            reply = client.cmd(line)
            if reply.code != 250:
                self.note(reply, subject)
                return False
        reply = client.data("Subject: %s\n\nhello\n" % subject)
        self.note(reply, subject)
        return reply.code == 250

    def run(self, number):
        count = 0
        while not self.over.is_set():
            try:
                with mx.client("203.0.113.%d" % (number + 1)) as client:
                    for _ in range(5):
                        count += 1
                        if not self.one(client, "%d-%d-%d" % (id(self), number, count)):
                            break
                time.sleep(0.002)
            except Closed:
                # Postfix hangs up where it has said 421.
                continue
            except OSError as error:
                self.wrong.append("Postfix: %s" % error)
                return

    def wait(self, count):
        """Waits until so many more messages were taken."""
        end = len(self.taken) + count
        wait_until("%d messages to be taken" % end, lambda: len(self.taken) >= end, 30)

    def judge(self):
        """Every message with a 250 is in the sink, once, and no other."""
        same(self.wrong, [])
        wait_until("all that was taken to be delivered", lambda: sink.count() >= len(self.taken), 30)
        wait_until("Postfix's queue to be empty", lambda: not mx.queue(), 30)
        subjects = sorted(message.header("Subject")[0] for message in sink.take())
        same(subjects, sorted(self.taken))


def word(client):
    """The text that the recipient word@ is refused with in this session."""
    client.cmd("RSET")
    same(client.mail("x@example.net").code, 250)
    return client.rcpt("word@example.test").text


def loglines(text):
    return [line for line in postern.messages() if text in line]


@case("it says READY=1 when its socket takes connections, and what it serves")
def _():
    same(postern.notified.count("READY=1"), 1)
    postern.wait_message(r"info: postern [0-9][^ ]* serves at unix:\S+postern.sock with 1 rule$")
    with mx.client("203.0.113.7") as client:
        has(word(client), "the old rule")


@case("a reload: new sessions see it, sessions under way keep what they began with")
def _():
    with mx.client("203.0.113.7") as client:
        has(word(client), "the old rule")
        postern.write_conf(NEW)
        postern.reload()
        has(word(client), "the old rule")
        with mx.client("203.0.113.8") as other:
            has(word(other), "the new rule")
        has(word(client), "the old rule")
        client.cmd("RSET")
        same(client.deliver("x@example.net", ["alice@example.test"])["data"].code, 250)
    sink.wait()
    expect(any(line.startswith("RELOADING=1") for line in postern.notified), "systemd is told")
    expect(any(line.startswith("MONOTONIC_USEC=") for line in postern.notified), "and when")


@case("a broken file is not taken; the log names file and line, and READY=1 comes all the same")
def _():
    for broken, wanted in ((NEW + "rule x { when rcpt.locl == a; accept; }\n", r"unknown fact 'rcpt.locl'"),
                           (NEW + "rule x { when true; reply 550 4.1.1 \"x\"; }\n", r"4\.1\.1"),
                           (NEW + "rule x {\n", r""), ("\0\xff", r"")):
        before = len(postern.messages())
        postern.write_conf(broken)
        postern.reload()
        wait_until("the log to say that it was not taken",
                   lambda: any("was not taken" in line and "goes on" in line for line in postern.messages()[before:]))
        lines = "\n".join(postern.messages()[before:])
        matches(lines, r"error: \S+postern\.conf:\d+:\d+: [^\n]*" + wanted)
        with mx.client("203.0.113.7") as client:
            has(word(client), "the new rule")
    os.unlink(postern.conf_path)
    postern.reload()
    wait_until("the missing file to be named", lambda: loglines("No such file"))
    with mx.client("203.0.113.7") as client:
        has(word(client), "the new rule")
    postern.write_conf(OLD)
    postern.reload()
    with mx.client("203.0.113.7") as client:
        has(word(client), "the old rule")


@case("a changed listen or resolver block is said to take a restart, other changes are not")
def _():
    before = len(loglines("takes a restart"))
    postern.write_conf(OLD)
    postern.reload()
    same(len(loglines("takes a restart")), before)
    good = postern.text()
    for new, what in ((good.replace("perm 0660", "perm 0666"), "listen"),
                      (good.replace("127.0.0.1@9", "127.0.0.1@10"), "resolver")):
        postern.write_conf(conf=new)
        postern.reload()
        said = "the %s block has changed: that takes a restart" % what
        postern.wait_message(said)
        # What counts is what runs, not what was read last.
        before = len(loglines(said))
        postern.reload()
        wait_until("it to be said again", lambda: len(loglines(said)) == before + 1)
        before = len(loglines("takes a restart"))
        postern.write_conf(conf=good)
        postern.reload()
        same(len(loglines("takes a restart")), before)
    same(os.stat(postern.socket).st_mode & 0o777, 0o660)
    # The mode does not.
    before = len(loglines("takes a restart"))
    postern.write_conf(conf=good.replace("mode enforce", "mode observe"))
    postern.reload()
    postern.wait_message(r"info: \S+/postern\.conf taken: 1 rule, listen mx only observes$")
    with mx.client("203.0.113.7") as client:
        client.mail("x@example.net")
        same(client.rcpt("word@example.test").code, 250)
    same(len(loglines("takes a restart")), before)
    postern.whole = None
    postern.write_conf(OLD)
    postern.reload()


@case("a listener that observes refuses nothing when its block is renamed, until the restart")
def _():
    other = Postern(OLD, mode="observe")
    other.wait_message(r"serves at unix:\S+postern.sock with 1 rule, listen mx only observes$")

    def answer():
        with Milter(other.socket) as milter:
            milter.greet()
            milter.mail("<x@example.net>")
            return milter.rcpt("<word@example.test>").word
    same(answer(), "continue")
    other.write_conf(conf=other.text().replace("listen mx ", "listen renamed ").replace("mode observe", "mode enforce"))
    other.reload()
    other.wait_message("the listen block has changed: that takes a restart")
    same(answer(), "continue")
    other.stop()
    other.start()
    same(answer(), "reply")
    other.stop()


@case("SIGTERM does not wait behind reloads that were asked for before")
def _():
    users = "".join("user%d@example.test\n" % number for number in range(100000))
    other = Postern("table users file:{dir}/users;\nrule user { when rcpt in users; reply 550 5.7.1 \"no\"; }\n", files={"users": users})
    for _ in range(400):
        other.process.send_signal(signal.SIGHUP)
        # Signals that have not been taken yet are one.
        time.sleep(0.003)
    start = time.monotonic()
    other.stop(10)
    expect(time.monotonic() - start < 5 * SLOW, "it took %.1f s" % (time.monotonic() - start))


@case("hundreds of SIGHUPs while mail flows: nothing is refused, deferred or lost")
def _():
    with Traffic() as traffic:
        traffic.wait(5)
        memory = None
        for number in range(300):
            postern.write_conf(NEW if number % 2 else OLD)
            postern.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
            if number == 100:
                memory = postern.memory()
        traffic.wait(5)
        postern.reload()
    same(traffic.deferred, 0)
    postern.check_alive()
    grown = postern.memory() - memory
    expect(grown < 8 << 20 or SLOW > 1, "memory has grown by %d kB in 200 reloads" % (grown >> 10))
    # The last file is the one that is in force.
    with mx.client("203.0.113.7") as client:
        has(word(client), "the new rule")


@case("SIGTERM while mail flows: what is under way is finished, exit 0, nothing is lost")
def _():
    with Traffic() as traffic:
        traffic.wait(10)
        # Two transactions that are known to be under way.
        waiting = [mx.client("203.0.113.%d" % number) for number in (101, 102)]
        for client in waiting:
            same(client.mail("y@example.net").code, 250)
            same(client.rcpt("alice@example.test").code, 250)
        process = postern.process
        process.send_signal(signal.SIGTERM)
        postern.wait_message("stopping; [0-9]+ transactions? under way")
        for number, client in enumerate(waiting):
            same(client.rcpt("bob@example.test").code, 250)
            reply = client.data("Subject: under way %d\n\nhello\n" % number)
            same(reply.code, 250, "a transaction that had begun")
            traffic.taken.add("under way %d" % number)
            client.close()
        same(process.wait(20 * SLOW), 0)
        has(postern.notified, "STOPPING=1")
        postern.stop()
        expect(not os.path.exists(postern.socket), "the socket is gone")
        # Without the daemon Postfix defers, as it was told.
        before = traffic.deferred
        wait_until("clients to be deferred", lambda: traffic.deferred > before)
        postern.start()
        traffic.wait(10)


@case("SIGTERM with a client that never ends: 10 seconds, then the end, and Postfix says 4xx")
def _():
    with mx.client("203.0.113.7") as client:
        same(client.mail("x@example.net").code, 250)
        same(client.rcpt("alice@example.test").code, 250)
        start = time.monotonic()
        postern.process.send_signal(signal.SIGTERM)
        same(postern.process.wait(30 * SLOW), 0)
        took = time.monotonic() - start
        expect(9 < took < 20 * SLOW, "it took %.1f s" % took)
        code = client.rcpt("bob@example.test").code
        expect(400 <= code < 500, "the reply is %d" % code)
    postern.stop()
    postern.start()
    same(sink.count(), 0)


@case("kill -9 while mail flows: Postfix defers, nothing is lost, and the stale socket is no obstacle")
def _():
    with Traffic() as traffic:
        traffic.wait(10)
        for _ in range(3):
            postern.kill()
            expect(os.path.exists(postern.socket), "the socket stays behind")
            before = traffic.deferred
            wait_until("clients to be deferred", lambda: traffic.deferred > before)
            postern.start()
            traffic.wait(10)
    expect(traffic.deferred > 0, "some were deferred")


@case("an open session stays deferred after a restart, a new one does not")
def _():
    with mx.client("203.0.113.7") as client:
        same(client.mail("x@example.net").code, 250)
        same(client.rcpt("alice@example.test").code, 250)
        postern.kill()
        postern.start()
        code = client.rcpt("bob@example.test").code
        expect(400 <= code < 500, "the reply is %d" % code)
    with mx.client("203.0.113.7") as client:
        same(client.deliver("x@example.net", ["alice@example.test"])["data"].code, 250)
    sink.wait()


@case("SIGINT ends it as SIGTERM does; signals at the very start do no harm")
def _():
    postern.process.send_signal(signal.SIGINT)
    same(postern.process.wait(20 * SLOW), 0)
    postern.stop()
    for delay in 0.002, 0.01, 0.02, 0.05:
        postern.spawn([binary(), "serve", "-c", postern.conf_path], cwd=postern.dir)
        time.sleep(delay)
        postern.process.send_signal(signal.SIGTERM)
        # Before the handlers stand, the signal ends it; never is it lost.
        has((0, -signal.SIGTERM), postern.process.wait(20 * SLOW), "after %g s" % delay)
        postern.forget()
    postern.start()


main()
