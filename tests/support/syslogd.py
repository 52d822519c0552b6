# SPDX-License-Identifier: MIT
"""A private /dev/log: what the daemon says to syslog, collected line by line."""

import os
import re
import socket
import subprocess
import threading

import procs
import sandbox
from procs import Trouble, folder, wait_until

FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
              "authpriv", "ftp")
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINE = re.compile(r"^<(\d+)>(?:\w{3} [ \d]\d [\d:]{8} )?(?:([^\s:\[]+)(?:\[(\d+)\])?: )?(.*)$",
                  re.S)

_shared = None


class Entry:
    """One message: facility, severity, ident, pid (or None), text."""

    def __init__(self, raw):
        match = LINE.match(raw)
        priority, self.ident, pid, self.text = match.groups() if match else ("0", None, None, raw)
        number = int(priority) >> 3
        self.facility = FACILITIES[number] if number < len(FACILITIES) else "local%d" % (number - 16)
        self.severity = SEVERITIES[int(priority) & 7]
        self.pid = int(pid) if pid else None

    def __repr__(self):
        return "%s.%s %s: %s" % (self.facility, self.severity, self.ident, self.text)


class Syslog:
    """Collects from /dev/log. In a sandbox /dev is first replaced by a private one, so that the
    machine's own is never touched. Everything is also written to syslog.log in its folder."""

    def __init__(self):
        self.dir = folder("syslog")
        self.entries = []
        self.lock = threading.Lock()
        if sandbox.inside() == "private":
            self._private_dev()
        elif os.path.exists("/dev/log"):
            raise Trouble("/dev/log is taken, and there is no private /dev on this machine")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        threading.Thread(target=self._collect, daemon=True).start()
        procs.register(self)

    @staticmethod
    def shared():
        """The one collector of this scenario, made when it is first asked for."""
        global _shared
        if _shared is None:
            _shared = Syslog()
        return _shared

    def _private_dev(self):
        new = os.path.join(self.dir, "dev")
        os.mkdir(new)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "dev", new], check=True)
        # Bound, not made: many containers forbid mknod.
        for name in DEVICES:
            open(os.path.join(new, name), "w").close()
            subprocess.run(["mount", "--bind", "/dev/" + name, os.path.join(new, name)], check=True)
        for name in ("shm", "pts"):
            os.mkdir(os.path.join(new, name))
            if os.path.isdir("/dev/" + name):
                subprocess.run(["mount", "--rbind", "/dev/" + name, os.path.join(new, name)],
                               check=True)
        for link, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                             ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
                             ("ptmx", "pts/ptmx")):
            os.symlink(target, os.path.join(new, link))
        subprocess.run(["mount", "--move", new, "/dev"], check=True)

    def _collect(self):
        with open(os.path.join(self.dir, "syslog.log"), "w", encoding="utf-8") as log:
            while True:
                try:
                    raw = self.socket.recv(65536)
                except OSError:
                    return
                if not raw:
                    return
                entry = Entry(raw.rstrip(b"\0\n").decode("utf-8", "replace"))
                log.write(repr(entry) + "\n")
                log.flush()
                with self.lock:
                    self.entries.append(entry)

    def lines(self, ident=None):
        """What has come so far, of one ident or of all."""
        with self.lock:
            return [entry for entry in self.entries if ident in (None, entry.ident)]

    def wait(self, regex, seconds=10):
        """Waits for an entry whose text matches, and returns it."""
        return wait_until("/%s/ in syslog" % regex, lambda: next(
            (entry for entry in self.lines() if re.search(regex, entry.text)), None), seconds)

    def stop(self):
        """Stops collecting. A private /dev stays in place until the sandbox goes."""
        global _shared
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        os.unlink("/dev/log")
        procs.unregister(self)
        if _shared is self:
            _shared = None
