# SPDX-License-Identifier: MIT
"""A bare Debian in a folder, as tests/package/prepare has fetched it, and postern in it.

    root = Root()
    root.install("postfix")                # apt-get install ./postern_*.deb postfix
    daemon = Daemon(root)                  # by the command lines of its unit; no systemd runs here
"""

import glob
import os
import re
import shlex
import shutil
import socket
import subprocess

import procs
import sandbox
from procs import ROOT, Server, Trouble, folder, read, wait_until, write
from dnsservers import FakeDns
from syslogd import Syslog

PACKAGE = os.environ.get("POSTERN_PACKAGE", os.path.join(ROOT, "build", "package"))
CONF = "/etc/postern/postern.conf"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the chroot's apt-get is told: nothing comes from the network, and a disk that may fail does
# not slow a test down.
APT = """APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dpkg::Use-Pty "0";
DPkg::Options { "--force-unsafe-io"; };
"""


def package(which="new"):
    """The path of the package, "new" or "old"."""
    found = glob.glob(os.path.join(PACKAGE, which, "postern_*.deb"))
    if len(found) != 1:
        raise Trouble("%s: run tests/package/prepare first" % PACKAGE)
    return found[0]


def in_sandbox(*argv):
    subprocess.run(argv, check=True)


class Root:
    """A root of its own, unpacked and mounted; it goes with the sandbox."""

    def __init__(self):
        if sandbox.inside() != "private":
            raise Trouble("a chroot needs private mounts, which this machine does not allow")
        self.syslog = Syslog.shared()
        self.path = folder("root")
        in_sandbox("tar", "-x", "-p", "--numeric-owner", "-C", self.path,
                   "-f", os.path.join(PACKAGE, "root.tar"))
        in_sandbox("mount", "--bind", self.path, self.path)
        in_sandbox("mount", "-t", "proc", "proc", self.at("/proc"))
        # With the collector's /dev/log in it.
        in_sandbox("mount", "--rbind", "/dev", self.at("/dev"))
        self._take_apt()
        # Nobody starts anything here but the test.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 mx.example.test mx\n")
        self.write("/etc/hostname", "mx.example.test\n")
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")

    def _take_apt(self):
        """The sources and lists of the machine, and the packages that were fetched for us."""
        for path in glob.glob("/etc/apt/sources.list*") + glob.glob("/etc/apt/preferences.d"):
            target = self.at(path)
            if os.path.isdir(path):
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(path, target)
            else:
                shutil.copy(path, target)
        if not os.path.exists("/etc/apt/sources.list"):
            self.write("/etc/apt/sources.list", "")
        in_sandbox("mount", "--bind", "-o", "ro", "/var/lib/apt/lists",
                   self.at("/var/lib/apt/lists"))
        for path in glob.glob(os.path.join(PACKAGE, "archives", "*.deb")):
            shutil.copy(path, self.at("/var/cache/apt/archives"))
        self.write("/etc/apt/apt.conf.d/99test", APT)

    def at(self, path):
        """A path in the chroot as it is called outside of it."""
        return self.path + path

    def read(self, path):
        return read(self.at(path))

    def write(self, path, text, mode=0o644):
        return write(self.at(path), text, mode)

    def exists(self, path):
        return os.path.lexists(self.at(path))

    def command(self, argv, **variables):
        """The command that runs argv in here, and its environment."""
        env = dict(PATH=PATH, HOME="/root", LC_ALL="C.UTF-8", DEBIAN_FRONTEND="noninteractive",
                   **variables)
        return ["chroot", self.path] + list(argv), env

    def run(self, *argv, status=0):
        """Runs a command in here; returns what it says. Another exit status is Trouble. What it
        asks is answered with Enter: dpkg then keeps a configuration that was edited."""
        argv, env = self.command(argv)
        result = subprocess.run(argv, env=env, input=b"\n" * 9, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=300 * procs.SLOW, check=False)
        text = result.stdout.decode("utf-8", "replace")
        if result.returncode != status:
            raise Trouble("%s: status %d:\n%s" % (" ".join(argv[2:]), result.returncode,
                                                  text[-3000:]))
        return text

    def install(self, *names, which="new"):
        """apt-get install of our package and others, in one go; returns what it says."""
        deb = package(which)
        shutil.copy(deb, self.at("/root"))
        return self.run("apt-get", "install", "-y", "/root/" + os.path.basename(deb), *names)

    def apt(self, *words):
        return self.run("apt-get", "-y", *words)

    def edit(self, path, *changes):
        """Replaces texts that must be there, each once, as an administrator would."""
        text = self.read(path)
        for before, after in changes:
            if text.count(before) != 1:
                raise Trouble("%s has %r %d times" % (path, before, text.count(before)))
            text = text.replace(before, after)
        self.write(path, text)

    def stat(self, path):
        """(mode, owner, group) of a path, links followed within the chroot."""
        return tuple(self.run("stat", "-L", "-c", "%a %U %G", path).split())


