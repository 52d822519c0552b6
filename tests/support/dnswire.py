# SPDX-License-Identifier: MIT
"""As much of the DNS wire format (RFC 1035) as tests need: questions, answers, records."""

import ipaddress
import socket
import struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "OPT": 41, "SPF": 99, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
RCODE_NAMES = {number: name for name, number in RCODES.items()}
QR, AA, TC, RD, RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080


def pack_name(name):
    """A domain name in labels; no escapes, no compression."""
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode("utf-8")
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def unpack_name(packet, offset):
    """Reads a name; returns (name without final dot, offset after it)."""
    labels, after, jumps = [], None, 0
    while True:
        length = packet[offset]
        if length & 0xC0 == 0xC0:
            after = after or offset + 2
            offset = ((length & 0x3F) << 8) | packet[offset + 1]
            jumps += 1
            if jumps > 64:
                raise ValueError("compression loop")
        elif length == 0:
            return ".".join(labels), after or offset + 1
        else:
            labels.append(packet[offset + 1:offset + 1 + length].decode("latin-1"))
            offset += 1 + length


def pack_data(kind, value):
    """The data of one record. value: bytes are taken as they stand; an address for A and AAAA;
    (preference, host) for MX; text, or a list of bytes for single strings, for TXT; else a name."""
    if kind in ("TXT", "SPF"):
        raw = value.encode("utf-8") if isinstance(value, str) else value
        if isinstance(raw, bytes):
            raw = [raw[at:at + 255] for at in range(0, len(raw), 255)] or [b""]
        return b"".join(bytes([len(part)]) + part for part in raw)
    if isinstance(value, bytes):
        return value
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack(">H", value[0]) + pack_name(value[1])
    if kind == "SOA":
        return pack_name("ns.invalid") + pack_name("hostmaster.invalid") + \
            struct.pack(">5I", 1, 3600, 600, 86400, int(value))
    return pack_name(value)


def pack_record(name, kind, value, ttl=60):
    data = pack_data(kind, value)
    return pack_name(name) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data


def unpack_data(kind, packet, offset, length):
    raw = packet[offset:offset + length]
    if kind in ("A", "AAAA"):
        return str(ipaddress.ip_address(raw))
    if kind == "MX":
        return struct.unpack(">H", raw[:2])[0], unpack_name(packet, offset + 2)[0]
    if kind in ("NS", "CNAME", "PTR"):
        return unpack_name(packet, offset)[0]
    if kind in ("TXT", "SPF"):
        out, at = b"", 0
        while at < len(raw):
            out += raw[at + 1:at + 1 + raw[at]]
            at += 1 + raw[at]
        return out.decode("utf-8", "replace")
    return raw


class Answer:
    """A DNS answer: rcode (its name), tc, aa, records as (name, type, value)."""

    def __init__(self, packet):
        self.id, flags, questions, answers, _, _ = struct.unpack(">6H", packet[:12])
        self.rcode = RCODE_NAMES.get(flags & 15, str(flags & 15))
        self.tc, self.aa = bool(flags & TC), bool(flags & AA)
        self.records = []
        offset = 12
        for _ in range(questions):
            offset = unpack_name(packet, offset)[1] + 4
        for _ in range(answers):
            name, offset = unpack_name(packet, offset)
            number, _, _, length = struct.unpack(">HHIH", packet[offset:offset + 10])
            kind = NAMES.get(number, str(number))
            self.records.append((name, kind, unpack_data(kind, packet, offset + 10, length)))
            offset += 10 + length

    def values(self, kind):
        return [value for _, got, value in self.records if got == kind]


def question(name, kind, number=4711):
    return struct.pack(">6H", number, RD, 1, 0, 0, 0) + pack_name(name) + \
        struct.pack(">HH", TYPES[kind], 1)


def ask(address, port, name, kind="A", seconds=2):
    """Asks one question over UDP; an Answer, or None if none came in time."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        sock.connect((address, port))
        try:
            sock.send(question(name, kind))
            return Answer(sock.recv(65535))
        except (socket.timeout, ConnectionRefusedError):
            return None
