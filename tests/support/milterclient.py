# SPDX-License-Identifier: MIT
"""The MTA's side of the milter protocol (version 6), packet by packet.

Milter behaves as Postfix and Sendmail do: what the filter said in the negotiation that it does not
want is not sent, and where it said that it will not answer nothing is read. send_raw(),
send_packet() and receive() are there for tests that misbehave."""

import socket
import struct

import procs

NO_STEP = {"C": 0x1, "H": 0x2, "M": 0x4, "R": 0x8, "B": 0x10, "L": 0x20, "N": 0x40, "U": 0x100,
           "T": 0x200}
NO_REPLY = {"L": 0x80, "C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000,
            "U": 0x20000, "N": 0x40000, "B": 0x80000}
SKIP, RCPT_REJ, LEADING_SPACE = 0x400, 0x800, 0x100000
ALL_ACTIONS, ALL_STEPS = 0x1FF, 0x1FFFFF
STAGES = ("connect", "helo", "mail", "rcpt", "data", "eom", "eoh")
VERDICTS = {"c": "continue", "a": "accept", "r": "reject", "t": "tempfail", "d": "discard",
            "s": "skip", "4": "shutdown", "f": "fail"}
MODIFICATIONS = {"+": "add_rcpt", "2": "add_rcpt_args", "-": "delete_rcpt", "e": "change_from",
                 "h": "add_header", "i": "insert_header", "m": "change_header",
                 "b": "replace_body", "q": "quarantine"}


class Closed(Exception):
    """The filter has closed the connection."""


class Answer:
    """What the filter said at one stage.

    word: continue, accept, reject, tempfail, discard, skip, shutdown, fail, "reply" (then code and
    text are set; text has one line per line, codes stripped), "none" (the filter negotiated that it
    does not answer here) or "unasked" (it negotiated that this stage is not sent).
    modifications: at the end of the message, a list of (word, arguments ...)."""

    def __init__(self, word, payload=b""):
        self.word, self.code, self.text, self.raw = word, None, "", payload
        self.modifications = []
        if word == "reply":
            lines = payload.rstrip(b"\0").decode("utf-8", "replace").split("\r\n")
            self.code = int(lines[0][:3])
            self.text = "\n".join(line[4:] for line in lines)

    @property
    def goes_on(self):
        """True where the MTA would go on with this transaction."""
        return self.word in ("continue", "skip", "none", "unasked")

    def __repr__(self):
        return "%d %s" % (self.code, self.text) if self.word == "reply" else self.word