class Daemon(Server):
    """postern in a chroot, started as its unit says."""

    name = "postern"
    # Even a command that is not sandboxed finds the unit's ReadWritePaths bound onto themselves.
    BIND = "for path in /run/postern /var/spool/postfix/postern; do" \
           " [ ! -d $path ] || mount --bind $path $path; done; "

    def __init__(self, root):
        super().__init__()
        self.root = root
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.start()

    def unit(self):
        """The settings of the unit's [Service] section, as a list of (name, value)."""
        text = self.root.read("/lib/systemd/system/postern.service")
        return re.findall(r"^(\w+)=(.*)$", text, re.M)

    def start(self):
        """What systemd would do, without its sandbox. Returns when the daemon says that it is ready."""
        settings = self.unit()
        unit = dict(settings)
        for name, value in settings:
            if name == "ExecStartPre":
                # "+" asks for root, which runs here anyway; without it the user would matter.
                if not value.startswith("+"):
                    raise Trouble("ExecStartPre=%s is not run as root" % value)
                self.root.run("unshare", "--mount", "sh", "-ec", self.BIND + 'exec ' + value[1:])
        notify = self.root.at("/run/notify")
        if os.path.exists(notify):
            os.unlink(notify)
        self.ready.close()
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ready.bind(notify)
        self.ready.setblocking(False)
        os.chmod(notify, 0o666)
        argv = ["setpriv", "--reuid", unit["User"], "--regid", unit["Group"], "--init-groups",
                "--no-new-privs", "--bounding-set=-all"]
        argv += shlex.split(unit["ExecStart"])
        argv, env = self.root.command(argv, NOTIFY_SOCKET="/run/notify")
        self.spawn(argv, env=env)
        self.wait_ready()

    def wait_ready(self):
        def probe():
            self.check_alive()
            try:
                return b"READY=1" in self.ready.recv(4096)
            except BlockingIOError:
                return False
        wait_until("postern to say READY=1", probe)

    def restart(self):
        self.stop(20)
        self.start()


class Mta(Server):
    """A mail server of the chroot, by the commands that its package is run with."""

    def __init__(self, root, name, start, stop):
        self.name = name
        super().__init__()
        self.root, self.stopping = root, stop
        root.run(*start)
        procs.register(self)

    def stop(self, seconds=10):
        self.root.run(*self.stopping)
        procs.unregister(self)


def world():
    """Names that the site's DNS knows: example.net, which sends us mail. All others are missing."""
    dns = FakeDns("127.0.0.1", 53)
    dns.set("example.net", "MX", (10, "mail.example.net"))
    dns.set("mail.example.net", "A", "203.0.113.7")
    dns.set("7.113.0.203.in-addr.arpa", "PTR", "mail.example.net")
    return dns


def fill_in(root, mode="observe", users=None):
    """What a site says in the shipped configuration: its domains, and when it agrees, the mode;
    with users, that it knows its mailboxes."""
    root.edit(CONF, ("table ours    { example.org; example.net; }", "table ours    { example.test; }"))
    if mode != "observe":
        root.edit(CONF, ("mode   observe;", "mode   %s;" % mode))
    if users is not None:
        root.write("/etc/postern/recipients", "".join(user + "@example.test\n" for user in users))
        root.edit(CONF, ("# table users file:", "table users file:"),
                  ("    # known        users;", "    known        users;"))
    root.run("postern", "check")


class Systemctl:
    """What the package's scripts ask of systemd. None runs here, so a stand-in takes the orders: it
    writes them down and says whether the service runs and is enabled, and the folder by which the
    scripts know systemd is made. deb-systemd-invoke and deb-systemd-helper are Debian's own."""

    SCRIPT = """#!/bin/sh
echo "$*" >>/run/systemctl.calls
case " $* " in
*" is-active "*) [ -e /run/systemctl.active ] && echo active || { echo inactive; exit 3; } ;;
*" is-enabled "*) [ -e /run/systemctl.enabled ] && echo enabled || { echo disabled; exit 1; } ;;
*" show "*) echo LoadState=loaded ;;
esac
"""

    def __init__(self, root):
        self.root = root
        root.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0o755)

    def begin(self, active, enabled=True):
        """From here on orders are written down; the service runs or does not."""
        root = self.root
        os.makedirs(root.at("/run/systemd/system"), exist_ok=True)
        root.run("dpkg-divert", "--local", "--rename", "--add", "/bin/systemctl")
        root.write("/bin/systemctl", self.SCRIPT, 0o755)
        root.write("/run/systemctl.calls", "")
        for name, holds in (("active", active), ("enabled", enabled)):
            path = root.at("/run/systemctl." + name)
            if holds:
                write(path, "")
            elif os.path.exists(path):
                os.unlink(path)

    def of(self, order):
        """The orders of one kind for our service, since begin()."""
        lines = [line.replace("--system ", "").replace("--quiet ", "").strip()
                 for line in self.root.read("/run/systemctl.calls").splitlines()]
        return [line for line in lines if line.split()[:1] == [order] and "postern" in line]
