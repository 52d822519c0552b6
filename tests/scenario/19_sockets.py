#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 60 s
"""The socket: whose it is, what is replaced and what never, which ones are refused and with what words."""

import grp
import os
import pwd
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from daemon import front_statement
from harness import *

enter_sandbox()

RULE = 'rule word { when rcpt.local == word; reply 550 5.7.1 "a word from %{listener}"; }\n'
CONF = ("state_dir {dir}/state;\nresolver { servers 127.0.0.1@9; }\naudit { to file:{dir}/audit; }\n" + RULE)
sink = Sink()


def conf(*listens):
    return "".join(listens) + CONF


def fronted(text):
    """The text for the front of this run, unless it names one."""
    return text if text.startswith("front ") else front_statement() + text


def serve(text, path=None):
    """Runs a daemon that is expected not to start: (exit status, what it said to syslog and standard error)."""
    place = folder("refused")
    text = fronted(text.replace("{dir}", place))
    os.mkdir(place + "/state")
    before = len(Syslog.shared().lines())
    status, out, err = command("serve", "-f", "-c", write(place + "/postern.conf", text), seconds=20)
    wait_until("what it said", lambda: len(Syslog.shared().lines()) > before or err)
    said = "\n".join(entry.text for entry in Syslog.shared().lines()[before:])
    return status, said + "\n" + err


def check(text):
    place = folder("checked")
    return command("check", "-c", write(place + "/postern.conf", fronted(text.replace("{dir}", place))))


def speaks(postern):
    """The daemon answers at its unix socket."""
    with Milter(postern.milter) as milter:
        milter.greet()
        milter.mail("<x@example.net>")
        same(milter.rcpt("<word@example.test>").code, 550)
        milter.quit()


Syslog.shared()
postern = Postern(RULE)


@case("owner, group and permissions are as they were asked for")
def _():
    info = os.stat(postern.socket)
    same((info.st_uid, info.st_gid), (0, grp.getgrnam("postfix").gr_gid))
    same(stat.S_IMODE(info.st_mode), 0o660)
    postern.stop()
    nobody = pwd.getpwnam("nobody").pw_uid
    for options, wanted in (("owner nobody; group daemon; perm 0600;", (nobody, grp.getgrnam("daemon").gr_gid, 0o600)),
                            ("perm 0666;", (0, 0, 0o666)), ("owner nobody; perm 0755;", (nobody, 0, 0o755)),
                            ("", (0, 0, 0o660))):
        # Whatever the umask says.
        for mask in 0o000, 0o077:
            before = os.umask(mask)
            postern.write_conf(conf=conf("listen mx { socket {socket}; %s }\n" % options))
            postern.start()
            os.umask(before)
            wait_until("the socket", postern._listens)
            info = os.stat(postern.socket)
            same((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), wanted, options)
            # libmilter has a thread of its own that takes signals while it starts.
            speaks(postern)
            postern.stop()
    postern.write_conf(RULE)
    postern.start()


@case("Postfix, which is not root, reaches it through the group, and nobody else does")
def _():
    mx = Postfix(postern.milter, sink)
    with mx.client("203.0.113.7") as client:
        client.mail("x@example.net")
        has(client.rcpt("word@example.test").text, "a word from mx")
    mx.stop()
    probe = "import socket; socket.socket(socket.AF_UNIX).connect(%r)" % postern.socket
    for user, wanted in ("postfix", 0), ("nobody", 1):
        result = subprocess.run(["setpriv", "--reuid", user, "--regid", user if user == "postfix" else "nogroup",
                                 "--clear-groups", "/usr/bin/python3", "-c", probe], stderr=subprocess.PIPE)
        same(result.returncode, wanted, result.stderr.decode()[-200:])


@case("a stale socket is replaced")
def _():
    postern.kill()
    expect(os.path.exists(postern.socket), "it is still there")
    postern.start()
    speaks(postern)


@case("a live socket is never stolen: the second instance says who is there, and ends with 1")
def _():
    inode = os.stat(postern.socket).st_ino
    for _ in range(3):
        status, said = serve(conf("listen second { socket %s; }\n" % postern.milter))
        same(status, 1)
        has(said, "another process is listening at " + postern.socket)
    same(os.stat(postern.socket).st_ino, inode)
    speaks(postern)
    # Not even from somebody who is too busy to answer.
    postern.pause()
    waiting = []
    for _ in range(400):
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        waiting.append(one)
        try:
            one.connect(postern.socket)
        except BlockingIOError:
            break
    status, said = serve(conf("listen second { socket %s; }\n" % postern.milter))
    same(status, 1)
    has(said, postern.socket)
    for one in waiting:
        one.close()
    postern.resume()
    same(os.stat(postern.socket).st_ino, inode)
    speaks(postern)


@case("what is no socket stays where it is; folders, links and permissions are named")
def _():
    place = folder("places")
    text = write(place + "/text", "precious\n")
    os.mkdir(place + "/folder")
    os.symlink(text, place + "/link")
    for path, words in ((text, "is there already and is no socket"), (place + "/folder", "is there already and is no socket"),
                        (place + "/link", "is there already and is no socket"),
                        (place + "/missing/postern.sock", "the folder %s/missing of the socket: No such file" % place),
                        (text + "/postern.sock", "Not a directory")):
        status, said = serve(conf("listen mx { socket unix:%s; }\n" % path))
        same(status, 1, path)
        has(said, words)
        has(said, path.rsplit("/", 1)[0])
    same(read(text), "precious\n")
    expect(os.path.isdir(place + "/folder") and os.path.islink(place + "/link"), "nothing was removed")
    for options, words in (("owner nosuchuser;", "there is no user 'nosuchuser'"), ("group nosuchgroup;", "there is no group 'nosuchgroup'")):
        status, said = serve(conf("listen mx { socket unix:%s/postern.sock; %s }\n" % (place, options)))
        same(status, 1)
        has(said, words)
        expect(not os.path.exists(place + "/postern.sock"), "no socket is left behind after '%s'" % words)


