#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command in private namespaces: network, mounts, host name, processes.

usage: sandbox.py COMMAND [ARGUMENT...]

Inside, the loopback interface is up and nothing else can be reached; mounts are private; every
process that the command leaves behind dies with it, since the sandbox has a process tree of its
own. Needs root. Where the machine forbids new namespaces (some containers do) the command runs
without, after a note on standard error: the tests then share the loopback interface with whatever
else runs there.
"""

import os
import subprocess
import sys

MARK = "POSTERN_SANDBOX"
UNSHARE = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child",
           "--mount-proc", "--propagation", "private"]


def inside():
    """The kind of sandbox this process runs in: "private", "none", or None outside of any."""
    return os.environ.get(MARK)


def refusal():
    """Why this machine has no private namespaces for us; "" where it has."""
    if os.geteuid() != 0:
        return "that needs root"
    tried = subprocess.run(UNSHARE + ["true"], stderr=subprocess.PIPE, text=True)
    if tried.returncode == 0:
        return ""
    reason = tried.stderr.strip() or "unshare ended with %d" % tried.returncode
    # The kernel changes the propagation of mounts only, and "/" must be one: in a plain chroot it
    # is a folder like any other.
    if not os.path.ismount("/") or "propagation" in reason:
        reason += " (in a plain chroot / is no mount; bind it onto itself first: mount --bind DIR DIR)"
    return reason


def available():
    """True if this machine allows private namespaces."""
    return refusal() == ""


def command(argv, private):
    """The command that runs argv in a sandbox, and the environment for it. private: available()."""
    env = dict(os.environ)
    env[MARK] = "private" if private else "none"
    if private:
        argv = UNSHARE + [sys.executable, os.path.abspath(__file__), "--init"] + argv
    else:
        print("sandbox: no private namespaces on this machine, going on without: " + refusal(),
              file=sys.stderr)
    return argv, env


def init(argv):
    """The first process of a sandbox: starts argv, buries orphans, returns argv's exit status."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["hostname", "mx.example.test"], check=True)
    # Not subprocess, which would compete for the exit status.
    child = os.posix_spawnp(argv[0], argv, os.environ)
    while True:
        pid, status = os.wait()
        if pid == child:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def enter():
    """Runs this very program again inside a sandbox, unless it is in one already."""
    if inside():
        return
    if os.geteuid() != 0:
        sys.exit("%s: needs root: it starts mail and name servers in namespaces of its own"
                 % sys.argv[0])
    argv, env = command([sys.executable, os.path.abspath(sys.argv[0])] + sys.argv[1:],
                        available())
    sys.stdout.flush()
    os.execvpe(argv[0], argv, env)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--init":
        sys.exit(init(sys.argv[2:]))
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    argv, env = command(sys.argv[1:], available())
    os.execvpe(argv[0], argv, env)
