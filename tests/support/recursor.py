# SPDX-License-Identifier: MIT
"""A name server that takes its time as a resolver does, not as a slow line does."""

import threading
import time

import dnswire
from dnsservers import FakeDns


class Recursor(FakeDns):
    """A FakeDns that may have to look further: SECONDS after a question was first asked it answers all who have asked
    the same meanwhile, at one moment. Whoever asks again because he has lost patience does not start the wait anew, as
    he would with FakeDns.delay()."""

    def __init__(self, *arguments, **keywords):
        self.waits, self.first = {}, {}
        self.times = threading.Lock()
        super().__init__(*arguments, **keywords)

    def takes(self, seconds, name, *kinds):
        """Sets the time that looking for a name takes, for these types or for A, from the next question on."""
        with self.times:
            for kind in kinds or ("A",):
                self.waits[name.lower(), kind] = seconds
                self.first.pop((name.lower(), kind), None)

    def _answer(self, packet, over_tcp):
        name, after = dnswire.unpack_name(packet, 12)
        key = name.lower(), dnswire.NAMES.get(packet[after] << 8 | packet[after + 1])
        with self.times:
            until = self.first.setdefault(key, time.monotonic()) + self.waits.get(key, 0)
        time.sleep(max(0, until - time.monotonic()))
        return super()._answer(packet, over_tcp)


__all__ = ["Recursor"]
