#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 600 s
"""The packages as files: what lintian says, how they were compiled, and the ways in without dpkg."""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
from harness import *
from chroot import PACKAGE, package

enter_sandbox()
PLACE = folder("tree")


def say(*argv, status=0, **more):
    """Runs a command; returns what it says. Another exit status is Trouble."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **more)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != status:
        raise Trouble("%s: status %d:\n%s" % (" ".join(argv), done.returncode, text[-4000:]))
    return text


def unpacked(which):
    path = os.path.join(PLACE, which)
    if not os.path.isdir(path):
        say("dpkg", "-x", package(which), path)
    return path


def files(top):
    """All files below a folder, by their paths in it."""
    return sorted(os.path.join(path, name)[len(top):]
                  for path, _, names in os.walk(top) for name in names)


@case("lintian finds no error and nothing to warn of")
def _():
    changes, = glob.glob(os.path.join(PACKAGE, "new", "*.changes"))
    text = say("lintian", "--allow-root", "--fail-on", "error,warning", changes)
    same(re.findall(r"^[EW]: .*", text, re.M), [])


@case("the program is built with dpkg's flags and ours: position independent, bound early, fortified")
def _():
    program = unpacked("new") + "/usr/sbin/postern"
    has(say("readelf", "-h", program), "DYN (Position-Independent Executable file)")
    has(say("readelf", "-d", program), "BIND_NOW")
    has(say("readelf", "-l", program), "GNU_RELRO")
    symbols = say("readelf", "--dyn-syms", "-W", program)
    has(symbols, "__stack_chk_fail")
    has(symbols, "_chk@GLIBC")
    log = read(os.path.join(PACKAGE, "new", "build.log"))
    compiled = [line for line in log.splitlines() if re.search(r" -c -o \S+\.o ", line)]
    expect(len(compiled) > 50, "%d sources are seen" % len(compiled))
    for line in compiled:
        for flag in "-Wdate-time", "-ffile-prefix-map=", "-fstack-protector-strong", "-Werror=format-security":
            has(line, flag)
    has(log, "-Wl,-z,now")


@case("two builds in two places give the same program")
def _():
    one, other = (open(unpacked(which) + "/usr/sbin/postern", "rb").read() for which in ("old", "new"))
    expect(one == other, "the programs differ")


@case("program, changelog and spec agree on the version")
def _():
    version = say(os.path.join(ROOT, "scripts/dist"), "--version").strip()
    has(say(unpacked("new") + "/usr/sbin/postern", "--version"), version)
    same(say("dpkg-parsechangelog", "-l", ROOT + "/debian/changelog", "-S", "Version").strip(), version)
    has(say("rpmspec", "-q", "--qf", "%{VERSION}\n", ROOT + "/packaging/rpm/postern.spec").split(), version)


@case("make install into another place: every path inside follows, an edited configuration stays")
def _():
    place = os.path.join(PLACE, "installed")
    argv = ["make", "-C", ROOT, "install", "DESTDIR=" + place, "PREFIX=/opt/mail",
            "BUILD=" + os.path.dirname(binary())]
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    say(*argv, env=env)
    found = files(place)
    # Named in both ways of installing, prefix and Debian's own places aside.
    debian = [re.sub("^/(usr|lib)/", "/", path).replace("vendor-completions", "site-functions").replace(".gz", "")
              for path in files(unpacked("new")) if "/share/doc/" not in path]
    same(sorted(re.sub("^/opt/mail/(lib/systemd/)?", lambda match: "/systemd/" if match.group(1) else "/", path)
                for path in found), sorted(debian))
    for path in found:
        if not path.endswith("/sbin/postern"):
            text = read(place + path)
            expect(not re.search(r"(?<!/opt/mail)/usr/(share/postern|libexec|sbin/postern)", text), path)
            expect("/usr/sbin/postern" not in text, path)
    write(place + "/etc/postern/postern.conf", "# ours\n")
    say(*argv, env=env)
    same(read(place + "/etc/postern/postern.conf"), "# ours\n")


@case("the spec builds source and binary packages with rpmbuild, and packs what make install puts there")
def _():
    top = os.path.join(PLACE, "rpm")
    os.makedirs(top + "/SOURCES")
    version = say(os.path.join(ROOT, "scripts/dist"), "--version").strip()
    with open("%s/SOURCES/postern-%s.tar.gz" % (top, version), "wb") as archive:
        tree = subprocess.Popen([ROOT + "/scripts/dist", os.path.dirname(PACKAGE)], stdout=subprocess.PIPE)
        subprocess.run(["gzip", "-n"], stdin=tree.stdout, stdout=archive, check=True)
        same(tree.wait(), 0)
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "BUILD")}
    env["HOME"] = top
    # The libraries came by dpkg, so rpm knows none of them.
    say("rpmbuild", "--define", "_topdir " + top, "--define", "debug_package %{nil}", "--nodeps", "-ba",
        ROOT + "/packaging/rpm/postern.spec", env=env)
    built, = glob.glob(top + "/RPMS/*/*.rpm")
    expect(glob.glob(top + "/SRPMS/*.src.rpm"), "a source package")
    listed = say("rpm", "-qpl", built, env=env).split()
    for path in ("/etc/postern/postern.conf", "/usr/sbin/postern", "/usr/libexec/postern/socket-folder",
                 "/usr/lib/systemd/system/postern.service", "/usr/share/postern/rules.d/20-recipients.conf"):
        has(listed, path)
    same(say("rpm", "-qp", "--configfiles", built, env=env).split(), ["/etc/postern/postern.conf"])


main()
