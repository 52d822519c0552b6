# SPDX-License-Identifier: MIT
"""Name servers: nsd with given zones, unbound before given servers, rbldnsd, and one that lies."""

import os
import socket
import struct
import threading
import time

import dnswire
import procs
from procs import Server, Trouble, free_port, wait_until, write


class DnsServer(Server):
    """What the real servers share: an address, a port, and the question they are ready at."""

    def __init__(self, address="127.0.0.1", port=None):
        super().__init__()
        self.address, self.port = address, port or free_port(address)

    @property
    def at(self):
        """ADDRESS@PORT, as postern.conf, unbound and nsd write it."""
        return "%s@%d" % (self.address, self.port)

    def ask(self, name, kind="A", seconds=2):
        return dnswire.ask(self.address, self.port, name, kind, seconds * procs.SLOW)

    def wait_ready(self, name, kind="SOA"):
        def probe():
            self.check_alive()
            answer = self.ask(name, kind, 0.2)
            return answer and answer.rcode in ("NOERROR", "NXDOMAIN")
        wait_until("%s to answer" % self.name, probe)


class Nsd(DnsServer):
    """An authoritative server. zones: {name: zone text}; a text without SOA gets one, with a
    TTL of 60 s and a negative TTL of 2 s."""

    name = "nsd"

    def __init__(self, zones, address="127.0.0.1", port=None):
        super().__init__(address, port)
        self.zones = dict(zones)
        self.start()

    def write_zone(self, zone):
        text = self.zones[zone]
        if " SOA " not in text:
            text = "@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 2\n@ NS ns.invalid.\n" \
                + text
        write(os.path.join(self.dir, zone + ".zone"), "$TTL 60\n$ORIGIN %s.\n%s\n" % (zone, text))

    def start(self):
        lines = ["server:", " ip-address: %s" % self.at, ' username: ""', ' chroot: ""',
                 ' zonesdir: "%s"' % self.dir, ' database: ""', ' pidfile: ""',
                 ' xfrdfile: "%s/xfrd.state"' % self.dir, ' xfrdir: "%s"' % self.dir,
                 ' zonelistfile: "%s/zone.list"' % self.dir, " server-count: 1",
                 # Response rate limiting would drop what a busy test asks.
                 " rrl-ratelimit: 0", "remote-control:", " control-enable: no"]
        for zone in self.zones:
            self.write_zone(zone)
            lines += ["zone:", ' name: "%s"' % zone, ' zonefile: "%s.zone"' % zone]
        conf = write(os.path.join(self.dir, "nsd.conf"), "\n".join(lines) + "\n")
        self.spawn(["/usr/sbin/nsd", "-d", "-c", conf])
        self.wait_ready(next(iter(self.zones)))

    def set_zone(self, zone, text):
        """Replaces the text of a zone that was given at the start; served when this returns. The
        server is started anew: after SIGHUP old and new children answer side by side for a time."""
        self.zones[zone] = text
        self.stop()
        self.start()


class Unbound(DnsServer):
    """A resolver that asks the given servers and never the root.

    forward: "ADDRESS@PORT" for every name, or {zone: "ADDRESS@PORT"}; with a table, names outside
    of its zones are refused. options: more lines for the server section."""

    name = "unbound"

    def __init__(self, forward, address="127.0.0.1", port=None, options=()):
        super().__init__(address, port)
        self.forward = {".": forward} if isinstance(forward, str) else dict(forward)
        self.options = list(options)
        self.start()

    def start(self):
        lines = ["server:", " interface: %s" % self.at, " do-daemonize: no", ' username: ""',
                 ' chroot: ""', ' directory: "%s"' % self.dir, ' pidfile: ""', " use-syslog: no",
                 ' logfile: ""', ' module-config: "iterator"', " do-not-query-localhost: no",
                 " unblock-lan-zones: yes", " cache-max-negative-ttl: 2", " infra-host-ttl: 5",
                 " access-control: 127.0.0.0/8 allow", " access-control: ::1 allow"]
        # Unbound itself answers for reserved names such as test. unless it is told not to.
        for zone in ("test", "invalid", "onion", "home.arpa", "2.0.192.in-addr.arpa",
                     "100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa",
                     "8.b.d.0.1.0.0.2.ip6.arpa"):
            lines.append(' local-zone: "%s." nodefault' % zone)
        if "." not in self.forward:
            lines.append(' local-zone: "." refuse')
            lines += [' local-zone: "%s." transparent' % zone.rstrip(".") for zone in self.forward]
        lines += [" " + option for option in self.options]
        lines += ["remote-control:", " control-enable: no"]
        for zone, server in self.forward.items():
            lines += ["forward-zone:", ' name: "%s"' % zone, " forward-addr: %s" % server]
        conf = write(os.path.join(self.dir, "unbound.conf"), "\n".join(lines) + "\n")
        self.spawn(["/usr/sbin/unbound", "-d", "-c", conf])
        self.wait_ready("localhost", "A")


