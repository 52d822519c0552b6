#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows a real Postfix refusing and accepting mail through postern.

Everything is private and ends with the program: name servers, a DNS list, Postfix and postern run in a network
namespace of their own, with the rules that the package ships (etc/rules.d).
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
import procs
from harness import (Nsd, Postern, Postfix, Rbldnsd, Sink, Unbound, command, enter_sandbox, installed,
                     wait_until)

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ

ZONES = {
    # A sender whose domain is in order, one that takes no mail, one whose server names nobody.
    "example.net": "@ MX 10 mail\nmail A 203.0.113.7\n",
    "nomail.example": "@ MX 0 .\n",
    # One that says who may send for it and what is to become of other mail in its name.
    "example": 'strict MX 10 mail.example.net.\nstrict TXT "v=spf1 ip4:203.0.113.7 -all"\n'
               '_dmarc.strict TXT "v=DMARC1; p=reject"\n',
    "example.test": "@ MX 10 mx\nmx A 192.0.2.1\n",
    "net": "",
    "113.0.203.in-addr.arpa": "7 PTR mail.example.net.\n",
}

LISTED = """\
127.0.0.2
203.0.113.66 :127.0.0.2:Sends mail that nobody asked for, see https://bl.example/66
"""

SITE = """\
hostname mx.example.test;
state_dir %(dir)s;
listen mx { socket %(socket)s; group postfix; perm 0660; }
resolver { servers %(dns)s; }
audit { to file:%(audit)s; }

table ours    { example.test; }
table trusted { 192.0.2.250; }
table forwarders { };
table forwarder_domains { };
table users   lmdb:%(dir)s/users;
table moved_users file:%(dir)s/moved;
recipients { domains ours; known users; moved moved_users; }

dnsbl bl { zone bl.example; listed 127.0.0.2-11; weight 3; }

include %(etc)s/rules.d/*.conf;
"""


def title(text):
    print("\n%s%s%s" % ("\033[1m" if COLOUR else "", text, "\033[0m" if COLOUR else ""))


def shade(line):
    colours = {"2": "32", "3": "32", "4": "33", "5": "31"}
    if COLOUR and line[:1] in colours:
        return "\033[%sm%s\033[0m" % (colours[line[0]], line)
    return line


class Dialogue:
    """An SMTP session as if from another host, printed as it goes on."""

    def __init__(self, mx, address, name="[UNAVAILABLE]", helo="client.example.net", port=None, **more):
        print("  (client %s)" % address)
        self.client = mx.client(address, name, helo, port, **more)

    def show(self, reply):
        for number, text in enumerate(reply.lines):
            mark = "-" if number + 1 < len(reply.lines) else " "
            print("  S: " + shade("%d%s%s" % (reply.code, mark, text)))

    def say(self, line):
        print("  C: " + line)
        reply = self.client.cmd(line)
        self.show(reply)
        return reply.code

    def message(self, text):
        code = self.say("DATA")
        if code == 354:
            print("  C: " + text.replace("\n", "\n  C: ") + "\n  C: .")
            reply = self.client.content(text)
            self.show(reply)
            code = reply.code
        return code

    def end(self):
        try:
            self.client.quit()
        except Exception:  # a 521 has closed it
            self.client.close()


def one(mx, address, sender, recipient, **more):
    """One refusal: MAIL, RCPT, QUIT."""
    dialogue = Dialogue(mx, address, **more)
    code = dialogue.say("MAIL FROM:<%s>" % sender)
    if code == 250:
        code = dialogue.say("RCPT TO:<%s>" % recipient)
    dialogue.end()
    return code


def postmap(path, users):
    procs.write(path, "".join("%s x\n" % user for user in users))
    subprocess.run(["/usr/sbin/postmap", "lmdb:" + path], check=True)


