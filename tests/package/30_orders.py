#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 400 s
"""postern before Postfix, Postfix gone again, and what removing and purging leave behind."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
from harness import *
from chroot import CONF, Daemon, Root, Systemctl, package

enter_sandbox()
root = Root()
CALLS = Systemctl(root)
daemon = None


@case("postern alone, on a system without any mail server")
def _():
    global daemon
    root.install()
    daemon = Daemon(root)
    same(root.stat("/run/postern"), ("2750", "postern", "postern"))
    expect(not root.exists("/var/spool/postfix"), "nothing of Postfix is made")


@case("then Postfix: the daemon is restarted, and the socket moves into the chroot")
def _():
    CALLS.begin(active=True)
    text = root.apt("install", "postfix")
    has(text, "Processing triggers for postern")
    same(CALLS.of("restart"), ["restart postern.service"])
    daemon.restart()
    same(os.readlink(root.at("/run/postern")), "/var/spool/postfix/postern")
    same(root.stat("/var/spool/postfix/postern/postern.sock"), ("660", "postern", "postfix"))
    root.run("setpriv", "--reuid", "postfix", "--regid", "postfix", "--init-groups", "test", "-w",
             "/var/spool/postfix/postern/postern.sock")
    root.run("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--init-groups", "test", "-w",
             "/var/spool/postfix/postern/postern.sock", status=1)


@case("Postfix once more, as an upgrade of it does: the daemon is left alone")
def _():
    CALLS.begin(active=True)
    has(root.apt("install", "--reinstall", "postfix"), "Processing triggers for postern")
    same(CALLS.of("restart"), [])


@case("a queue directory of another name, and a stale socket after a sudden death")
def _():
    daemon.kill()
    expect(root.exists("/var/spool/postfix/postern/postern.sock"), "the socket stays behind")
    root.run("mkdir", "/srv/queue")
    root.run("postconf", "-e", "queue_directory=/srv/queue")
    daemon.start()
    same(os.readlink(root.at("/run/postern")), "/srv/queue/postern")
    same(root.stat("/srv/queue/postern/postern.sock"), ("660", "postern", "postfix"))
    root.run("postconf", "-X", "queue_directory")
    daemon.restart()
    same(os.readlink(root.at("/run/postern")), "/var/spool/postfix/postern")


@case("Postfix goes: the daemon is restarted, at a folder of its own")
def _():
    CALLS.begin(active=True)
    root.apt("purge", "postfix")
    same(CALLS.of("restart"), ["restart postern.service"])
    daemon.restart()
    expect(not os.path.islink(root.at("/run/postern")), "no link is left")
    same(root.stat("/run/postern/postern.sock"), ("660", "postern", "postern"))
    daemon.stop()


@case("Postfix is there first, its configuration is not: the names are Debian's")
def _():
    root.apt("install", "postfix")
    os.unlink(root.at("/etc/postfix/main.cf"))
    daemon.start()
    same(root.stat("/var/spool/postfix/postern/postern.sock"), ("660", "postern", "postfix"))


@case("remove: the service ends, the configuration and the state stay")
def _():
    root.write("/var/lib/postern/size", "1\n")
    CALLS.begin(active=True)
    daemon.stop()
    root.apt("remove", "postern")
    same(CALLS.of("stop"), ["stop postern.service"])
    expect(root.exists(CONF), "the configuration is kept")
    expect(root.exists("/var/lib/postern/size"), "the state is kept")
    for path in "/usr/sbin/postern", "/run/postern", "/var/spool/postfix/postern", "/usr/share/postern":
        expect(not root.exists(path), "%s is left" % path)


@case("and it can be installed again, as it was configured")
def _():
    root.write(CONF, root.read(CONF) + "# ours\n")
    root.install()
    has(root.read(CONF), "# ours\n")
    daemon.start()
    daemon.stop()


@case("purge: nothing is left but the user, and it may be done without Postfix as well")
def _():
    root.apt("purge", "postfix")
    CALLS.begin(active=False)
    root.apt("purge", "postern")
    left = root.run("find", "/etc", "/usr", "/var/lib", "/var/log", "/run", "/lib/systemd/system",
                    "-path", "/var/lib/apt", "-prune", "-o", "-name", "*postern*", "-print")
    same(left.split(), [])
    has(root.run("getent", "passwd", "postern"), "postern")
    same(root.run("dpkg", "--audit"), "")


@case("the package goes in by dpkg alone, too, once its libraries are there")
def _():
    root.write("/root/p.deb", open(package(), "rb").read())
    root.run("dpkg", "-i", "/root/p.deb")
    root.run("postern", "check")


main()