class Rbldnsd(DnsServer):
    """A list server. zones: {zone: (type, text)} with rbldnsd's data set types: ip4set, ip4trie,
    ip6trie, dnset, generic, combined ..."""

    name = "rbldnsd"

    def __init__(self, zones, address="127.0.0.1", port=None):
        super().__init__(address, port)
        self.zones = dict(zones)
        self.start()

    def start(self):
        arguments = []
        for number, (zone, (kind, text)) in enumerate(self.zones.items()):
            write(os.path.join(self.dir, "zone%d" % number),
                  "$SOA 60 ns.invalid hostmaster.invalid 1 3600 600 86400 2\n"
                  "$NS 60 ns.invalid\n%s\n" % text)
            arguments.append("%s:%s:zone%d" % (zone, kind, number))
        self.spawn(["/usr/sbin/rbldnsd", "-n", "-u", "rbldns", "-w", self.dir, "-c", "0",
                    "-b", "%s/%d" % (self.address, self.port)] + arguments)
        self.wait_ready(next(iter(self.zones)))

    def set_zone(self, zone, text):
        """Replaces the text of a zone that was given at the start; served when this returns."""
        self.zones[zone] = (self.zones[zone][0], text)
        self.stop()
        self.start()


class FakeDns:
    """A name server for faults, over UDP and TCP on one port.

    What it answers is set per name and type ("*" for every type; a name that begins with "*."
    stands for all below): set() gives records, fault() one of the words of FAULTS, delay() seconds
    to wait before the answer. What is not set is NXDOMAIN. queries lists (name, type) as asked,
    names in lower case."""

    FAULTS = ("servfail", "refused", "formerr", "nxdomain", "nodata", "silence", "garbage",
              "truncate", "truncate-dead", "wrong-id", "loop")

    def __init__(self, address="127.0.0.1", port=None):
        self.address, self.port = address, port or free_port(address)
        self.rows, self.delays, self.queries = {}, {}, []
        self.lock = threading.Lock()
        self.closing = False
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.tcp = socket.socket(family, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind((address, self.port))
        self.tcp.bind((address, self.port))
        self.tcp.listen(64)
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()
        procs.register(self)

    @property
    def at(self):
        return "%s@%d" % (self.address, self.port)

    def ask(self, name, kind="A", seconds=2):
        return dnswire.ask(self.address, self.port, name, kind, seconds * procs.SLOW)

    def set(self, name, kind, *values):
        """Records of one name and type; values as dnswire.pack_data() takes them."""
        with self.lock:
            self.rows[name.lower(), kind] = list(values)

    def fault(self, name, kind, word):
        if word not in self.FAULTS:
            raise Trouble("no such fault: " + word)
        with self.lock:
            self.rows[name.lower(), kind] = word

    def delay(self, name, kind, seconds):
        with self.lock:
            self.delays[name.lower(), kind] = seconds

    def clear(self, name, kind):
        with self.lock:
            self.rows.pop((name.lower(), kind), None)
            self.delays.pop((name.lower(), kind), None)

    def count(self, name, kind=None):
        """How often a name was asked for."""
        with self.lock:
            return sum(1 for asked, of in self.queries
                       if asked == name.lower() and kind in (None, of))

    def stop(self):
        self.closing = True
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        procs.unregister(self)

    def _find(self, table, name, kind):
        names = [name]
        labels = name.split(".")
        names += ["*." + ".".join(labels[at:]) for at in range(1, len(labels))] + ["*"]
        for candidate in names:
            for of in (kind, "*"):
                if (candidate, of) in table:
                    return table[candidate, of]
        return None

    def _exists(self, name):
        return any(key == name and isinstance(row, list) for (key, _), row in self.rows.items())

    def _answer(self, packet, over_tcp):
        """The bytes to send back (None: nothing) for a question."""
        number, _, count = struct.unpack(">3H", packet[:6])
        if count != 1:
            return None
        name, after = dnswire.unpack_name(packet, 12)
        kind = dnswire.NAMES.get(struct.unpack(">H", packet[after:after + 2])[0], "?")
        asked = packet[12:after + 4]
        name = name.lower()
        with self.lock:
            self.queries.append((name, kind))
            row = self._find(self.rows, name, kind)
            wait = self._find(self.delays, name, kind)
            exists = self._exists(name)
        if wait:
            time.sleep(wait)
        flags = dnswire.QR | dnswire.AA | dnswire.RD | dnswire.RA
        soa = dnswire.pack_record(".".join(name.split(".")[-2:]), "SOA", 2, 2)

        def reply(rcode, records=b"", answers=0, authority=b"", more=0):
            return struct.pack(">6H", number, flags | more | dnswire.RCODES[rcode], 1, answers,
                               1 if authority else 0, 0) + asked + records + authority

        if isinstance(row, list):
            owner = packet[12:after]
            records = b""
            for value in row:
                data = dnswire.pack_data(kind, value)
                records += owner + struct.pack(">HHIH", dnswire.TYPES[kind], 1, 60, len(data)) \
                    + data
            if len(records) > 400 and not over_tcp:
                return reply("NOERROR", more=dnswire.TC)
            return reply("NOERROR", records, len(row))
        if row == "silence" or (row == "truncate-dead" and over_tcp):
            return None
        if row in ("truncate", "truncate-dead") and not over_tcp:
            return reply("NOERROR", more=dnswire.TC)
        if row == "garbage":
            return struct.pack(">6H", number, flags, 1, 7, 0, 0) + asked + b"\xc0\x0c\xff\xff" * 5
        if row == "wrong-id":
            number ^= 0x5555
            return reply("NXDOMAIN", authority=soa)
        if row == "loop":
            return reply("NOERROR", dnswire.pack_record(name, "CNAME", name), 1)
        if row in ("servfail", "refused", "formerr"):
            return reply(row.upper())
        if row == "nodata" or (row is None and exists) or row == "truncate":
            return reply("NOERROR", authority=soa)
        return reply("NXDOMAIN", authority=soa)

    def _serve_udp(self):
        def one(packet, client):
            answer = self._answer(packet, False)
            if answer is not None and not self.closing:
                try:
                    self.udp.sendto(answer, client)
                except OSError:
                    pass
        while not self.closing:
            try:
                packet, client = self.udp.recvfrom(65535)
            except OSError:
                return
            if len(packet) >= 17:
                threading.Thread(target=one, args=(packet, client), daemon=True).start()

    def _serve_tcp(self):
        def one(connection):
            with connection, connection.makefile("rb") as stream:
                while True:
                    head = stream.read(2)
                    if len(head) < 2:
                        return
                    packet = stream.read(struct.unpack(">H", head)[0])
                    if len(packet) < 17:
                        return
                    answer = self._answer(packet, True)
                    if answer is None:
                        return
                    connection.sendall(struct.pack(">H", len(answer)) + answer)
        while not self.closing:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            connection.settimeout(60)
            threading.Thread(target=one, args=(connection,), daemon=True).start()
