# SPDX-License-Identifier: MIT
"""An SMTP client that says exactly what it is told, and a sink that takes mail and remembers it."""

import socket
import ssl
import threading

import procs
from procs import free_port, wait_until


class Closed(Exception):
    """The server has closed the connection."""


class Reply:
    """A reply: code (int) and lines (list of text, without code and separator)."""

    def __init__(self, code, lines):
        self.code, self.lines = code, lines

    @property
    def text(self):
        """All lines in one, joined by line feeds."""
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        """The enhanced status code of the first line, or ""."""
        word = self.lines[0].split(" ", 1)[0] if self.lines else ""
        parts = word.split(".")
        return word if len(parts) == 3 and all(part.isdigit() for part in parts) else ""

    def __repr__(self):
        return "%d %s" % (self.code, self.text)


def read_reply(stream):
    """Reads one reply, of one or several lines, from a binary stream."""
    lines = []
    while True:
        try:
            line = stream.readline()
        except ConnectionResetError:
            line = b""
        if not line.endswith(b"\n"):
            raise Closed("closed instead of a reply")
        line = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        lines.append(line[4:])
        if line[3:4] != "-":
            return Reply(int(line[:3]), lines)


class SMTP:
    """A connection. greeting is the server's first reply; replies are Reply objects; Closed is
    raised where the server closes instead of answering."""

    def __init__(self, port, host="127.0.0.1", source=None, seconds=30):
        self.socket = socket.create_connection((host, port), seconds * procs.SLOW,
                                               (source, 0) if source else None)
        self.stream = self.socket.makefile("rb")
        self.closed = False
        self.greeting = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Drops the connection without QUIT."""
        self.closed = True
        self.stream.close()
        self.socket.close()

    def send(self, *lines):
        """Sends lines (text or bytes) in one piece, without waiting for replies."""
        raw = [line.encode("utf-8") if isinstance(line, str) else line for line in lines]
        try:
            self.socket.sendall(b"".join(line + b"\r\n" for line in raw))
        except (BrokenPipeError, ConnectionResetError):
            raise Closed("closed while sending") from None

    def read(self):
        """Reads one reply, of one or several lines."""
        return read_reply(self.stream)

    def cmd(self, line):
        """Sends a line, returns the reply."""
        self.send(line)
        return self.read()

    def pipeline(self, *lines):
        """Sends all lines in one piece, returns their replies; where the server closes the
        connection, the replies that came before."""
        self.send(*lines)
        replies = []
        try:
            for _ in lines:
                replies.append(self.read())
        except Closed:
            pass
        return replies

    def ehlo(self, name="client.example.test"):
        return self.cmd("EHLO " + name)

    def xclient(self, **attributes):
        """XCLIENT (Postfix): xclient(ADDR="203.0.113.7", NAME="mail.example.net", ...). The reply
        is the greeting of the new session."""
        return self.cmd("XCLIENT " + " ".join("%s=%s" % item for item in attributes.items()))

    def starttls(self):
        """STARTTLS, and TLS if the server agrees; its certificate is not looked at."""
        reply = self.cmd("STARTTLS")
        if reply.code == 220:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.stream.close()
            self.socket = context.wrap_socket(self.socket)
            self.stream = self.socket.makefile("rb")
        return reply

    def mail(self, address, *parameters):
        return self.cmd(" ".join(["MAIL FROM:<%s>" % address] + list(parameters)))

    def rcpt(self, address, *parameters):
        return self.cmd(" ".join(["RCPT TO:<%s>" % address] + list(parameters)))

    def data(self, message):
        """DATA and, if the answer is 354, the message; returns the last reply. message: text or
        bytes, any line ends; dots are doubled here."""
        reply = self.cmd("DATA")
        return self.content(message) if reply.code == 354 else reply

    def content(self, message):
        """The message and the final dot, after a 354."""
        raw = message.encode("utf-8") if isinstance(message, str) else message
        lines = raw.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
        self.send(*[b"." + line if line.startswith(b".") else line for line in lines], b".")
        return self.read()

    def deliver(self, sender, recipients, message="Subject: test\n\nhello\n"):
        """A whole transaction; returns {"mail": reply, "rcpt": [replies], "data": reply or None}.
        It stops where the server does: after a refused MAIL, or when all recipients are refused."""
        replies = {"mail": self.mail(sender), "rcpt": [], "data": None}
        if replies["mail"].code == 250:
            replies["rcpt"] = [self.rcpt(recipient) for recipient in recipients]
            if any(reply.code == 250 for reply in replies["rcpt"]):
                replies["data"] = self.data(message)
        return replies

    def quit(self):
        reply = self.cmd("QUIT")
        self.close()
        return reply

    def is_closed_by_server(self, seconds=5):
        """True if the server closes within the time, without saying more."""
        self.socket.settimeout(seconds * procs.SLOW)
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False


class Message:
    """What the sink took: helo, sender, recipients (as in <...>), parameters of MAIL, data (bytes,
    dots undone, CRLF line ends)."""

    def __init__(self, helo, sender, parameters):
        self.helo, self.sender, self.parameters = helo, sender, parameters
        self.recipients, self.data = [], b""

    @property
    def text(self):
        return self.data.decode("utf-8", "replace")

    def header(self, name):
        """The values of a header field, unfolded, in order."""
        head = self.text.split("\r\n\r\n", 1)[0]
        values = []
        for line in head.split("\r\n"):
            if line[:1] in (" ", "\t") and values:
                values[-1][1] += line
            else:
                field, _, value = line.partition(":")
                values.append([field, value.strip()])
        return [value for field, value in values if field.lower() == name.lower()]

    def __repr__(self):
        return "<%s> to %s, %d octets" % (self.sender, self.recipients, len(self.data))


class Sink:
    """An SMTP server that takes everything. answers: {recipient: "550 5.1.1 text"} for exceptions
    (an address as in RCPT TO:<...>)."""

    def __init__(self, port=None, address="127.0.0.1"):
        self.address, self.port = address, port or free_port(address)
        self.answers, self.messages = {}, []
        self.lock = threading.Lock()
        self.socket = socket.create_server((address, self.port), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()
        procs.register(self)

    def stop(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        procs.unregister(self)

    def count(self):
        with self.lock:
            return len(self.messages)

    def wait(self, count=1, seconds=20):
        """Waits until count messages have come since the last take(), and returns them all."""
        wait_until("%d messages in the sink" % count, lambda: self.count() >= count, seconds)
        return self.take()

    def take(self):
        """Returns the messages so far and forgets them."""
        with self.lock:
            taken, self.messages = self.messages, []
            return taken

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(300)
        with connection, connection.makefile("rb") as stream:
            try:
                self._session(connection, stream)
            except OSError:
                pass

    def _session(self, connection, stream):
        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        say("220 sink.example.test ESMTP")
        helo, message = "", None
        for line in stream:
            line = line.rstrip(b"\r\n").decode("utf-8", "replace")
            verb = line.split(" ", 1)[0].upper()
            address = line.partition("<")[2].partition(">")[0]
            if verb == "EHLO":
                helo = line[5:]
                say("250-sink.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "HELO":
                helo = line[5:]
                say("250 sink.example.test")
            elif verb == "MAIL":
                message = Message(helo, address, line.partition(">")[2].strip())
                say("250 2.1.0 Ok")
            elif verb == "RCPT" and message:
                answer = self.answers.get(address, "250 2.1.5 Ok")
                if answer.startswith("2"):
                    message.recipients.append(address)
                say(answer)
            elif verb == "DATA" and message and message.recipients:
                say("354 go on")
                body = []
                for content in stream:
                    if content == b".\r\n":
                        break
                    body.append(content[1:] if content.startswith(b".") else content)
                else:
                    return
                message.data = b"".join(body)
                # Counted before it is confirmed: whoever has seen the 250 finds it in the sink.
                with self.lock:
                    self.messages.append(message)
                message = None
                say("250 2.0.0 Ok: taken")
            elif verb == "RSET":
                message = None
                say("250 2.0.0 Ok")
            elif verb == "QUIT":
                say("221 2.0.0 Bye")
                return
            else:
                say("503 5.5.1 Bad sequence")
