# SPDX-License-Identifier: MIT
"""What a scenario needs, in one import.

    #!/usr/bin/env python3
    # SPDX-License-Identifier: MIT
    # time limit: 60 s
    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
    from harness import *

    enter_sandbox()
    sink = Sink()
    postern = Postern('rule closed { when true; reply 521 5.3.2 "%{hostname} takes no mail"; }')
    mx = Postfix(postern.milter, sink)

    @case("a host that takes no mail says 521")
    def _():
        with mx.client("203.0.113.7") as client:
            same(client.mail("a@example.net").code, 521)

    main()

Cases run in the order of the file and share what was made above them. Everything that was started
is stopped at the end, which is a case of its own: a daemon that does not end cleanly has failed.
`./NN_words.py WORD...` runs the cases whose names contain a word.
"""

import re
import sys
import time
import traceback

import procs
import sandbox
from daemon import Postern, binary, command, installed, record
from dnsservers import FakeDns, Nsd, Rbldnsd, Unbound
from dnswire import ask
from milterclient import Answer, Milter
from postfix import Postfix
from procs import (ROOT, SLOW, Trouble, address_on_loopback, base_folder, folder, free_port, read,
                   wait_until, write)
from sandbox import enter as enter_sandbox
from sendmail import Sendmail
from smtp import SMTP, Closed, Sink
from syslogd import Syslog

__all__ = ["Answer", "Closed", "FakeDns", "Milter", "Nsd", "Postern", "Postfix", "ROOT", "Rbldnsd",
           "SLOW", "SMTP", "Sendmail", "Sink", "Syslog", "Trouble", "Unbound", "address_on_loopback", "ask",
           "base_folder", "binary", "case", "command", "enter_sandbox", "expect", "folder",
           "free_port", "has", "installed", "main", "matches", "raises", "read", "record", "same",
           "wait_until", "write"]

_cases = []


class Failure(Exception):
    """An expectation that was not met."""


def expect(condition, what):
    """The condition holds."""
    if not condition:
        raise Failure(str(what))


def same(got, wanted, what=""):
    """Two values are equal."""
    if got != wanted:
        raise Failure("%sgot %r, wanted %r" % (what and what + ": ", got, wanted))


def has(text, part, what=""):
    """A text contains another, or a collection a member."""
    if part not in text:
        raise Failure("%s%r is not in %r" % (what and what + ": ", part, text))


def matches(text, regex, what=""):
    """A regular expression is found in a text; returns the match."""
    match = re.search(regex, str(text), re.S)
    if not match:
        raise Failure("%s/%s/ does not match %r" % (what and what + ": ", regex, str(text)))
    return match


def raises(kind, function, *arguments):
    """A call raises an exception of a kind; returns it."""
    try:
        function(*arguments)
    except kind as error:
        return error
    raise Failure("%s was not raised" % kind.__name__)


def _enter(name, function):
    if name in [known for known, _ in _cases]:
        raise Trouble("two cases are called %r" % name)
    _cases.append((name, function))


def case(name, on=None):
    """Marks a function as a case; with on, a list of mail servers, as one case for each of them,
    which the function is called with."""
    def mark(function):
        if on is None:
            _enter(name, function)
        for mta in on or ():
            _enter("%s: %s" % (mta.kind, name), lambda mta=mta: function(mta))
        return function
    return mark


def _report(good, name, details=""):
    print("%s - %s" % ("ok" if good else "not ok", name))
    for line in details.splitlines():
        print("# " + line)
    sys.stdout.flush()


def _run(name, function):
    start = time.monotonic()
    try:
        function()
    except Exception as error:  # whatever a case trips over is its failure, and the next one's turn
        trace = traceback.extract_tb(error.__traceback__)
        where = [frame for frame in trace if frame.filename == sys.argv[0]] or trace
        details = "%s:%d: %s: %s" % (where[-1].filename, where[-1].lineno, type(error).__name__,
                                     error)
        if not isinstance(error, (Failure, Trouble)):
            details += "\n" + "".join(traceback.format_tb(error.__traceback__))
        _report(False, name, details)
        return False
    details = "%.1f s" % (time.monotonic() - start) if "-v" in sys.argv else ""
    _report(True, name, details)
    return True


def main():
    """Runs the cases, stops what runs, prints the plan, exits."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    chosen = [(name, function) for name, function in _cases
              if not words or any(word in name for word in words)]
    failed = sum([not _run(name, function) for name, function in chosen])
    troubles = procs.stop_all()
    _report(not troubles, "everything ends cleanly", "\n".join(troubles))
    failed += bool(troubles)
    print("1..%d" % (len(chosen) + 1))
    sys.stdout.flush()
    if failed and procs._own_base:
        print("# kept: " + procs.base_folder())
    else:
        procs.discard_folder()
    sys.exit(1 if failed else 0)