@case("sockets that cannot be are refused by check and by serve, in the same words")
def _():
    rows = [("unix:relative", "begins with /"), ("unix:/" + "x" * 106, "106 bytes"), ("/run/postern.sock", "unix:PATH"),
            ("tcp:127.0.0.1:1", "unix:PATH"), ("inet:127.0.0.1", "inet:HOST:PORT"), ("inet:127.0.0.1:0", "from 1 to 65535"),
            ("inet:127.0.0.1:65536", "from 1 to 65535"), ("inet:127.0.0.1:x", "from 1 to 65535"), ("inet:mx.example.test:8895", "must be an address"),
            ("fd:x", "fd:NUMBER"), ("fd:-1", "fd:NUMBER"), ("fd:99999", "fd:NUMBER"), ("", ""),
            ("inet:0.0.0.0:8895", "could claim any client address"), ("inet:192.0.2.1:8895", "could claim any client address"),
            ("inet6:[::]:8895", "could claim any client address"), ("inet6:[2001:db8::1]:8895", "could claim any client address")]
    rows = [("listen mx { socket \"%s\"; }\n" % name, words) for name, words in rows]
    rows += [("front libmilter; listen a { socket unix:{dir}/a; }\nlisten b { socket unix:{dir}/b; }\n", "libmilter serves one socket a process"),
             ("front libmilter; listen mx { socket inet:127.0.0.1:8895; allow 192.0.2.0/24; }\n", "allow cannot be kept"),
             ("listen mx { perm 0660; }\n", "socket"), ("", "listen")]
    for listens, words in rows:
        status, said = serve(conf(listens))
        same(status, 1, listens)
        has(said, words, listens)
        status, _, err = check(conf(listens))
        same(status, 1, "check: " + listens)
        has(err, words, "check: " + listens)
    # The longest path there can be.
    place = folder("long")
    path = place + "/" + "x" * (106 - len(place) - 1)
    other = Postern(conf=conf("listen mx { socket unix:%s; }\n" % path))
    with Milter(path) as milter:
        milter.greet()
    other.stop()
    expect(not os.path.exists(path), "the socket is removed")


@case("an inet socket on loopback serves Postfix; a second daemon there is told so")
def _():
    rows = [(name, where, free_port(host)) for name, where, host in (
        ("inet:127.0.0.1:%d", "inet:127.0.0.1:%d", "127.0.0.1"), ("inet6:[::1]:%d", "inet:[::1]:%d", "::1"),
        ("inet:%d@127.0.0.1", "inet:127.0.0.1:%d", "127.0.0.1"), ("inet:localhost:%d", "inet:localhost:%d", "127.0.0.1"))]
    others = [Postern(conf=conf("listen tcp%d { socket %s; }\n" % (port, name % port))) for name, _, port in rows]
    mx = Postfix("", sink, ports=[{"smtpd_milters": where % port} for _, where, port in rows])
    for (name, _, port), other, service in zip(rows, others, mx.extra):
        with mx.client("203.0.113.7", port=service) as client:
            client.mail("x@example.net")
            has(client.rcpt("word@example.test").text, "a word from tcp%d" % port)
        status, said = serve(conf("listen second { socket %s; }\n" % (name % port)))
        same(status, 1)
        has(said, "port %d: Address already in use" % port)
        other.stop()


@case("fd:3 is taken from the service manager, and stays its own")
def _():
    place = folder("activated")
    for name, path in ("unix", place + "/a.sock"), ("inet", None):
        if path:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
        else:
            listener = socket.create_server(("127.0.0.1", 0))
        listener.listen(64)
        other = Postern(conf=conf("listen %s { socket fd:3; }\n" % name), start=False)
        before = other._told("READY=1")
        handed = os.dup(listener.fileno())

        def give():
            os.dup2(handed, 3)
            os.set_inheritable(3, True)

        env = dict(os.environ, NOTIFY_SOCKET=other.notify_path, LISTEN_FDS="1")
        with open(other.log_path, "ab") as log:
            other.process = subprocess.Popen([binary(), "serve", "-c", other.conf_path], stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, env=env, start_new_session=True, close_fds=False, preexec_fn=give)
        wait_until("READY=1", lambda: other.check_alive() or other._told("READY=1") > before)
        with Milter(path or ("127.0.0.1", listener.getsockname()[1])) as milter:
            milter.greet()
            milter.mail("<x@example.net>")
            has(milter.rcpt("<word@example.test>").text, "a word from " + name)
            milter.quit()
        other.stop()
        os.close(handed)
        if path:
            expect(os.path.exists(path), "the socket is the service manager's")
        listener.close()
    for number in 3, 77:
        status, said = serve(conf("listen mx { socket fd:%d; }\n" % number))
        same(status, 1)
        has(said, "fd:%d is no socket" % number)
        has(said, ".socket unit")


@case("the socket is removed at a clean end, and only then")
def _():
    expect(os.path.exists(postern.socket), "it is there")
    postern.stop()
    expect(not os.path.exists(postern.socket), "it is gone")
    postern.start()
    speaks(postern)


main()
