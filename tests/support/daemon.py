# SPDX-License-Identifier: MIT
"""postern itself: starts build/postern with a configuration, reloads and stops it, reads its
records."""

import os
import re
import signal
import socket
import subprocess
import threading

import procs
import sandbox
from procs import ROOT, Server, Trouble, read, wait_until, write
from syslogd import Syslog

SANITIZER = re.compile(r"ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error: ")
FIELD = re.compile(r'([A-Za-z_][\w.:/-]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?: |$)')
PREFIX = re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]+[+-]\d\d:\d\d \S+\[\d+\]: ")
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)", re.S)
SIMPLE = {"n": "\n", "r": "\r", "t": "\t"}


def binary():
    """The program under test: POSTERN, or build/postern."""
    return os.path.abspath(os.environ.get("POSTERN", os.path.join(ROOT, "build/postern")))


def front_statement():
    """The statement for the front that this run is about (POSTERN_FRONT), to stand before others
    in their line; "" where the default is meant."""
    name = os.environ.get("POSTERN_FRONT", "")
    return "front %s; " % name if name else ""


def unquote(text):
    def one(match):
        word = match.group(1)
        return chr(int(word[1:], 16)) if len(word) == 3 else SIMPLE.get(word, word)
    return ESCAPE.sub(one, text)


def record(line):
    """One audit record (key=value, values quoted where needed) as a dictionary, in the order of the
    line, without the time and name that stand before it. A line that is not wholly made of such
    fields, or has a key twice, is Trouble."""
    fields, at = {}, 0
    line = PREFIX.sub("", line.rstrip("\n"))
    while at < len(line):
        match = FIELD.match(line, at)
        if not match or match.group(1) in fields:
            raise Trouble("not an audit record at column %d: %s" % (at + 1, line))
        key, quoted, bare = match.groups()
        fields[key] = unquote(quoted) if quoted is not None else bare
        at = match.end()
    return fields


