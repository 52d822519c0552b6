# SPDX-License-Identifier: MIT
"""Signs messages for tests: with opendkim as a milter, with dkimpy, and by hand with openssl.

Keys are made by openssl or opendkim-genkey. A Key knows its TXT record, so that a zone can be
written from it. dkimpy lives in Debian's own Python, which may be another than the one that runs
the scenario; it is therefore a process of its own, this very file.
"""

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile

import procs

SYSTEM_PYTHON = "/usr/bin/python3"
SIGNED = ("from", "to", "subject", "date", "message-id")


def run(*argv, stdin=None):
    """The standard output of a program that must succeed."""
    return subprocess.run(argv, input=stdin, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


# ---- keys ----

class Key:
    """A private key in PEM. text is the record of its public part; tags stand in front of p=."""

    def __init__(self, pem, kind, tags=""):
        self.pem, self.kind, self.tags = pem, kind, tags
        der = run("openssl", "pkey", "-pubout", "-outform", "DER", stdin=pem)
        # RFC 8463 4.2: the bare 32 octets, which are the end of what openssl writes.
        self.public = base64.b64encode(der[-32:] if kind == "ed25519" else der).decode()

    @property
    def text(self):
        """The TXT record."""
        return "v=DKIM1; k=%s; %sp=%s" % (self.kind, self.tags and self.tags + "; ", self.public)

    def tagged(self, tags):
        """The same key with other tags in its record."""
        other = Key.__new__(Key)
        other.__dict__.update(self.__dict__, tags=tags)
        return other

    def sign(self, data, digest="sha256"):
        """The octets of a signature over data, as the algorithm of the key wants it."""
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "key")
            with open(path, "wb") as out:
                out.write(self.pem)
            if self.kind == "rsa":
                return run("openssl", "dgst", "-" + digest, "-sign", path, stdin=data)
            # RFC 8463 3: what Ed25519 signs is the SHA-256. openssl reads it only from a file.
            with open(path + ".in", "wb") as out:
                out.write(hashlib.sha256(data).digest())
            return run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", path, "-in", path + ".in")


def rsa_key(bits=1024, tags=""):
    """An RSA key of openssl's, in the old form that dkimpy reads."""
    return Key(run("openssl", "genrsa", "-traditional", str(bits)), "rsa", tags)


def ed25519_key(tags=""):
    return Key(run("openssl", "genpkey", "-algorithm", "ed25519"), "ed25519", tags)


def opendkim_key(place, domain, selector, bits=1024):
    """A key of opendkim-genkey's in the folder; (Key, the record as opendkim-genkey wrote it)."""
    run("opendkim-genkey", "-b", str(bits), "-d", domain, "-s", selector, "-D", place)
    with open(os.path.join(place, selector + ".private"), "rb") as pem, \
            open(os.path.join(place, selector + ".txt"), encoding="ascii") as text:
        record = re.sub(r"_domainkey\b", "_domainkey." + domain + ".", text.read(), 1)
        return Key(pem.read(), "rsa"), record


