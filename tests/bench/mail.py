#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Signed messages of many domains, and the DNS that goes with them.

usage: mail.py FOLDER COUNT     (Debian's python3-dkim and python3-nacl)

Writes FOLDER/plain, the messages with an index for bench_milter_load; FOLDER/checked, the same
with the results that an SPF and a DKIM filter put on top, for a DMARC filter that reads those; and
FOLDER/zones.json, {zone: text}. Sizes are spread as those of real mail are: many small ones, few
large ones. Every eighth message is signed with Ed25519, the others with RSA of 2048 bits.
"""

import base64
import json
import math
import os
import random
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True

import dkim  # noqa: E402
import dkim.crypto  # noqa: E402
import nacl.signing  # noqa: E402

SMALLEST, MEDIAN, LARGEST, SPREAD = 3000, 10000, 120000, 2.2
HOST = "mx.bench.example"  # as bench_milter_load gives {j}
WORDS = ("the quick account of a meeting that was moved to next week because some of us had other "
         "plans and nobody found the invoice which you sent in March for the new printer").split()


# ---- keys ----

def der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else \
        (lambda raw: bytes([0x80 | len(raw)]) + raw)(size.to_bytes((size.bit_length() + 7) // 8,
                                                                   "big"))
    return bytes([tag]) + length + content


def integers(*numbers):
    return der(0x30, b"".join(der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))
                              for number in numbers))


def rsa_keys(count):
    """Different keys of 2048 bits, as (private key in PEM, public key in Base64). Each pairs a
    prime of one list with one of another, since finding primes is what takes time."""
    side = math.ceil(math.sqrt(count))
    primes = []
    for _ in range(side):
        pem = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        key = dkim.crypto.parse_pem_private_key(pem)
        primes.append((key["prime1"], key["prime2"]))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    for number in range(count):
        p, q, e = primes[number // side][0], primes[number % side][1], 65537
        d = pow(e, -1, math.lcm(p - 1, q - 1))
        private = integers(0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
        public = der(0x30, algorithm + der(3, b"\0" + integers(p * q, e)))
        yield (b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(private)
               + b"-----END RSA PRIVATE KEY-----\n", base64.b64encode(public).decode())


def ed25519_keys(count):
    for _ in range(count):
        key = nacl.signing.SigningKey.generate()
        yield base64.b64encode(bytes(key)), base64.b64encode(bytes(key.verify_key)).decode()


# ---- a domain ----

class Domain:
    """One sender: every fourth writes from a subdomain, with another one in the envelope."""

    def __init__(self, number, kind, private, public):
        self.number, self.kind, self.private, self.public = number, kind, private, public
        self.name = "d%d.example" % number
        apart = number % 4 == 3
        self.author = ("news." if apart else "") + self.name
        self.sender = ("bounces." if apart else "") + self.name
        self.host = "mail." + self.name
        self.address = "198.18.100.%d" % (number + 1)

    def records(self):
        spf = ("v=spf1 ip4:%s -all" % self.address, "v=spf1 mx include:_spf.host%d.example ~all",
               "v=spf1 a include:_spf.host%d.example -all",
               "v=spf1 include:_spf.host%d.example -all")[self.number % 4]
        if "%" in spf:
            spf %= self.number % 10
        policy = ("none", "quarantine", "reject")[self.number % 3]
        key = "v=DKIM1; k=%s; p=%s" % (self.kind, self.public)
        split = '" "'.join(key[at:at + 255] for at in range(0, len(key), 255))
        lines = ['s1._domainkey.%s. TXT "%s"' % (self.name, split),
                 '_dmarc.%s. TXT "v=DMARC1; p=%s; rua=mailto:dmarc@%s"'
                 % (self.name, policy, self.name),
                 "%s. A %s" % (self.host, self.address),
                 '%s. TXT "v=spf1 a -all"' % self.host]
        for name in {self.name, self.author, self.sender}:
            lines += ["%s. MX 10 %s." % (name, self.host), "%s. A 198.18.255.2" % name]
        lines += ['%s. TXT "%s"' % (name, spf) for name in {self.name, self.sender}]
        return lines


# ---- a message ----

def size_of(number, count):
    """Sizes at even steps through the distribution, in no order."""
    step = (number * 37 % count + 0.5) / count
    return min(LARGEST, max(SMALLEST, int(
        MEDIAN * math.exp(SPREAD * statistics.NormalDist().inv_cdf(step)))))


def text_lines(dice, size):
    lines, total = [], 0
    while total < size:
        line = " ".join(dice.choice(WORDS) for _ in range(dice.randint(4, 13)))
        lines.append(line if dice.random() > 0.1 else "")
        total += len(lines[-1]) + 2
    return lines


def body_of(dice, size):
    """A text, and an attachment in Base64 where the message is long."""
    if size < 12000:
        return "\r\n".join(text_lines(dice, size)) + "\r\n"
    coded = base64.encodebytes(dice.randbytes(int((size - 6000) * 0.73))).decode()
    return "\r\n".join(["--=_part", "Content-Type: text/plain; charset=utf-8", ""]
                       + text_lines(dice, 5000)
                       + ["--=_part", "Content-Type: application/pdf; name=\"paper.pdf\"",
                          "Content-Transfer-Encoding: base64", ""]
                       + coded.split() + ["--=_part--", ""])


def message_of(dice, domain, size):
    kind = "text/plain; charset=utf-8" if size < 12000 else \
        "multipart/mixed;\r\n\tboundary=\"=_part\""
    stamp = "Mon, 2 Feb 2026 08:%02d:%02d +0000" % (domain.number % 60, domain.number * 7 % 60)
    unique = "%024x" % dice.getrandbits(96)
    header = [
        "Received: from desk.%s (desk.%s [10.1.2.3])\r\n\tby %s (Postfix) with ESMTPSA id %s\r\n"
        "\tfor <user%d@example.org>; %s" % (domain.name, domain.name, domain.host,
                                            unique[:11].upper(), domain.number, stamp),
        "From: \"Sender, Number %d\" <office@%s>" % (domain.number, domain.author),
        "To: \"Somebody\" <user%d@example.org>,\r\n\tAnother <other%d@example.net>"
        % (domain.number, domain.number),
        "Subject: " + " ".join(dice.choice(WORDS) for _ in range(8)),
        "Date: " + stamp,
        "Message-ID: <%s@%s>" % (unique, domain.author),
        "MIME-Version: 1.0",
        "Content-Type: " + kind,
        "Reply-To: <office@%s>" % domain.author,
        "List-Unsubscribe: <https://%s/leave?%s>" % (domain.name, unique),
        "X-Mailer: Writer 7.1",
    ]
    return ("\r\n".join(header) + "\r\n\r\n" + body_of(dice, size)).encode()


def sign(domain, message):
    relaxed = (b"relaxed", b"simple" if domain.number % 4 == 0 else b"relaxed")
    algorithm = b"ed25519-sha256" if domain.kind == "ed25519" else b"rsa-sha256"
    return dkim.sign(message, b"s1", domain.name.encode(), domain.private, canonicalize=relaxed,
                     signature_algorithm=algorithm, linesep=b"\r\n") + message


def results_of(domain):
    """The fields that pyspf-milter and opendkim would have put on top."""
    return ("Authentication-Results: %s;\r\n\tdkim=pass header.d=%s header.i=@%s header.s=s1\r\n"
            "Authentication-Results: %s; spf=pass (sender SPF authorized)\r\n"
            " smtp.mailfrom=%s (client-ip=%s; helo=%s;\r\n envelope-from=bounce@%s)\r\n"
            % (HOST, domain.name, domain.name, HOST, domain.sender, domain.address, domain.host,
               domain.sender)).encode()


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    dice = random.Random(7)
    kinds = ["ed25519" if number % 8 == 7 else "rsa" for number in range(count)]
    keys = {"rsa": rsa_keys(kinds.count("rsa")), "ed25519": ed25519_keys(kinds.count("ed25519"))}
    hosts = ['_spf.host%d.example. TXT "v=spf1 ip4:203.0.113.0/24 ip4:198.51.100.0/24 '
             'ip4:198.18.100.0/24 ip4:192.0.2.0/25 -all"' % number for number in range(10)]
    zones, index = {"example": hosts, "100.18.198.in-addr.arpa": []}, []
    for place in ("plain", "checked"):
        os.mkdir(os.path.join(folder, place))
    for number, kind in enumerate(kinds):
        domain = Domain(number, kind, *next(keys[kind]))
        message = sign(domain, message_of(dice, domain, size_of(number, count)))
        for place, head in (("plain", b""), ("checked", results_of(domain))):
            with open(os.path.join(folder, place, "%d.eml" % number), "wb") as out:
                out.write(head + message)
        zones["example"] += domain.records()
        zones["100.18.198.in-addr.arpa"].append("%d PTR %s." % (number + 1, domain.host))
        index.append("%d.eml %s %s %s bounce@%s user%d@example.org\n" % (
            number, domain.address, domain.host, domain.host, domain.sender, number))
    for place in ("plain", "checked"):
        with open(os.path.join(folder, place, "index"), "w", encoding="ascii") as out:
            out.writelines(index)
    with open(os.path.join(folder, "zones.json"), "w", encoding="ascii") as out:
        json.dump({zone: "\n".join(lines) for zone, lines in zones.items()}, out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
