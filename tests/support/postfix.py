# SPDX-License-Identifier: MIT
"""A private Postfix: its own configuration, queue, log and ports; the machine's is not touched."""

import json
import os
import re
import subprocess

import procs
from procs import Trouble, folder, free_port, read, wait_until, write
from smtp import SMTP

MAIN = {
    "compatibility_level": "3.6",
    "command_directory": "/usr/sbin",
    "daemon_directory": "/usr/lib/postfix/sbin",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "mydomain": "example.test",
    "myorigin": "$myhostname",
    "mydestination": "example.test, localhost",
    "alias_maps": "",
    "alias_database": "",
    "inet_interfaces": "127.0.0.1",
    # With ipv4 alone, XCLIENT ADDR=IPV6:... is refused.
    "inet_protocols": "all",
    # Loopback clients are strangers here, as remote ones would be.
    "mynetworks": "192.0.2.250/32",
    "smtpd_authorized_xclient_hosts": "127.0.0.1",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "mailbox_transport": "",
    "smtp_host_lookup": "native",
    "smtp_dns_support_level": "disabled",
    "smtpd_peername_lookup": "no",
    "default_database_type": "lmdb",
    "smtpd_banner": "$myhostname ESMTP",
    "smtpd_error_sleep_time": "0",
    "smtpd_soft_error_limit": "1000",
    "smtpd_hard_error_limit": "1000",
    "smtpd_client_connection_count_limit": "0",
    # Otherwise Postfix slows down by a second per message when mail comes in quickly.
    "in_flow_delay": "0",
    "notify_classes": "",
    "milter_default_action": "tempfail",
    "smtpd_milters": "",
    "non_smtpd_milters": "",
}

MASTER = """\
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """An instance that runs.

    milters: the value of smtpd_milters ("" for none). sink: a Sink that all mail goes to, "discard"
    (the default) or "[host]:port". recipients: the local parts of example.test that Postfix takes;
    None takes all, so that the filter alone decides. main: more lines of main.cf, which win.
    ports: {port or None: {parameter: value}} for more smtpd services with options of their own;
    the keys of .ports after that are the real port numbers, in order, in .extra."""

    kind = "Postfix"
    closes_on_521 = True
    # How those who log in do it.
    auth_type = "XCLIENT"
    # What DATA is answered when all recipients were refused.
    no_recipients = 554

    def __init__(self, milters="", sink="discard", recipients=None, main=None, port=None,
                 ports=(), hostname="mx.example.test", name="postfix"):
        self.dir = folder(name)
        self.port = port or free_port()
        self.extra = []
        self.hostname = hostname
        self.services = [(self.port, {})]
        for options in ports:
            self.extra.append(free_port())
            self.services.append((self.extra[-1], dict(options)))
        if sink == "discard":
            transport = "discard:"
        elif isinstance(sink, str):
            transport = "smtp:" + sink
        else:
            transport = "smtp:[%s]:%d" % (sink.address, sink.port)
        self.main = dict(MAIN)
        self.main.update({
            "queue_directory": self.dir + "/spool",
            "data_directory": self.dir + "/data",
            "maillog_file": self.dir + "/maillog",
            "maillog_file_prefixes": self.dir,
            "syslog_name": name,
            "myhostname": hostname,
            "local_transport": transport,
            "default_transport": transport,
            "smtpd_milters": milters,
            "local_recipient_maps": "" if recipients is None else
                                    "inline:{ %s }" % ", ".join("%s=x" % one for one in recipients),
        })
        self.main.update(main or {})
        self.started = False
        self._prepare()
        self.start()

    def _prepare(self):
        for name in ("etc", "spool", "data"):
            path = os.path.join(self.dir, name)
            os.mkdir(path)
            os.chmod(path, 0o755)
        subprocess.run(["chown", "postfix", self.dir + "/data"], check=True)
        os.chmod(self.dir + "/data", 0o700)
        self._write()
        self._command("check")

    def _write(self):
        write(self.dir + "/etc/main.cf",
              "".join("%s = %s\n" % item for item in self.main.items()))
        services = ""
        for port, options in self.services:
            services += "127.0.0.1:%d inet n - n - 200 smtpd\n" % port
            services += "".join("    -o { %s = %s }\n" % item for item in options.items())
        write(self.dir + "/etc/master.cf", services + MASTER)

    def _command(self, word):
        result = subprocess.run(["/usr/sbin/postfix", "-c", self.dir + "/etc", word],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=60 * procs.SLOW, check=False)
        if result.returncode:
            raise Trouble("postfix %s: %s\n%s" % (word, result.stdout.decode("utf-8", "replace"),
                                                 "\n".join(self.maillog()[-20:])))

    def start(self):
        self._command("start")
        self.started = True
        procs.register(self)
        wait_until("Postfix to listen", self._listens)

    def _listens(self):
        try:
            with SMTP(self.port) as client:
                client.send("QUIT")
                return True
        except ConnectionRefusedError:
            return False

    def stop(self):
        if self.started:
            self.started = False
            self._command("stop")
        procs.unregister(self)

    def set(self, **main):
        """Changes lines of main.cf and reloads. Services that run finish their session first; new
        sessions see the change."""
        self.main.update(main)
        self._write()
        self.reload()

    def reload(self):
        before = len([line for line in self.maillog() if "reload --" in line])
        self._command("reload")
        wait_until("Postfix to reload", lambda: len(
            [line for line in self.maillog() if "reload --" in line]) > before)

    def maillog(self):
        return read(self.dir + "/maillog").splitlines()

    def wait_log(self, regex, seconds=10):
        """Waits for a line of the mail log that matches, and returns the match."""
        def probe():
            for line in self.maillog():
                match = re.search(regex, line)
                if match:
                    return match
            return None
        return wait_until("/%s/ in the mail log" % regex, probe, seconds)

    def connect(self, port=None, **keywords):
        """A plain SMTP connection (see smtp.SMTP)."""
        return SMTP(port or self.port, **keywords)

    def client(self, addr, name="[UNAVAILABLE]", helo="client.example.net", port=None, **more):
        """A session as if from another host: XCLIENT, then EHLO. more: further attributes such as
        LOGIN="joe", REVERSE_NAME="...", PORT="4711". The greeting after XCLIENT is .greeting, the
        reply to EHLO .ehlo_reply."""
        client = SMTP(port or self.port)
        address = "IPV6:" + addr if ":" in addr else addr
        client.greeting = client.xclient(NAME=name, ADDR=address, **more)
        client.ehlo_reply = client.ehlo(helo)
        return client

    @staticmethod
    def said(reply, address):
        """The text of a reply to MAIL or RCPT as the filter gave it (see Sendmail.said())."""
        return reply.text

    def sendmail(self, message, *arguments):
        """Hands a message to this instance as a local user would; returns the exit status."""
        raw = message.encode("utf-8") if isinstance(message, str) else message
        return subprocess.run(["/usr/sbin/sendmail", "-C", self.dir + "/etc"] + list(arguments),
                              input=raw, timeout=60 * procs.SLOW, check=False).returncode

    def queue(self):
        """The queue, one dictionary a message (queue_name, queue_id, sender, recipients ...)."""
        result = subprocess.run(["/usr/sbin/postqueue", "-c", self.dir + "/etc", "-j"],
                                stdout=subprocess.PIPE, check=True, timeout=60 * procs.SLOW)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def flush(self):
        """Tries all queued mail at once."""
        subprocess.run(["/usr/sbin/postqueue", "-c", self.dir + "/etc", "-f"], check=True,
                       timeout=60 * procs.SLOW)
