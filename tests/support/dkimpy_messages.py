#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Signs messages with dkimpy, for tests of what reads signatures.

Prints one case after the other, each as lines "name NAME", "key NAME TEXT" (a TXT record), "result
WORD", "message BASE64" and an empty line.

usage: dkimpy_messages.py       (Debian's python3-dkim and python3-nacl)
"""

import base64
import subprocess
import sys

sys.dont_write_bytecode = True

import dkim  # noqa: E402
import nacl.signing  # noqa: E402

HEADER = (b"Received: from a.example (a.example [192.0.2.1])\r\n\tby b.example; Mon, 1 Jan 2024"
          b" 00:00:00 +0000\r\n"
          b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\n"
          b"To: a@example.net,\r\n\tb@example.net ,\r\n  c@example.net\r\n"
          b"Subject:  two  blanks \t and a tab  \r\n"
          b"X-Long: " + b"word " * 900 + b"\r\n"
          b"X-Empty:\r\n"
          b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
          b"Message-ID: <1@example.org>\r\n\r\n")
BODIES = {
    "plain": b"Hello,\r\n\r\nthis is  a \tbody.  \r\n-- \r\nJ.\r\n",
    "empty": b"",
    "blank lines": b"\r\n\r\n\r\n",
    "trailing blanks": b"text \t \r\n \t\r\n\r\n\r\n",
    "8 bit": "Grüße, 你好\r\n".encode() + bytes(range(128, 256)) + b"\r\n",
    "nul": b"a\0b\0\r\n\0\r\n",
    "long": (b"x" * 997 + b"\r\n") * 300,
    "one line": b"y" * 100000 + b"\r\n",
}


def rsa_key(bits):
    """The private key in PEM and the record of the public one."""
    pem = subprocess.run(["openssl", "genrsa", "-traditional", str(bits)], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    der = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=pem, check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return pem, "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()


def ed25519_key():
    key = nacl.signing.SigningKey.generate()
    return (base64.b64encode(bytes(key)),
            "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(key.verify_key)).decode())


def case(name, records, result, message):
    print("name", name)
    for selector, record in records:
        print("key", selector + "._domainkey.example.org", record)
    print("result", result)
    print("message", base64.b64encode(message).decode())
    print()


def sign(message, selector, key, algorithm, canon, **more):
    return dkim.sign(message, selector, b"example.org", key, canonicalize=canon,
                     signature_algorithm=algorithm, **more) + message


def main():
    rsa, ed = rsa_key(2048), ed25519_key()
    large, small = rsa_key(4096), rsa_key(512)
    both = [("rsa", rsa[1]), ("ed", ed[1])]
    names = (b"simple", b"relaxed")
    for canon in [(header, body) for header in names for body in names]:
        for kind, body in BODIES.items():
            label = "%s %s/%s" % (kind, canon[0].decode(), canon[1].decode())
            case("rsa " + label, both, "pass",
                 sign(HEADER + body, b"rsa", rsa[0], b"rsa-sha256", canon))
            case("ed25519 " + label, both, "pass",
                 sign(HEADER + body, b"ed", ed[0], b"ed25519-sha256", canon))
    message = HEADER + BODIES["plain"]
    canon = (b"relaxed", b"relaxed")
    limited = sign(message, b"rsa", rsa[0], b"rsa-sha256", canon, length=True)
    signed = sign(message, b"rsa", rsa[0], b"rsa-sha256", canon)
    case("l= of the whole body", both, "pass", limited)
    case("l= and something appended", both, "policy", limited + b"buy!\r\n")
    case("something appended", both, "fail", signed + b"buy!\r\n")
    case("the subject changed", both, "fail", signed.replace(b"two", b"three"))
    case("blanks changed", both, "pass", signed.replace(b"two  blanks", b"two\r\n blanks"))
    case("4096 bits", [("rsa", large[1])], "pass",
         sign(message, b"rsa", large[0], b"rsa-sha256", canon))
    case("512 bits", [("rsa", small[1])], "fail",
         sign(message, b"rsa", small[0], b"rsa-sha256", canon))
    case("sha1", both, "fail", sign(message, b"rsa", rsa[0], b"rsa-sha1", canon))
    dual = sign(message, b"ed", ed[0], b"ed25519-sha256", canon)
    dual = dkim.sign(message, b"rsa", b"example.org", rsa[0], canonicalize=canon) + dual
    case("two signatures", both, "pass", dual)
    case("two signatures, one key", [("ed", ed[1])], "pass", dual)
    headers = [b"from", b"from", b"subject", b"subject", b"to", b"date", b"x-absent"]
    sealed = sign(message, b"rsa", rsa[0], b"rsa-sha256", canon, include_headers=headers)
    case("oversigned", both, "pass", sealed)
    case("oversigned and a From added", both, "fail", b"From: <b@example.net>\r\n" + sealed)


main()
