#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# front: any
# time limit: 150 s
"""Tables that change, shrink, vanish and break while mail comes in: nobody is called unknown who was known."""

import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

RULES = """
rule gone    { when rcpt.status == unavailable; reply 451 4.3.0 "<%{rcpt}>: try again"; }
rule foreign { when rcpt.status == foreign; reply 551 5.7.1 "<%{rcpt}>: Relay access denied"; }
rule unknown { when rcpt.status == unknown; reply 550 5.1.1 "<%{rcpt}>: Recipient address rejected: User unknown"; }
rule moved   { when rcpt.status == moved and rcpt.moved_to != "";
               reply 551 5.1.6 "<%{rcpt}>: User not local; please try <%{rcpt.moved_to}>"; }
"""
FILES_CONF = """
table ours  file:{dir}/ours;
table users file:{dir}/users;
table left  file:{dir}/left;
recipients { domains ours; known users; moved left; }
""" + RULES
DOMAINS = ["example.test", "second.test"]
LEFT = "old@example.test new@example.net\nolder@example.test newer@example.net\n"


def people(domain, first=1, last=20):
    return ["u%d@%s" % (number, domain) for number in range(first, last + 1)]


def lines(*groups):
    return "".join(one + "\n" for group in groups for one in group)


ALL = lines(people("example.test"), people("second.test"))
MORE = lines(people("example.test", 1, 29), people("second.test"))
GOOD = {"ours": lines(DOMAINS), "users": ALL, "left": LEFT}
postern = Postern(FILES_CONF, files=GOOD)
MAIN = {"relay_domains": "second.test, third.test"}
mx = Postfix(postern.milter, main=MAIN)
users = os.path.join(postern.dir, "users")


def ask(recipients, mta=mx, port=None):
    """The codes of some recipients, in one session."""
    with mta.client("203.0.113.7", port=port) as client:
        same(client.mail("x@example.net").code, 250)
        return [client.rcpt(one).code for one in recipients]


class Traffic:
    """Mail to people who are there, all the time; seen counts what they were answered."""

    def __init__(self, recipients, mta=mx, threads=2, port=None):
        self.recipients, self.mta, self.port, self.seen, self.broken = recipients, mta, port, {}, []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        try:
            while not self.ended.is_set():
                for code in ask(self.recipients, self.mta, self.port):
                    self.seen[code] = self.seen.get(code, 0) + 1
                time.sleep(0.05)
        except Exception as error:  # told by the one who waits for the thread
            self.broken.append(error)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        same(self.broken, [])

    def only(self, *codes):
        expect(self.seen, "nothing was asked")
        expect(set(self.seen) <= set(codes), "got %s, wanted only %s" % (self.seen, codes))


def settle(name, text, daemon=postern):
    daemon.file(name, text)
    # Read, and old enough to be believed at once the next time.
    time.sleep(1.1)


STAFF = ["u1@example.test", "u20@example.test", "u1@second.test", "u20@second.test"]


@case("known, unknown, moved, foreign")
def _():
    same(ask(STAFF), [250] * 4)
    same(ask(["u21@example.test", "x@second.test", "old@example.test", "x@third.test"]), [550, 550, 551, 551])


def told(before, message, daemon=postern):
    """Waits for a message about a file of the daemon, after the first BEFORE of all messages."""
    wait_until(message, lambda: any(daemon.dir + "/" in line and re.search(message, line)
                                    for line in postern.messages()[before:]))


def emptied(path):
    with open(path, "w", encoding="utf-8"):
        pass


def rewritten(text):
    def do(path):
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    return do


def folder_instead(path):
    os.unlink(path)
    os.mkdir(path)


HARMS = [
    ("the file of users is emptied", "users", emptied, "it holds no entry at all"),
    ("it holds comments only", "users", lambda path: write(path, "# generated\n"), "it holds no entry at all"),
    ("it is removed", "users", os.unlink, "No such file"),
    ("a folder has taken its place", "users", folder_instead, "not a regular file"),
    ("one domain is halved", "users",
     lambda path: write(path, lines(people("example.test"), people("second.test", 1, 10))),
     "second.test has 10 entries where there were 20"),
    ("one domain is halved, and the other grows, in place", "users",
     rewritten(lines(people("example.test", 1, 60), people("second.test", 11, 20))),
     "second.test has 10 entries where there were 20"),
    ("a line makes no sense", "users", lambda path: write(path, ALL + "u21@example.test; until=tomorrow\n"), "users:41: "),
    ("the moved users are emptied", "left", emptied, "it holds no entry at all"),
    ("our domains are emptied", "ours", emptied, "it holds no entry at all"),
    ("our domains are removed", "ours", os.unlink, "No such file"),
]