class Milter:
    """A connection to a filter at a unix socket (a path, or unix:PATH) or (host, port)."""

    def __init__(self, where, seconds=20, negotiate=True, **offer):
        if isinstance(where, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(seconds * procs.SLOW)
            self.socket.connect(where[5:] if where.startswith("unix:") else where)
        else:
            self.socket = socket.create_connection(where, seconds * procs.SLOW)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.version, self.actions, self.steps, self.symbols = 6, ALL_ACTIONS, 0, {}
        self.skipping = False
        if negotiate:
            self.negotiate(**offer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Drops the connection without a word."""
        self.socket.close()

    # Packets

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed("closed while sending") from None

    @staticmethod
    def packet(command, data=b""):
        """The bytes of a packet, for tests that cut them."""
        return struct.pack(">I", len(data) + 1) + command.encode() + data

    def send_packet(self, command, data=b""):
        self.send_raw(self.packet(command, data))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed("closed instead of an answer")
            data += part
        return data

    def receive(self):
        """One packet, as (command letter, data)."""
        length = struct.unpack(">I", self._exactly(4))[0]
        if not 1 <= length <= 0x1000000:
            raise Closed("impossible packet length %d" % length)
        data = self._exactly(length)
        return data[:1].decode("latin-1"), data[1:]

    def is_closed_by_filter(self, seconds=5):
        """True if the filter closes within the time without saying more."""
        self.socket.settimeout(seconds * procs.SLOW)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def is_silent(self, seconds=0.3):
        """True if nothing comes within the time: no packet too many was sent."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(before)

    # The stages

    def negotiate(self, version=6, actions=ALL_ACTIONS, steps=ALL_STEPS):
        """Offers version, actions and steps; keeps what the filter chose in .version, .actions,
        .steps and .symbols ({stage name: macro names})."""
        self.send_packet("O", struct.pack(">3I", version, actions, steps))
        command, data = self.receive()
        if command != "O":
            raise Closed("answered the negotiation with %r" % command)
        self.version, self.actions, self.steps = struct.unpack(">3I", data[:12])
        at = 12
        while at < len(data):
            stage = struct.unpack(">I", data[at:at + 4])[0]
            end = data.index(b"\0", at + 4)
            self.symbols[STAGES[stage]] = data[at + 4:end].decode()
            at = end + 1
        return self

    def macros(self, stage, values):
        """Sends macros for the stage of a command letter: macros("C", {"j": "mx.example.test"}).
        Names of more than one character get their braces here."""
        data = stage.encode()
        for name, value in values.items():
            name = name if len(name) == 1 or name.startswith("{") else "{%s}" % name
            data += name.encode() + b"\0" + str(value).encode("utf-8", "surrogateescape") + b"\0"
        self.send_packet("D", data)

    def _stage(self, command, data, macros):
        if self.steps & NO_STEP.get(command, 0):
            return Answer("unasked")
        if macros is not None:
            self.macros(command, macros)
        self.send_packet(command, data)
        if self.steps & NO_REPLY.get(command, 0):
            return Answer("none")
        return self._answer()

    def _answer(self):
        modifications = []
        while True:
            command, data = self.receive()
            if command == "p":
                continue
            if command in MODIFICATIONS:
                modifications.append(self._modification(command, data))
                continue
            if command == "y":
                answer = Answer("reply", data)
            elif command in VERDICTS:
                answer = Answer(VERDICTS[command], data)
            else:
                raise Closed("unknown answer %r" % command)
            answer.modifications = modifications
            return answer

    @staticmethod
    def _modification(command, data):
        word = MODIFICATIONS[command]
        if command == "b":
            return word, data
        index = ()
        if command in "im":
            index, data = struct.unpack(">I", data[:4]), data[4:]
        parts = data.rstrip(b"\0").decode("utf-8", "replace").split("\0")
        if command in "him" and len(parts) == 1:
            parts.append("")
        return (word,) + index + tuple(parts)

    @staticmethod
    def _strings(*texts):
        return b"".join((text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
                        + b"\0" for text in texts)

    def connect(self, addr="203.0.113.7", host=None, port=40000, family=None, macros=None):
        """host: what the MTA calls the client, by default [addr]; family: 4, 6, L or U (unknown),
        by default as the address looks; addr None stands for U."""
        family = family or ("U" if addr is None else "6" if ":" in addr else "4")
        data = self._strings(host if host is not None else "[%s]" % addr) + family.encode()
        if family != "U":
            data += struct.pack(">H", port) + self._strings(addr)
        return self._stage("C", data, macros)

    def helo(self, name="client.example.net", macros=None):
        return self._stage("H", self._strings(name), macros)

    def mail(self, address, *arguments, macros=None):
        """address: with its angle brackets, as the client said it."""
        self.skipping = False
        return self._stage("M", self._strings(address, *arguments), macros)

    def rcpt(self, address, *arguments, macros=None):
        return self._stage("R", self._strings(address, *arguments), macros)

    def data(self, macros=None):
        return self._stage("T", b"", macros)

    def header(self, name, value, macros=None):
        """value: without the space after the colon; it is added where the filter asked for it."""
        lead = " " if self.steps & LEADING_SPACE and isinstance(value, str) else ""
        return self._stage("L", self._strings(name, lead + value if lead else value), macros)

    def eoh(self, macros=None):
        return self._stage("N", b"", macros)

    def body(self, chunk, macros=None):
        """One chunk, at most 65535 bytes; nothing is sent once the filter has said skip."""
        if self.skipping:
            return Answer("unasked")
        answer = self._stage("B", chunk, macros)
        self.skipping = answer.word == "skip"
        return answer

    def eom(self, chunk=b"", macros=None):
        return self._stage("E", chunk, macros)

    def unknown(self, line, macros=None):
        return self._stage("U", self._strings(line), macros)

    def abort(self):
        self.send_packet("A")

    def quit(self):
        """Ends the connection as an MTA does."""
        try:
            self.send_packet("Q")
        except Closed:
            pass
        self.close()

    def quit_keep(self):
        """Ends the SMTP session but keeps the connection for a new one (SMFIC_QUIT_NC)."""
        self.send_packet("K")

    # Whole conversations

    def greet(self, addr="203.0.113.7", helo="client.example.net", host=None, macros=None):
        """connect and helo; returns the first answer that does not go on, or the last."""
        answer = self.connect(addr, host=host, macros=macros)
        return self.helo(helo) if answer.goes_on else answer

    def message(self, sender="<sender@example.net>", recipients=("<alice@example.test>",),
                headers=(("From", "sender@example.net"), ("Subject", "test")),
                body=b"hello\r\n", macros=None):
        """A whole transaction. Returns {"mail": answer, "rcpt": [answers], "data", "header", "eoh",
        "body", "eom"}, as far as it came; "end" is the answer that ended it. macros: {letter:
        {name: value}}. Like an MTA it goes on while at least one recipient is taken."""
        macros = macros or {}
        got = {"rcpt": []}

        def step(name, answer):
            got[name] = got["end"] = answer
            return answer.goes_on

        if not step("mail", self.mail(sender, macros=macros.get("M"))):
            return got
        for recipient in recipients:
            got["end"] = self.rcpt(recipient, macros=macros.get("R"))
            got["rcpt"].append(got["end"])
            if got["end"].word in ("accept", "discard", "shutdown"):
                return got
        if not any(answer.goes_on for answer in got["rcpt"]):
            self.abort()
            return got
        if not step("data", self.data(macros=macros.get("T"))):
            return got
        for name, value in headers:
            if not step("header", self.header(name, value)):
                return got
        if not step("eoh", self.eoh(macros=macros.get("N"))):
            return got
        for at in range(0, len(body), 65535):
            if not step("body", self.body(body[at:at + 65535])):
                return got
        step("eom", self.eom(macros=macros.get("E")))
        return got