def main():
    enter_sandbox()
    nsd = Nsd(ZONES)
    lists = Rbldnsd({"bl.example": ("ip4set", LISTED)})
    dns = Unbound({".": nsd.at, "bl.example": lists.at})
    sink = Sink()

    folder = procs.folder("site")
    postmap(folder + "/users", ["alice@example.test", "bob@example.test", "carol@example.test"])
    procs.write(folder + "/moved", "dave@example.test dave@example.net\nerin@example.test\n")
    gate = Postern(start=False)
    gate.write_conf(conf=SITE % {"socket": gate.milter, "dns": dns.at, "audit": gate.audit_path,
                                 "dir": folder, "etc": installed()})
    gate.start()
    closed = Postern('rule closed { when true; reply 521 5.3.2 "%{hostname} does not accept mail"; }',
                     resolver=dns)
    mx = Postfix(gate.milter, sink, main={"mynetworks": "192.0.2.250"},
                 ports=[{"smtpd_milters": closed.milter}])
    wrong = []

    def expect(code, seen):
        if code != seen:
            wrong.append("expected %d, saw %d" % (code, seen))

    title("Good mail goes on to 354 and is delivered; a wrong recipient does not hold up the others")
    dialogue = Dialogue(mx, "203.0.113.7", "mail.example.net")
    dialogue.say("MAIL FROM:<someone@example.net>")
    expect(250, dialogue.say("RCPT TO:<alice@example.test>"))
    expect(550, dialogue.say("RCPT TO:<alcie@example.test>"))
    expect(551, dialogue.say("RCPT TO:<dave@example.test>"))
    expect(250, dialogue.message("From: someone@example.net\nSubject: hello\n\nHello Alice."))
    dialogue.end()
    message = sink.wait(1)[0]
    print("  (delivered to %s)" % ", ".join(message.recipients))

    title("550 5.1.1: no such mailbox")
    expect(550, one(mx, "203.0.113.7", "someone@example.net", "nobody@example.test"))
    title("551 5.1.6: the user has moved and lets us say where to")
    expect(551, one(mx, "203.0.113.7", "someone@example.net", "dave@example.test"))
    title("550 5.1.6: the user has moved and does not")
    expect(550, one(mx, "203.0.113.7", "someone@example.net", "erin@example.test"))
    title("554 5.7.1: the client is on a DNS list")
    expect(554, one(mx, "203.0.113.66", "offers@example.net", "alice@example.test"))
    title("... but postmaster can be reached from everywhere")
    expect(250, one(mx, "203.0.113.66", "offers@example.net", "postmaster@example.test"))
    title("550 5.7.27: the sender's domain takes no mail, so a bounce could not come back")
    expect(550, one(mx, "203.0.113.7", "noreply@nomail.example", "alice@example.test"))
    title("550 5.1.8: the sender's domain does not exist")
    expect(550, one(mx, "203.0.113.7", "ghost@ghost.example", "alice@example.test"))
    title("550 5.7.23: the client may not send for the sender's domain (SPF)")
    expect(550, one(mx, "203.0.113.9", "ceo@strict.example", "alice@example.test"))
    title("550 5.7.26: the author that the reader would see is forged (DMARC)")
    dialogue = Dialogue(mx, "203.0.113.9")
    dialogue.say("MAIL FROM:<someone@example.net>")
    dialogue.say("RCPT TO:<alice@example.test>")
    expect(550, dialogue.message("From: The Boss <ceo@strict.example>\nSubject: urgent\n\nPay this."))
    dialogue.end()
    title("556 5.1.10: one of our own users writes to a domain that takes no mail")
    expect(556, one(mx, "192.0.2.250", "alice@example.test", "sales@nomail.example"))
    explained = command("explain", "--brief", "-c", gate.conf_path, "--client", "203.0.113.66", "--helo",
                        "client.example.net", "--from", "offers@example.net", "--rcpt",
                        "alice@example.test")[1]
    title("451 4.3.0: the list of mailboxes was emptied by mistake; nobody is called unknown")
    postmap(folder + "/users", [])
    gate.wait_message("table users.*--accept")
    expect(451, one(mx, "203.0.113.7", "someone@example.net", "bob@example.test"))
    title("521 5.3.2: a host that takes no mail at all (another postern, another port)")
    expect(521, one(mx, "203.0.113.7", "someone@example.net", "alice@example.test", port=mx.extra[0]))

    title("The audit records of these sessions")
    wait_until("the records", lambda: len(gate.audit()) >= 12)
    for path in (gate.audit_path, closed.audit_path):
        for line in procs.read(path).splitlines():
            print("  " + line)
    title("What `postern explain` says of the listed client")
    print("  " + explained.rstrip("\n").replace("\n", "\n  "))

    troubles = procs.stop_all() + wrong
    procs.discard_folder()
    for trouble in troubles:
        print("demo: " + trouble)
    print("\n%s" % ("Everything was as it should be; nothing is left running." if not troubles else
                    "%d things were not as they should be." % len(troubles)))
    sys.exit(1 if troubles else 0)


main()
