# SPDX-License-Identifier: MIT
"""Processes, folders, ports and patience for the harness."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import sandbox

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Sanitized programs are slower; whoever waits for one is more patient by this factor.
SLOW = int(os.environ.get("POSTERN_SLOW", "1"))

_base = os.environ.get("POSTERN_TEST_DIR")
_own_base = None
_folders = {}
_running = []


class Trouble(Exception):
    """Something did not start, answer or stop as it must."""


def wait_until(what, probe, seconds=10):
    """Calls probe until it returns something true, and returns that; Trouble after the time."""
    end = time.monotonic() + seconds * SLOW
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            raise Trouble("waited %d s in vain for %s" % (seconds * SLOW, what))
        time.sleep(0.01)


def base_folder():
    """The folder of this scenario, from tests/run or made here."""
    global _base, _own_base
    if _base is None:
        _base = _own_base = tempfile.mkdtemp(prefix="postern-", dir="/tmp")
        os.chmod(_base, 0o755)
    return _base


def folder(name):
    """A new folder in the scenario's own: name, name-2, name-3 ..., readable by every user."""
    _folders[name] = _folders.get(name, 0) + 1
    count = _folders[name]
    path = os.path.join(base_folder(), name if count == 1 else "%s-%d" % (name, count))
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


def discard_folder():
    """Removes the folder if it was made here; one from tests/run is its own business."""
    if _own_base:
        shutil.rmtree(_own_base, ignore_errors=True)


def write(path, text, mode=0o644):
    """Writes text to path, whole or not at all, as an administrator's editor would."""
    data = text if isinstance(text, bytes) else text.encode()
    with open(path + ".new", "wb") as out:
        out.write(data)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path


def read(path):
    """The text of a file, "" while there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read()
    except FileNotFoundError:
        return ""


_handed_out = set()


def free_port(host="127.0.0.1"):
    """A port that nobody listens on, for TCP and UDP, and that was not handed out before."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as tcp, \
                socket.socket(family, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind((host, port))
            except OSError:
                continue
        if port not in _handed_out:
            _handed_out.add(port)
            return port


_addresses = set()


def address_on_loopback(address):
    """Gives the loopback interface an address, unless it was given it before (all of 127/8 it
    has)."""
    if address in _addresses:
        return
    _addresses.add(address)
    if sandbox.inside() != "private":
        raise Trouble("%s cannot be added: no private network here" % address)
    length = "128" if ":" in address else "32"
    extra = ["nodad"] if ":" in address else []
    subprocess.run(["ip", "addr", "add", "%s/%s" % (address, length), "dev", "lo"] + extra,
                   check=True)


class Server:
    """A process that serves something. Subclasses call spawn() in start() and may override all."""

    name = "server"

    def __init__(self):
        self.process = None
        self.dir = folder(self.name)
        self.log_path = os.path.join(self.dir, self.name + ".log")

    def spawn(self, argv, env=None, cwd=None):
        """Starts argv in a process group of its own, its output appended to the log."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, cwd=cwd, start_new_session=True)
        if self not in _running:
            _running.append(self)

    def check_alive(self):
        """Trouble, with the end of the log, if the process has ended by itself."""
        if self.process and self.process.poll() is not None:
            raise Trouble("%s ended by itself, status %d:\n%s"
                          % (self.name, self.process.returncode, self.log()[-2000:]))

    def log(self):
        """What the process has written so far."""
        return read(self.log_path)

    def signal_group(self, number):
        os.killpg(self.process.pid, number)

    def pause(self):
        """Freezes the server: it keeps its sockets and answers nothing."""
        self.signal_group(signal.SIGSTOP)

    def resume(self):
        """Thaws it."""
        self.signal_group(signal.SIGCONT)

    def kill(self):
        """Ends it at once, with no chance to say good-bye."""
        if self.process:
            try:
                self.signal_group(signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        self.forget()

    def stop(self, seconds=10):
        """Asks it to end, and waits; it is killed, and Trouble raised, if it does not."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds * SLOW)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Trouble("%s did not end within %d s of SIGTERM" % (self.name, seconds * SLOW))
        self.kill()

    def forget(self):
        """Leaves the list of what runs."""
        self.process = None
        if self in _running:
            _running.remove(self)


def register(server):
    """Enters something with a stop() into the list of what runs."""
    if server not in _running:
        _running.append(server)


def unregister(server):
    """Takes it out again."""
    if server in _running:
        _running.remove(server)


def stop_all():
    """Stops all that runs, the youngest first; returns what went wrong, one text each."""
    troubles = []
    while _running:
        server = _running[-1]
        try:
            server.stop()
        except Exception as error:  # one that will not stop must not keep the others running
            troubles.append("%s: %s" % (type(server).__name__, error))
        unregister(server)
    return troubles


atexit.register(stop_all)
