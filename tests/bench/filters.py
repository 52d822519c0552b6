# SPDX-License-Identifier: MIT
"""The filters that are measured: postern, one that does nothing, and Debian's."""

import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from daemon import binary
from procs import Server, Trouble, read, wait_until, write

PEERS = ("opendkim", "opendmarc", "pyspf-milter", "rspamd")
CHAIN = PEERS[:3]  # what together does a part of what postern does
# dbconfig-no-thanks keeps a database server away, which opendmarc's reports would need.
PEER_PACKAGES = ("opendkim", "dbconfig-no-thanks", "opendmarc", "pyspf-milter", "rspamd")
SUFFIXES = "/usr/share/publicsuffix/public_suffix_list.dat"
RSPAMD_SUFFIXES = "/usr/share/rspamd/effective_tld_names.dat"
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


def postern(front):
    """Its name in the tables."""
    return "postern, %s" % (front or "libmilter")


def negotiated(program, server):
    """The steps that it negotiates, as bench_null_filter takes them."""
    result = subprocess.run([program, "--socket", server.socket, "--connections", "0", "--idle",
                             "1"], stdout=subprocess.PIPE, timeout=60, check=True)
    return json.loads(result.stdout)["steps"]


class Filter(Server):
    """A server with a milter socket; its process may have children that serve with it."""

    def pids(self):
        """All of its processes."""
        group = str(self.process.pid)
        found = []
        for path in glob.glob("/proc/[0-9]*/stat"):
            fields = read(path).rpartition(")")[2].split()
            if len(fields) > 3 and fields[3] == group:  # the session that it leads
                found.append(path.split("/")[2])
        return found or [group]


class NullFilter(Filter):
    """The floor: bench_null_filter, with the steps that it is told."""

    def __init__(self, program, steps, name="null"):
        self.name = name.replace(", ", "-").replace(" ", "-")
        super().__init__()
        self.name = name
        self.socket = os.path.join(self.dir, "null.sock")
        self.spawn([program, "--socket", self.socket, "--steps", steps])

        def listens():
            self.check_alive()
            return os.path.exists(self.socket)
        wait_until("the null filter's socket", listens)

    def stop(self, seconds=10):
        # libmilter takes up to five seconds to end by itself, and there is nothing to lose.
        self.kill()


class Daemon(Filter):
    """postern, with the time that it took until it was ready to serve; front None: the only one."""

    name = "postern"

    def __init__(self, conf, front=None):
        super().__init__()
        self.name = postern(front)
        os.mkdir(os.path.join(self.dir, "state"))
        conf = ("front %s;\n" % front if front else "") + conf.replace("{dir}", self.dir)
        path = write(os.path.join(self.dir, "postern.conf"), conf)
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

class Peer(Filter):
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
        wait_until("%s's socket" % self.name, listens, 90)

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


RSPAMD_LOCAL = {
    "options.inc": 'filters = "dkim,spf"; local_addrs = "127.0.0.0/8"; '
                   'url_tld = "{dir}/suffixes"; dns { nameserver = ["127.0.0.1:53"]; }',
    "logging.inc": 'type = "console"; level = "error";',
    "worker-normal.inc": "enabled = false;",
    "worker-controller.inc": "enabled = false;",
    "worker-proxy.inc": 'bind_socket = "{socket} mode=0666"; '
                        'upstream "local" { default = yes; self_scan = yes; }',
    "actions.conf": "reject = null; greylist = null; add_header = null;",
    "milter_headers.conf": 'use = ["authentication-results"]; skip_local = false; '
                           'authenticated_headers = [];',
    "rbl.conf": """rbls {
    zen { symbol = "ZEN"; rbl = "zen.bench.example"; checks = ["from"]; ipv6 = false;
          returncodes { ZEN = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]; } }
    dnswl { symbol = "DNSWL"; rbl = "dnswl.bench.example"; checks = ["from"]; ipv6 = false;
            is_whitelist = true; returncodes { DNSWL = ["127.0.5.1"]; } }
    dbl { symbol = "DBL"; rbl = "dbl.bench.example"; checks = ["helo", "emails"];
          returncodes { DBL = ["127.0.1.2"]; } }
}""",
}


class Rspamd(Peer):
    """Only what the others do, too: SPF, DKIM, DMARC, three lists, and the field with results; all
    other modules are off.  What it compiles at its first start, which takes half a minute, is kept
    beside postern."""

    name, command = "rspamd", "/usr/bin/rspamd"
    keeps = ("spf.conf", "dkim.conf", "dmarc.conf", "rbl.conf", "milter_headers.conf")

    def prepare(self):
        kept = os.path.join(os.path.dirname(binary()), "bench-rspamd")
        os.makedirs(kept, exist_ok=True)
        self.option = ("-f", "-i", "--var=LOCAL_CONFDIR=" + self.dir, "--var=RUNDIR=" + self.dir,
                       "--var=DBDIR=" + kept, "--var=LOGDIR=" + self.dir, "-c")
        self.settings = ".include \"/etc/rspamd/rspamd.conf\"\n"
        for place in ("local.d", "override.d"):
            os.mkdir(os.path.join(self.dir, place))
        for path in glob.glob("/etc/rspamd/modules.d/*.conf"):
            if os.path.basename(path) not in self.keeps:
                write(os.path.join(self.dir, "local.d", os.path.basename(path)),
                      "enabled = false;\n")
        for name, text in RSPAMD_LOCAL.items():
            write(os.path.join(self.dir, "override.d", name),
                  text.replace("{socket}", self.socket).replace("{dir}", self.dir) + "\n")
        write(os.path.join(self.dir, "suffixes"), read(RSPAMD_SUFFIXES) + "\nexample\n")