class Harm(threading.Thread):
    """A daemon of its own whose file comes to harm while mail comes in, and is mended; all of them at the same time."""

    def __init__(self, daemon, port, name, do, message):
        super().__init__()
        self.daemon_, self.port, self.name_, self.do, self.message = daemon, port, name, do, message
        self.error = None

    def run(self):
        try:
            self.story()
        except Exception as error:  # told by the case
            self.error = error

    def story(self):
        before = len(postern.messages())
        path = os.path.join(self.daemon_.dir, self.name_)
        with Traffic(STAFF, threads=1, port=self.port) as traffic:
            self.do(path)
            told(before, "warning: table %s: .*%s.*the last good image, of [0-9]+ entries, stays in force"
                 % (self.name_, self.message), self.daemon_)
            # Past the time for which a file counts as being written.
            time.sleep(1.5)
        traffic.only(250)
        same(ask(["old@example.test"], port=self.port), [551])
        if os.path.isdir(path):
            os.rmdir(path)
        self.daemon_.file(self.name_, GOOD[self.name_])
        told(before, "table %s: .*all is well again" % self.name_, self.daemon_)


harmed = [Postern(FILES_CONF, files=GOOD) for _ in HARMS]
harms = []
ports = Postfix(main=MAIN, ports=[{"smtpd_milters": daemon.milter} for daemon in harmed])


def harm(number, what):
    @case(what + ": the users stay, and the log says so")
    def _():
        if not harms:
            harms.extend(Harm(daemon, port, *row[1:]) for daemon, port, row in zip(harmed, ports.extra, HARMS))
            for one in harms:
                one.start()
        harms[number].join()
        harmed[number].stop()
        if harms[number].error:
            raise harms[number].error


for number, row in enumerate(HARMS):
    harm(number, row[0])


@case("new users are known within seconds: renamed over, appended in place, written slowly")
def _():
    with Traffic(STAFF) as traffic:
        settle("users", ALL + lines(people("example.test", 21, 25)))
        wait_until("the users of a new file", lambda: ask(people("example.test", 21, 25)) == [250] * 5, 5)
        with open(users, "a", encoding="utf-8") as out:
            out.write("u26@example.test\n")
        wait_until("a user in a new line", lambda: ask(["u26@example.test"]) == [250], 5)
        same(ask(["u27@example.test"]), [550])
        # Written anew in place, with pauses: first there is nothing, then a part, then half a line.
        text = lines(people("example.test", 1, 30), people("second.test"))
        with open(users, "w", encoding="utf-8") as out:
            for at in range(0, len(text), 150):
                out.write(text[at:at + 150])
                out.flush()
                time.sleep(0.4)
        wait_until("the users of the file", lambda: ask(people("example.test", 27, 30)) == [250] * 4, 10)
        # A user who has left, too, is believed: one of thirty is no loss.
        settle("users", text.replace("u30@example.test\n", ""))
        wait_until("a user to be unknown", lambda: ask(["u30@example.test"]) == [550], 5)
    traffic.only(250)


@case("a file that was halved while the daemon was down: 451, until it is accepted or mended")
def _():
    postern.file("users", MORE)
    wait_until("the new users", lambda: ask(["u29@example.test"]) == [250], 5)
    for text in lines(people("example.test", 1, 29), people("second.test", 1, 5)), "", None:
        postern.stop()
        if text is None:
            os.unlink(users)
        else:
            postern.file("users", text)
        postern.start()
        same(ask(["u1@example.test", "u20@second.test", "u5@second.test", "nobody@example.test"]), [451] * 4)
        # Who has moved is known all the same.
        same(ask(["old@example.test"]), [551])
        # A reload is no way around.
        postern.reload()
        same(ask(["u20@second.test", "nobody@example.test"]), [451] * 2)
    postern.file("users", lines(people("example.test", 1, 29), people("second.test", 1, 5)))
    time.sleep(1.5)
    same(ask(["u20@second.test", "u5@second.test"]), [451] * 2)
    status, out, err = command("table", "-c", postern.conf_path, "--accept", "users")
    same(status, 0, out + err)
    wait_until("the accepted table", lambda: ask(["u20@second.test", "u5@second.test", "u1@example.test"])
               == [550, 250, 250], 5)
    postern.file("users", MORE)
    wait_until("all users", lambda: ask(STAFF) == [250] * 4, 5)


