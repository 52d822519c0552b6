# SPDX-License-Identifier: MIT
"""A private Sendmail: its own configuration, queue, ports and view of the file system; the machine's
is not touched. scripts/sendmail-tree unpacks the program beside the installed Postfix."""

import base64
import os
import re
import shutil
import stat
import subprocess
import threading

import procs
import sandbox
from procs import ROOT, Server, Trouble, base_folder, free_port, read, wait_until, write
from smtp import SMTP, Sink, read_reply
from syslogd import Syslog

TREE = os.environ.get("SENDMAIL_TREE", "/var/cache/postern-tests/sendmail")
PROGRAM = TREE + "/usr/libexec/sendmail/sendmail"
CF = TREE + "/usr/share/sendmail/cf/"
# Sendmail trusts no socket and no queue below a folder that everybody can write to, as /tmp is, so
# it sees the folder of the scenario at another place.
VIEW = "/mnt"
# In a mount namespace of its own, with names for addresses from a file of ours.
WRAP = ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
        'mount --bind "$1" %s; mount --bind "$2/hosts" /etc/hosts;'
        ' mount --bind "$2/nsswitch" /etc/nsswitch.conf; shift 2; exec "$@"' % VIEW, "sendmail"]

MC = r"""divert(0)dnl
OSTYPE(`linux')dnl
define(`_USE_ETC_MAIL_', `')dnl
define(`confDOMAIN_NAME', `@HOSTNAME@')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confSERVICE_SWITCH_FILE', `@DIR@/service.switch')dnl
define(`confHOSTS_FILE', `/etc/hosts')dnl
define(`QUEUE_DIR', `@DIR@/queue')dnl
define(`confPID_FILE', `@DIR@/sendmail.pid')dnl
define(`STATUS_FILE', `@DIR@/statistics')dnl
define(`HELP_FILE', `@DIR@/helpfile')dnl
define(`confCW_FILE', `-o @DIR@/local-host-names')dnl
define(`confTO_IDENT', `0')dnl
define(`confDEF_USER_ID', `nobody:nogroup')dnl
define(`confTRUSTED_USER', `root')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confMILTER_LOG_LEVEL', `12')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
dnl A busy machine is no reason to take no mail, or to take it only into the queue.
define(`confREFUSE_LA', `10000')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confDELAY_LA', `0')dnl
undefine(`ALIAS_FILE')dnl
define(`ALIAS_FILE', `')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`nouucp', `reject')dnl
define(`SMART_HOST', `relay:[@SINK@]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h @SINKPORT@')dnl
define(`LOCAL_RELAY', `relay:[@SINK@]')dnl
define(`MAIL_HUB', `relay:[@SINK@]')dnl
FEATURE(`no_default_msa')dnl
@MORE@
MAILER(`smtp')dnl
@RULES@
"""

# The host takes these recipients of its domain and no others.
KNOWN = """LOCAL_CONFIG
C{Known}%s
LOCAL_RULESETS
SLocal_check_rcpt
R$*\t$: $>canonify $1
R$={Known} <@example.test$*>\t$@ known
R$* <@example.test$*>\t$#error $@ 5.1.1 $: "550 User unknown"
"""

# Its mailboxes are those of passwd and of aliases; what these lead away goes to the sink.
LOCAL = """define(`ALIAS_FILE', `@DIR@/aliases')dnl
undefine(`MAIL_HUB')dnl
undefine(`LOCAL_RELAY')dnl
LOCAL_DOMAIN(`example.test')dnl
MAILER(`local')dnl
"""

SUBMIT = r"""divert(0)dnl
OSTYPE(`linux')dnl
define(`confCF_VERSION', `Submit')dnl
define(`__OSTYPE__', `')dnl
define(`_USE_ETC_MAIL_', `')dnl
define(`confDOMAIN_NAME', `@HOSTNAME@')dnl
define(`confSERVICE_SWITCH_FILE', `@DIR@/service.switch')dnl
define(`MSP_QUEUE_DIR', `@DIR@/client')dnl
define(`confPID_FILE', `@DIR@/client.pid')dnl
define(`STATUS_FILE', `@DIR@/statistics')dnl
define(`confRUN_AS_USER', `mail:mail')dnl
define(`confDONT_INIT_GROUPS', `True')dnl
define(`RELAY_MAILER_ARGS', `TCP $h @PORT@')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h @PORT@')dnl
FEATURE(`msp', `[127.0.0.1]')dnl
"""