def zone_line(name, text):
    """A TXT record as a line of a zone file, in strings of 255 octets at most."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert quoted == text or len(text) < 256
    return "%s TXT %s\n" % (name, " ".join('"%s"' % quoted[at:at + 255]
                                          for at in range(0, max(len(quoted), 1), 255)))


# ---- by hand, with openssl ----

def relaxed_field(field):
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ") + b"\r\n"


def canonical_body(body, way):
    if way == "relaxed":
        body = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n")
    body = re.sub(rb"(\r\n)+\Z", b"\r\n", body)
    if body == b"\r\n" or not body:
        return b"\r\n" if way == "simple" else b""
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def wire(message):
    """A message as octets with CRLF."""
    raw = message.encode("utf-8") if isinstance(message, str) else message
    return re.sub(rb"\r?\n", b"\r\n", raw)


def fields_of(head):
    return [field + b"\r\n" for field in re.split(rb"\r\n(?![ \t])", head.rstrip(b"\r\n"))]


def chosen(fields, names):
    """The fields that h= names, each instance once, from the last to the first."""
    left, taken = list(fields), []
    for name in names:
        for at in range(len(left) - 1, -1, -1):
            if left[at].partition(b":")[0].strip().lower() == name.lower().encode():
                taken.append(left.pop(at))
                break
    return taken


def sign(message, domain, selector, key, algorithm=None, canon="relaxed/relaxed", names=SIGNED,
         length=None, extra="", name="DKIM-Signature", version="v=1; "):
    """The message with a signature made here on top. extra: more tags ("t=1; x=2; "); length: l=;
    names: what h= lists; an algorithm that says sha1 signs so."""
    raw = wire(message)
    head, _, body = raw.partition(b"\r\n\r\n")
    algorithm = algorithm or key.kind + "-sha256"
    digest = "sha1" if algorithm.endswith("sha1") else "sha256"
    header_way, body_way = canon.split("/")
    body = canonical_body(body, body_way)
    if length is not None:
        body = body[:length]
    tags = "%sa=%s; c=%s; d=%s; s=%s; %s%sh=%s;\r\n\tbh=%s;\r\n\tb=" % (
        version, algorithm, canon, domain, selector, extra,
        "l=%d; " % length if length is not None else "", ":".join(names),
        base64.b64encode(hashlib.new(digest, body).digest()).decode())
    own = (name + ": " + tags).encode()
    way = relaxed_field if header_way == "relaxed" else lambda field: field
    data = b"".join(way(field) for field in chosen(fields_of(head), names))
    data += way(own + b"\r\n")[:-2]
    signature = base64.b64encode(key.sign(data, digest)).decode()
    folded = "\r\n\t ".join(signature[at:at + 72] for at in range(0, len(signature), 72))
    return own + folded.encode() + b"\r\n" + raw


# ---- dkimpy ----

class Dkimpy:
    """dkimpy in a process of its own; it ends with the scenario, or by stop()."""

    def __init__(self):
        self.process = subprocess.Popen([SYSTEM_PYTHON, os.path.abspath(__file__)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        procs.register(self)

    def _ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "dkimpy has ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return base64.b64decode(answer["head"])

    @staticmethod
    def _key(key):
        if key.kind == "rsa":
            return key.pem.decode()
        der = run("openssl", "pkey", "-outform", "DER", stdin=key.pem)
        return base64.b64encode(der[-32:]).decode()

    def sign(self, message, domain, selector, key, canon="relaxed/relaxed", **more):
        """The message with a DKIM signature on top."""
        raw = wire(message)
        return self._ask(what="dkim", message=base64.b64encode(raw).decode(), domain=domain,
                         selector=selector, key=self._key(key), algorithm=key.kind + "-sha256",
                         canon=canon.split("/"), more=more) + raw

    def seal(self, message, domain, selector, key, results):
        """The message with one more ARC set on top. results: what the sealer found, as in an
        Authentication-Results field of its own ("spf=pass smtp.mailfrom=a.example; arc=none")."""
        raw = wire(message)
        given = wire("Authentication-Results: %s; %s\n" % (domain, results)) + raw
        return self._ask(what="arc", message=base64.b64encode(given).decode(), domain=domain,
                         selector=selector, key=self._key(key)) + raw

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        procs.unregister(self)


def _serve_dkimpy():
    import dkim  # only Debian's own Python has it

    for line in sys.stdin:
        request = json.loads(line)
        message = base64.b64decode(request["message"])
        selector, domain = request["selector"].encode(), request["domain"].encode()
        try:
            if request["what"] == "dkim":
                head = dkim.sign(message, selector, domain, request["key"].encode(),
                                 canonicalize=tuple(one.encode() for one in request["canon"]),
                                 signature_algorithm=request["algorithm"].encode(),
                                 **request["more"])
            else:
                head = b"".join(dkim.arc_sign(message, selector, domain, request["key"].encode(),
                                              domain, include_headers=[
                                                  b"from", b"to", b"subject", b"date",
                                                  b"message-id"]))
                if not head:
                    raise ValueError("dkimpy found nothing to seal")
            answer = {"head": base64.b64encode(head).decode()}
        except Exception as error:  # the other side raises it anew
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


# ---- opendkim ----

def opendkim(domain, selector, key, canon="relaxed/simple", options=""):
    """An opendkim that signs all mail it sees; .milter is where Postfix finds it."""
    class OpenDkim(procs.Server):
        name = "opendkim"

        def start(self):
            self.port = procs.free_port()
            self.milter = "inet:127.0.0.1:%d" % self.port
            pem = procs.write(os.path.join(self.dir, "key"), key.pem, 0o600)
            conf = procs.write(os.path.join(self.dir, "opendkim.conf"), (
                "Mode s\nSyslog no\nBackground no\nDomain %s\nSelector %s\nKeyFile %s\nCanonicalization %s\n"
                "Socket inet:%d@127.0.0.1\nInternalHosts 0.0.0.0/0\nRequireSafeKeys no\n%s\n")
                % (domain, selector, pem, canon, self.port, options))
            self.spawn(["/usr/sbin/opendkim", "-f", "-x", conf])
            procs.wait_until("opendkim to listen", self._listens)
            return self

        def _listens(self):
            self.check_alive()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

    return OpenDkim().start()


__all__ = ["Dkimpy", "Key", "ed25519_key", "opendkim", "opendkim_key", "rsa_key", "sign", "wire", "zone_line"]

if __name__ == "__main__":
    _serve_dkimpy()