@case("a reload does not take what was refused while running")
def _():
    before = len(postern.messages())
    with Traffic(STAFF) as traffic:
        postern.file("users", lines(people("example.test", 1, 3)))
        told(before, "table users: .*stays in force")
        for _ in range(3):
            postern.reload()
    expect(550 not in traffic.seen and 551 not in traffic.seen, traffic.seen)
    postern.file("users", MORE)
    wait_until("all users", lambda: ask(STAFF) == [250] * 4, 5)


@case("entries that have run out are gone at the end of their day")
def _():
    day = 24 * 3600
    yesterday, today, tomorrow = (time.strftime("%Y-%m-%d", time.localtime(time.time() + shift * day))
                                  for shift in (-1, 0, 2))
    dated = Postern("""
table guests { example.test; }
table users  file:{dir}/users;
table exempt file:{dir}/exempt;
recipients { domains guests; known users; }
rule exempt { when rcpt in exempt; accept; }
""" + RULES, files={
        "users": "past@example.test; until=%s owner=joe note=was; here\nlast@example.test ; until=%s\n"
                 "next@example.test;until=%s\nstill@example.test\n" % (yesterday, today, tomorrow),
        "exempt": "a@example.test; until=%s\nb@example.test; until=%s\n" % (yesterday, tomorrow)})
    other = Postfix(dated.milter)
    codes = ask(["past@example.test", "last@example.test", "next@example.test", "still@example.test",
                 "a@example.test", "b@example.test"], other)
    # Should midnight be passing, today's entry may be gone.
    expect(codes in ([550, 250, 250, 250, 550, 250], [550, 550, 250, 250, 550, 250]), codes)
    if time.strftime("%Y-%m-%d") == today:
        same(codes[1], 250)
    other.stop()
    dated.stop()


# ---- other types ----

def postmap(path):
    subprocess.run(["/usr/sbin/postmap", "-c", mx.dir + "/etc", "lmdb:" + path], check=True)