def _safe(path):
    """Whether nobody but root can put something else in the place of a file below path."""
    while True:
        if os.stat(path).st_mode & (stat.S_IWOTH | stat.S_IWGRP):
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def seen(path):
    """A path as Sendmail sees it."""
    base = base_folder()
    private = sandbox.inside() == "private" and path.startswith(base + "/")
    return VIEW + path[len(base):] if private else path


class Sendmail(Server):
    """An instance that runs.

    milter: the address of its filter, as in Postern.milter ("" for none). sink: a Sink that all
    mail goes to (None makes one: .sink). recipients: the local parts of example.test that Sendmail
    takes; None takes all. equates: what follows S= in the filter's definition. ports: milters for
    more ports, or (milter, equates); their numbers are in .extra. users: names that may log in;
    the password of each is its name. tls: offer STARTTLS. aliases:
    {name: address}; with them example.test has local mailboxes, those of passwd and these, and
    nobody else is known. more, rules: m4 text before the mailers, and after them."""

    kind = "Sendmail"
    closes_on_521 = False
    # How those who log in do it.
    auth_type = "PLAIN"
    # What DATA is answered when all recipients were refused.
    no_recipients = 503
    name = "sendmail"

    def __init__(self, milter="", sink=None, recipients=None, ports=(), users=(), tls=False, more="",
                 rules="", aliases=None, equates="F=T, T=C:10s;R:20s", hostname="mx.example.test"):
        if not os.path.exists(TREE + "/complete"):
            raise Trouble("no Sendmail in %s: run scripts/deps test" % TREE)
        super().__init__()
        self.hostname, self.sink = hostname, sink or Sink()
        self.port, self.users = free_port(), list(users)
        self.filters = [(milter, equates)]
        self.extra = []
        for one in ports:
            self.filters.append((one, equates) if isinstance(one, str) else one)
            self.extra.append(free_port())
        self.hosts = {"127.0.0.1": "localhost"}
        self.more, self.rules, self.tls, self.aliases = more, rules, tls, aliases
        if recipients is not None:
            self.rules += KNOWN % " ".join(recipients)
        self.private = sandbox.inside() == "private"
        if not self.private and not _safe(base_folder()):
            raise Trouble("Sendmail needs a TMPDIR that nobody else can write to or above, where "
                          "there are no private namespaces")
        self.ident = os.path.basename(self.dir)
        self.syslog = Syslog.shared() if self.private else None
        self._prepare()
        self.start()

    # ---- configuration ----

    def _filter_lines(self):
        text = ""
        for number, (milter, equates) in enumerate(self.filters):
            if milter:
                kind, _, place = milter.partition(":")
                text += "MAIL_FILTER(`filter%d', `S=%s:%s%s')dnl\n" % (
                    number, kind, seen(place), ", " + equates if equates else "")
        # The main port's filter is also the one of sessions on standard input.
        if self.filters[0][0]:
            text += "define(`confINPUT_MAIL_FILTERS', `filter0')dnl\n"
        for number, port in enumerate([self.port] + self.extra):
            chosen = ", I=filter%d" % number if self.filters[number][0] else ""
            text += "DAEMON_OPTIONS(`Family=inet, Addr=127.0.0.1, Port=%d, Name=MTA%d%s')dnl\n" \
                    "DAEMON_OPTIONS(`Family=inet6, Addr=::1, Port=%d, Name=MTA%dv6, M=O%s')dnl\n" \
                    % (port, number, chosen, port, number, chosen)
        return text

    def _auth_lines(self):
        if not self.users:
            return ""
        sasl = self.dir + "/sasl"
        os.mkdir(sasl, 0o755)
        write(sasl + "/Sendmail.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
              "sasldb_path: %s/sasldb2\nmech_list: PLAIN LOGIN\n" % seen(sasl))
        for user in self.users:
            subprocess.run([TREE + "/usr/sbin/saslpasswd2", "-p", "-c", "-f", sasl + "/sasldb2",
                            "-u", self.hostname, user], input=user.encode(), check=True)
        return "define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl\n" \
               "define(`confDONT_BLAME_SENDMAIL', `GroupReadableSASLDBFile')dnl\n" \
               "LOCAL_CONFIG\nESASL_CONF_PATH=%s\n" % seen(sasl)

    def _tls_lines(self):
        if not self.tls:
            return ""
        pem = self.dir + "/tls.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=" + self.hostname, "-keyout", pem, "-out", pem],
                       check=True, stderr=subprocess.DEVNULL)
        os.chmod(pem, 0o600)
        return "".join("define(`conf%s', `%s')dnl\n" % (word, seen(pem))
                       for word in ("SERVER_CERT", "SERVER_KEY", "CACERT")) + \
            "define(`confCACERT_PATH', `%s')dnl\n" % seen(self.dir)

    def _mailbox_lines(self):
        if self.aliases is None:
            return ""
        return LOCAL

    def _write_cf(self, name, text):
        values = {"HOSTNAME": self.hostname, "DIR": seen(self.dir), "PORT": str(self.port),
                  "SINK": self.sink.address, "SINKPORT": str(self.sink.port)}
        text = re.sub("@([A-Z]+)@", lambda match: values[match.group(1)], text)
        source = write("%s/%s.mc" % (self.dir, name), text)
        result = subprocess.run(["m4", "-D_CF_DIR_=" + CF, CF + "m4/cf.m4", source],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        said = result.stderr.decode("utf-8", "replace")
        if result.returncode or re.search("^m4:|ERROR", said, re.M):
            raise Trouble("m4 on %s: %s" % (source, said))
        write("%s/%s.cf" % (self.dir, name), result.stdout)

    def _prepare(self):
        for name, mode, user in ("queue", 0o700, "root"), ("client", 0o770, "mail"):
            path = os.path.join(self.dir, name)
            os.mkdir(path)
            shutil.chown(path, user, user)
            os.chmod(path, mode)
        write(self.dir + "/service.switch", "hosts files\naliases files\npasswd files\n")
        write(self.dir + "/nsswitch", "passwd: files\ngroup: files\nhosts: files\n")
        for name in "local-host-names", "statistics", "helpfile":
            write("%s/%s" % (self.dir, name), "")
        self._write_hosts()
        more = self._filter_lines() + self._tls_lines() + self._mailbox_lines() + self.more
        rules = self._auth_lines() + self.rules
        self._write_cf("sendmail", MC.replace("@MORE@", more).replace("@RULES@", rules))
        self._write_cf("submit", SUBMIT)
        if self.aliases is not None:
            write(self.dir + "/aliases", "".join("%s: %s\n" % one for one in self.aliases.items()))
            subprocess.run(self._argv("-bi"), check=True, stdout=subprocess.DEVNULL)

    def _write_hosts(self):
        # In place: a bound file is the file, not its name.
        with open(self.dir + "/hosts", "w", encoding="ascii") as out:
            out.writelines("%s %s\n" % item for item in self.hosts.items())

    def _argv(self, *arguments, cf="sendmail"):
        argv = [PROGRAM, "-L", self.ident, "-C", "%s/%s.cf" % (seen(self.dir), cf)]
        wrap = WRAP + [base_folder(), self.dir] if self.private else []
        return wrap + argv + list(arguments)

    # ---- life ----

    def start(self):
        self.spawn(self._argv("-bD"))
        wait_until("Sendmail to listen", self._listens, 30)

    def _listens(self):
        self.check_alive()
        try:
            for port in [self.port] + self.extra:
                with SMTP(port) as client:
                    client.send("QUIT")
            return True
        except ConnectionRefusedError:
            return False

    def maillog(self):
        """What it has logged so far."""
        return [entry.text for entry in self.syslog.lines(self.ident)] if self.syslog else []

    def wait_log(self, regex, seconds=10):
        """Waits for a line of the mail log that matches, and returns the match."""
        return wait_until("/%s/ in the mail log" % regex, lambda: next(
            (match for match in (re.search(regex, line) for line in self.maillog()) if match),
            None), seconds)

    # ---- clients ----

    def connect(self, port=None, **keywords):
        """A plain SMTP connection (see smtp.SMTP)."""
        return SMTP(port or self.port, **keywords)

    def client(self, addr, name=None, helo="client.example.net", port=None, LOGIN=None):
        """A session from another address, to whose name Sendmail's hosts file leads in both
        directions, then EHLO and perhaps AUTH; attributes as of Postfix.client()."""
        if name and self.hosts.get(addr) != name:
            self.hosts[addr] = name
            self._write_hosts()
        if not addr.startswith("127."):
            if sandbox.inside() != "private":
                raise Trouble("no client can come from %s: no private network here" % addr)
            procs.address_on_loopback(addr)
        client = SMTP(port or self.port, host="::1" if ":" in addr else "127.0.0.1", source=addr)
        client.ehlo_reply = client.ehlo(helo)
        if LOGIN:
            word = base64.b64encode(("\0%s\0%s" % (LOGIN, LOGIN)).encode()).decode()
            client.login_reply = client.cmd("AUTH PLAIN " + word)
        return client

    @staticmethod
    def said(reply, address):
        """The text of a reply to MAIL or RCPT without the address that Sendmail puts in front of
        the first line when the code is one of three."""
        if reply.code not in (450, 550, 553):
            return reply.text
        mark = "<%s>... " % address
        if mark not in reply.lines[0]:
            raise Trouble("Sendmail did not name %s in %r" % (address, reply))
        return reply.text.replace(mark, "", 1)

    def submit(self, message, *arguments):
        """Hands a message over as a local user's program does, through the mail submission
        program, which speaks SMTP to the main port; returns the exit status."""
        raw = message.encode("utf-8") if isinstance(message, str) else message
        return subprocess.run(self._argv("-Ac", *arguments, cf="submit"), input=raw, check=False,
                              timeout=60 * procs.SLOW).returncode

    def session(self, *lines):
        """SMTP on standard input (-bs), as some programs hand mail over: says one line after the
        other; returns the replies, the greeting first."""
        with subprocess.Popen(self._argv("-bs"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as child:
            timer = threading.Timer(60 * procs.SLOW, child.kill)
            timer.start()
            try:
                replies = [read_reply(child.stdout)]
                for line in lines:
                    child.stdin.write(line.encode() + b"\r\n")
                    child.stdin.flush()
                    replies.append(read_reply(child.stdout))
            finally:
                timer.cancel()
        return replies

    # ---- the queue ----

    def queue(self):
        """The queue, one dictionary a message: queue_name ("hold" where it is quarantined),
        queue_id, sender, recipients (as of Postfix.queue()), reason."""
        found = []
        for name in sorted(os.listdir(self.dir + "/queue")):
            if not re.match("[qh]f", name):
                continue
            lines = read("%s/queue/%s" % (self.dir, name)).splitlines()

            def values(letter, lines=lines):
                return [line[1:] for line in lines if line[:1] == letter]
            found.append({
                "queue_name": "hold" if name[0] == "h" else "deferred", "queue_id": name[2:],
                "sender": "".join(values("S")).strip("<>"), "reason": "".join(values("q")),
                "recipients": [{"address": value.rpartition(":")[2].strip("<>")}
                               for value in values("R")]})
        return found

    def flush(self):
        """Tries all queued mail at once."""
        subprocess.run(self._argv("-q"), check=True, timeout=60 * procs.SLOW)

    def release(self, queue_id):
        """Ends the quarantine of a message; flush() sends it then."""
        subprocess.run(self._argv("-Q", "-qQ", "-qI" + queue_id), check=True,
                       timeout=60 * procs.SLOW)


def example():
    """The lines for sendmail.mc that are installed as an example."""
    return read(os.path.join(ROOT, "etc/sendmail.mc"))
