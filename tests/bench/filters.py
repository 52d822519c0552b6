# SPDX-License-Identifier: MIT
"""The filters that are measured: postern, one that does nothing, and Debian's."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

from daemon import binary
from procs import Server, Trouble, read, wait_until, write

PEERS = ("opendkim", "opendmarc", "pyspf-milter")
# dbconfig-no-thanks keeps a database server away, which opendmarc's reports would need.
PEER_PACKAGES = ("opendkim", "dbconfig-no-thanks", "opendmarc", "pyspf-milter")
SUFFIXES = "/usr/share/publicsuffix/public_suffix_list.dat"
POLICY = "/usr/sbin/policy-rc.d"


def install_peers():
    """Installs what is missing of Debian's filters, as root; none of them is started."""
    new = missing_peers()
    if not new:
        return
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    made = not os.path.exists(POLICY)
    try:
        if made:
            write(POLICY, "#!/bin/sh\nexit 101\n", 0o755)
        subprocess.run(["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "install", "-y",
                        "--no-install-recommends", *PEER_PACKAGES], env=environment, check=True,
                       stdin=subprocess.DEVNULL)
    finally:
        if made:
            os.unlink(POLICY)
    if shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", *new], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)


def missing_peers():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in PEERS if not shutil.which(name, path=path)]


class NullFilter(Server):
    """The floor: bench_null_filter, with the same steps as postern negotiates."""

    name = "null"

    def __init__(self, program, steps):
        super().__init__()
        self.socket = os.path.join(self.dir, "null.sock")
        self.spawn([program, "--socket", self.socket, "--steps", steps])

        def listens():
            self.check_alive()
            return os.path.exists(self.socket)
        wait_until("the null filter's socket", listens)

    def stop(self, seconds=10):
        # libmilter takes up to five seconds to end by itself, and there is nothing to lose.
        self.kill()


class Daemon(Server):
    """postern, with the time that it took until it was ready to serve."""

    name = "postern"

    def __init__(self, conf):
        super().__init__()
        os.mkdir(os.path.join(self.dir, "state"))
        path = write(os.path.join(self.dir, "postern.conf"), conf.replace("{dir}", self.dir))
        self.socket = os.path.join(self.dir, "postern.sock")
        notify = os.path.join(self.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
            ears.bind(notify)
            ears.settimeout(1)
            begun = time.monotonic()
            self.spawn([binary(), "serve", "-f", "-c", path],
                       env=dict(os.environ, NOTIFY_SOCKET=notify), cwd=self.dir)
            said = ""
            while "READY=1" not in said.split("\n"):
                self.check_alive()
                if time.monotonic() - begun > 60:
                    raise Trouble("postern is not ready after a minute:\n" + self.log()[-2000:])
                try:
                    said += ears.recv(4096).decode() + "\n"
                except socket.timeout:
                    pass
            self.start_seconds = time.monotonic() - begun

    def lost_records(self):
        """Audit records that the daemon could not queue so far, and all of them."""
        before = self.log().count("records written")
        self.process.send_signal(signal.SIGUSR1)
        wait_until("postern's counters", lambda: self.log().count("records written") > before)
        found = re.findall(r"records written (\d+), failed (\d+), dropped (\d+)", self.log())[-1]
        written, failed, dropped = (int(number) for number in found)
        return failed + dropped, written + failed + dropped

    def forget_records(self):
        """Empties the file of audit records, which grows by megabytes a second."""
        os.truncate(os.path.join(self.dir, "audit"), 0)

    def rss(self):
        """Resident memory, MB."""
        for line in read("/proc/%d/status" % self.process.pid).splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise Trouble("postern is gone:\n" + self.log()[-2000:])


# ---- Debian's filters, with Debian's settings but for the resolver; what they would write to
# syslog is left out, which costs them nothing then. ----

class Peer(Server):
    """A filter with a file of settings, in which {dir} and {socket} are filled in."""

    name = command = settings = ""
    option = ()

    def __init__(self):
        super().__init__()
        self.socket = os.path.join(self.dir, "milter.sock")
        self.prepare()
        conf = write(os.path.join(self.dir, "conf"),
                     self.settings.replace("{dir}", self.dir).replace("{socket}", self.socket))
        self.spawn([self.command, *self.option, conf], cwd=self.dir)

        def listens():
            self.check_alive()
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                    probe.connect(self.socket)
                    return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        wait_until("%s's socket" % self.name, listens)

    def prepare(self):
        """Writes what else it needs into its folder."""

    def stop(self, seconds=10):
        self.kill()


class OpenDkim(Peer):
    name, command, option = "opendkim", "/usr/sbin/opendkim", ("-f", "-x")
    settings = """Mode v
Canonicalization relaxed/simple
OversignHeaders From
Nameservers 127.0.0.1
AuthservID mx.bench.example
Socket local:{socket}
PidFile {dir}/pid
"""


class OpenDmarc(Peer):
    """It finds a domain's organizational domain only below a suffix of its list."""

    name, command, option = "opendmarc", "/usr/sbin/opendmarc", ("-f", "-c")
    settings = """PublicSuffixList {dir}/suffixes
AuthservID mx.bench.example
TrustedAuthservIDs mx.bench.example
Socket local:{socket}
PidFile {dir}/pid
"""

    def prepare(self):
        write(os.path.join(self.dir, "suffixes"), read(SUFFIXES) + "\nexample\n")


class PySpf(Peer):
    name, command = "pyspf-milter", "/usr/bin/pyspf-milter"
    settings = """debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
Socket = local:{socket}
PidFile = {dir}/pid
UserID = root
InternalHosts = 127.0.0.1
"""