@case("a map that postmap rewrites all the time, under load; then emptied, cut in two, removed")
def _():
    mapped = Postern("""
table ours  { example.test; second.test; }
table users lmdb:{dir}/map;
recipients { domains ours; known users; }
""" + RULES, start=False)
    crowd = people("example.test", 1, 3000)
    source = os.path.join(mapped.dir, "map")

    def rewrite(names):
        mapped.file("map", "".join("%s x\n" % name for name in names))
        postmap(source)
    rewrite(crowd)
    mapped.start()
    other = Postfix(mapped.milter)
    known = ["u1@example.test", "u1500@example.test", "u3000@example.test"]
    same(ask(known + ["u3001@example.test"], other), [250, 250, 250, 550])
    with Traffic(known, other, threads=3) as traffic:
        end = time.monotonic() + 6
        rounds = 0
        while time.monotonic() < end:
            rounds += 1
            crowd.append("more%d@example.test" % rounds)
            rewrite(crowd)
            if rounds % 3 == 0:
                # As scripts do it that know better: a new map beside the old one.
                new = mapped.file("new", "".join("%s x\n" % name for name in crowd))
                postmap(new)
                os.rename(new + ".lmdb", source + ".lmdb")
        wait_until("the newest user", lambda: ask(crowd[-1:], other) == [250], 10)
    traffic.only(250)
    expect(rounds > 5, "postmap ran %d times only" % rounds)
    # A map that has lost its users has no answer; one that is broken goes on as it was.
    with Traffic(known, other) as traffic:
        rewrite([])
        wait_until("the emptied map", lambda: ask(known, other) == [451] * 3, 5)
        rewrite(crowd)
        wait_until("the map", lambda: ask(known, other) == [250] * 3, 5)
        rewrite(crowd[:1500])
        wait_until("the halved map", lambda: ask(known, other) == [451] * 3, 5)
        same(ask(["nobody@example.test"], other), [451])
        rewrite(crowd)
        wait_until("the map", lambda: ask(known, other) == [250] * 3, 5)
        os.truncate(source + ".lmdb", os.path.getsize(source + ".lmdb") // 2)
        time.sleep(2.5)
        os.unlink(source + ".lmdb")
        time.sleep(2.5)
        rewrite(crowd)
        wait_until("the map", lambda: ask(known, other) == [250] * 3, 5)
    traffic.only(250, 451)
    other.stop()
    mapped.stop()


@case("cidr and regex tables in conditions, with their values")
def _():
    tabled = Postern("""
table nets     cidr:{dir}/nets;
table patterns regex:{dir}/patterns;
table friends  file:{dir}/friends;
rule net     { when client.ip in nets and lookup(nets, client.ip) == "no"; reply 554 5.7.1 "net"; }
rule helo    { when helo in patterns; reply 550 5.7.1 "helo"; }
rule friends { when sender in friends or client.ip in friends; accept; }
rule value   { when lookup(friends, rcpt) == "no mail"; reply 554 5.7.1 "value"; }
rule rest    { when sender.domain == "strange.example"; reply 554 5.7.1 "strange"; }
""", files={
        "nets": "198.51.100.7 yes\n198.51.100.0/24 no\n2001:db8::/32 no\n!203.0.113.0/24 far\n",
        "patterns": "# dynamic\n/^(dsl|dyn)[0-9-]+\\./ dynamic\nif /example/\n/^bad\\.example$/ x\nendif\n",
        "friends": "good@strange.example\n.kind.example\n198.51.101.0/24\n2001:db9:1:2::/64\nbob@example.test no mail\n"})
    other = Postfix(tabled.milter)
    for addr, sender, helo, rcpt, code, rule in (
            ("198.51.100.7", "x@example.net", "h.example.net", "alice", 250, ""),
            ("198.51.100.8", "x@example.net", "h.example.net", "alice", 554, "net"),
            ("2001:db8::1", "x@example.net", "h.example.net", "alice", 554, "net"),
            ("192.0.2.1", "x@example.net", "h.example.net", "alice", 250, ""),
            ("203.0.113.1", "x@example.net", "DSL-12-13.example.net", "alice", 550, "helo"),
            ("203.0.113.1", "x@example.net", "bad.example", "alice", 550, "helo"),
            ("203.0.113.1", "x@example.net", "not-bad.example", "alice", 250, ""),
            ("203.0.113.1", "x@strange.example", "h.example.net", "alice", 554, "rest"),
            ("203.0.113.1", "Good@Strange.Example", "h.example.net", "alice", 250, ""),
            ("198.51.101.9", "x@strange.example", "h.example.net", "alice", 250, ""),
            ("2001:db9:1:2::9", "x@strange.example", "h.example.net", "alice", 250, ""),
            ("203.0.113.1", "x@sub.kind.example", "h.example.net", "bob", 250, ""),
            ("203.0.113.1", "x@kind.example", "h.example.net", "bob", 554, "value")):
        with other.client(addr, helo=helo) as client:
            same(client.mail(sender).code, 250)
            reply = client.rcpt(rcpt + "@example.test")
        same(reply.code, code, (addr, sender, helo, rcpt))
        if rule:
            same(tabled.wait_audit(client=addr, rule=rule)[-1]["stage"], "rcpt")
    # They change without a reload, too.
    tabled.file("nets", "203.0.113.9 no\n")
    tabled.file("patterns", "/^h\\.example\\.org$/ x\n")

    def changed():
        codes = []
        for addr, helo in ("198.51.100.8", "bad.example"), ("203.0.113.9", "x.example.net"), ("203.0.113.1", "h.example.org"):
            with other.client(addr, helo=helo) as client:
                client.mail("x@example.net")
                codes.append(client.rcpt("alice@example.test").code)
        return codes == [250, 554, 550]
    wait_until("the new tables", changed, 5)
    other.stop()
    tabled.stop()


@case("the users of the machine, in the domains that are local")
def _():
    local = Postern("""
table ours   { example.test; second.test; }
table here   { example.test; }
table system passwd;
recipients { domains ours; local here; known system; delimiter "+"; }
""" + RULES)
    other = Postfix(local.milter, main=MAIN)
    same(ask(["root@example.test", "Root+x@example.test", "postfix@example.test", "no-such-user@example.test",
              "root@second.test", "root@third.test"], other), [250, 250, 250, 550, 550, 551])
    other.stop()
    local.stop()


@case("in a local domain the recipients are those that Postfix itself takes")
def _():
    odd = ["%s@example.test" % local for local in (
        "alice", "ALICE", '"alice"', "alice+x", "alice+", "+alice", "alic", "postmaster", "Mailer-Daemon", "double-bounce",
        "double-bounce+x", "mailer-daemons", "owner-alice", "alice-request", '"al ice"')]
    local = Postern("""
table ours  { example.test; }
table users file:{dir}/alice;
recipients { domains ours; local ours; known users; delimiter "+"; }
""" + RULES, files={"alice": "alice\n"})
    own = Postfix(recipients=["alice"], main={"recipient_delimiter": "+"})
    other = Postfix(local.milter, main=MAIN)
    same(dict(zip(odd, ask(odd, other))), dict(zip(odd, ask(odd, own))))
    for one in (own, other, local):
        one.stop()


main()