class Postern(Server):
    """A daemon that runs.

    rules: the text of postern.conf after the lines that the harness writes itself (hostname,
    listen, resolver, budget if asked for, audit to a file). resolver: something with .at, or text
    after `servers`. mode: enforce or observe. listen: other statements inside the listen block.
    conf: a whole configuration instead, in which {dir} and {socket} are filled in. files: {name:
    text} written into the daemon's folder first (reachable as {dir}/name). front: another one than
    that of this run."""

    name = "postern"

    def __init__(self, rules="", resolver=None, mode="enforce", listen="", conf=None, files=None,
                 arguments=(), hostname="mx.example.test", env=None, start=True, front=None):
        super().__init__()
        # Within 107 bytes, whatever the folder of the scenario is called.
        self.socket = os.path.join(self.dir, "postern.sock")
        self.milter = "unix:" + self.socket
        self.audit_path = os.path.join(self.dir, "audit")
        self.conf_path = os.path.join(self.dir, "postern.conf")
        self.rules, self.resolver, self.mode = rules, resolver, mode
        self.front = "front %s; " % front if front else front_statement()
        self.listen, self.hostname, self.env = listen, hostname, dict(env or {})
        self.arguments, self.whole = list(arguments), conf
        self.notified, self.lock, self.reloads = [], threading.Lock(), 0
        self.syslog = Syslog.shared() if sandbox.inside() == "private" else None
        for name, text in (files or {}).items():
            self.file(name, text)
        os.mkdir(os.path.join(self.dir, "state"))
        self._open_notify()
        self.write_conf()
        if start:
            self.start()

    def file(self, name, text):
        """Writes a file into the daemon's folder, in one step; returns its path."""
        return write(os.path.join(self.dir, name), text)

    def text(self):
        """The configuration as it is written to the file."""
        if self.whole is not None:
            whole = self._fill(self.whole)
            return whole if whole.startswith("front ") else self.front + whole
        servers = getattr(self.resolver, "at", self.resolver) or "127.0.0.1@9"
        return self.front + self._fill(
            "hostname %s;\n"
            "state_dir %s;\n"
            "listen mx { socket %s; group postfix; perm 0660; mode %s; %s }\n"
            "resolver { servers %s; }\n"
            "audit { to file:%s; }\n%s\n"
            % (self.hostname, os.path.join(self.dir, "state"), self.milter, self.mode, self.listen, servers, self.audit_path,
               self.rules))

    def _fill(self, text):
        return text.replace("{dir}", self.dir).replace("{socket}", self.milter)

    def write_conf(self, rules=None, conf=None):
        """Writes the configuration, with other rules or as a whole; reload() makes it live."""
        if rules is not None:
            self.rules, self.whole = rules, None
        if conf is not None:
            self.whole = conf
        write(self.conf_path, self.text())

    def _open_notify(self):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify_path = os.path.join(self.dir, "notify")
        self.notify.bind(self.notify_path)
        threading.Thread(target=self._collect_notify, daemon=True).start()

    def _collect_notify(self):
        while True:
            try:
                text = self.notify.recv(4096).decode("utf-8", "replace")
            except OSError:
                return
            with self.lock:
                self.notified += text.split("\n")

    def _told(self, line):
        with self.lock:
            return self.notified.count(line)

    def start(self):
        """Starts it and waits until it has told systemd READY=1 and its socket takes connections."""
        env = dict(os.environ, NOTIFY_SOCKET=self.notify_path)
        env.update(self.env)
        before = self._told("READY=1")
        self.spawn([binary(), "serve", "-c", self.conf_path] + self.arguments, env=env,
                   cwd=self.dir)

        def ready():
            self.check_alive()
            return self._told("READY=1") > before
        wait_until("postern to say READY=1", ready)
        if self.whole is None:
            wait_until("postern's socket", self._listens)

    def _listens(self):
        self.check_alive()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(self.socket)
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False

    def reload(self):
        """SIGHUP; returns when the daemon has told systemd READY=1 again, whether the new
        configuration was good or not."""
        before = self._told("READY=1")
        self.process.send_signal(signal.SIGHUP)

        def ready():
            self.check_alive()
            return self._told("READY=1") > before
        wait_until("postern to say READY=1 after SIGHUP", ready)

    def stop(self, seconds=15):
        """SIGTERM. Trouble if the exit status is not 0 or a sanitizer has spoken."""
        process = self.process
        try:
            super().stop(seconds)
        finally:
            report = SANITIZER.search(self.log())
        if report:
            raise Trouble("a sanitizer reports:\n" + self.log()[report.start():][:4000])
        if process and process.returncode != 0:
            raise Trouble("postern ended with status %d:\n%s"
                          % (process.returncode, self.log()[-2000:]))

    def messages(self):
        """What the daemon has said: its standard error, then what went to syslog."""
        lines = self.log().splitlines()
        if self.syslog:
            lines += ["%s: %s" % (entry.severity, entry.text)
                      for entry in self.syslog.lines() if entry.ident == "postern"]
        return lines

    def wait_message(self, regex, seconds=10):
        """Waits for a message that matches, and returns it."""
        return wait_until("/%s/ from postern" % regex, lambda: next(
            (line for line in self.messages() if re.search(regex, line)), None), seconds)

    def audit(self):
        """The audit records so far, oldest first, as dictionaries."""
        text = read(self.audit_path)
        # The last line may be on its way.
        return [record(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_audit(self, count=1, seconds=10, **fields):
        """Waits until count records have these values (a_b stands for the key a.b if there is no
        key a_b); returns them."""
        def fits(entry):
            return all(entry.get(key, entry.get(key.replace("_", "."))) == value
                       for key, value in fields.items())

        def probe():
            found = [entry for entry in self.audit() if fits(entry)]
            return found if len(found) >= count else None
        return wait_until("%d audit records with %s" % (count, fields), probe, seconds)

    def record_of(self, reply):
        """The record of a reply, by the id that stands in it."""
        match = re.search(r"\(ref ([A-Z0-9]{6})\)$", reply.text)
        if not match:
            raise Trouble("no id in the reply: %r" % reply)
        return self.wait_audit(id=match.group(1), verdict="reject" if reply.code >= 500 else "defer")[-1]

    def memory(self):
        """Resident memory in bytes."""
        status = read("/proc/%d/status" % self.process.pid)
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1)) * 1024


def command(*arguments, stdin=None, env=None, seconds=60):
    """Runs `postern ARGUMENTS`; returns (exit status, standard output, standard error). A
    sanitizer's report is Trouble."""
    raw = stdin.encode("utf-8") if isinstance(stdin, str) else stdin
    result = subprocess.run([binary()] + [str(one) for one in arguments], input=raw,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                            env=dict(os.environ, **(env or {})), timeout=seconds * procs.SLOW)
    out, err = (text.decode("utf-8", "replace") for text in (result.stdout, result.stderr))
    if SANITIZER.search(err):
        raise Trouble("a sanitizer reports:\n" + err[:4000])
    return result.returncode, out, err


def installed():
    """The folder that holds the shipped configuration of this tree."""
    return os.path.join(ROOT, "etc")


__all__ = ["Postern", "binary", "command", "front_statement", "installed", "record"]
