#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 300 s
"""Upgrades: what the administrator wrote survives, and the daemon is restarted only for the better."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
from harness import *
from chroot import CONF, Daemon, Root, Systemctl, package

enter_sandbox()
root = Root()
CALLS = Systemctl(root)
MARK = "# The default configuration of the version before.\n"
NEW = os.path.basename(package()).split("_")[1]
daemon = None


def version():
    return root.run("dpkg-query", "-W", "-f", "${Version}", "postern")


def back():
    """The version before, with its own default configuration."""
    root.run("apt-get", "purge", "-y", "postern")
    root.install(which="old")


@case("the version before")
def _():
    global daemon
    root.install(which="old")
    same(version(), "0.0.1")
    has(root.read(CONF), MARK)
    daemon = Daemon(root)


@case("an upgrade brings the new default, restarts the daemon, and never stops it before")
def _():
    CALLS.begin(active=True)
    root.install()
    same(version(), NEW)
    expect(MARK not in root.read(CONF), "the default is the new one")
    same(CALLS.of("stop"), [])
    same(CALLS.of("restart"), ["restart postern.service"])
    daemon.check_alive()
    daemon.restart()


@case("a daemon that does not run is not started by an upgrade behind the administrator's back")
def _():
    daemon.stop()
    back()
    CALLS.begin(active=False, enabled=False)
    root.install()
    same(CALLS.of("restart"), [])
    same(CALLS.of("start"), [])
    CALLS.begin(active=False)


@case("an edited configuration survives an upgrade to the letter; the new default lies beside it")
def _():
    back()
    root.edit(CONF, ("table ours    { example.org; example.net; }", "table ours    { example.test; }"))
    edited = root.read(CONF)
    root.install()
    same(version(), NEW)
    same(root.read(CONF), edited)
    expect(MARK not in root.read(CONF + ".dpkg-dist"), "the new default is offered")
    daemon.start()


@case("a configuration that the new version does not take: the running daemon goes on")
def _():
    daemon.stop()
    back()
    daemon.start()
    root.write(CONF, root.read(CONF) + "rule broken { when no.such.fact; accept; }\n")
    CALLS.begin(active=True)
    text = root.install()
    same(version(), NEW)
    same(CALLS.of("restart"), [])
    same(CALLS.of("stop"), [])
    has(text, "no.such.fact")
    has(text, "this version does not take /etc/postern/postern.conf; the running daemon goes on")
    same(root.run("dpkg", "--audit"), "")
    daemon.check_alive()


@case("a deleted configuration stays deleted, and that is no reason to fail either")
def _():
    back()
    os.unlink(root.at(CONF))
    CALLS.begin(active=True)
    has(root.install(), "the running daemon goes on")
    same(root.run("dpkg", "--audit"), "")
    same(CALLS.of("restart"), [])
    expect(not root.exists(CONF), "it does not come back by itself")
    daemon.check_alive()


main()
