"""Ports for the servers that tests start: two workers are never given the same one."""

import itertools
import os
import socket

# Above those that Ray gives to its workers (10002 to 19999) and below those that the kernel lends
# to whoever asks for any (32768 on Linux): it may lend one before the server has taken it.
_FIRST, _COUNT, _EACH = 20_000, 12_000, 40
_places = itertools.count(os.getpid() * _EACH)


def free_port() -> int:
    """The next port of this process to which nobody listens at 127.0.0.1."""
    for place in _places:
        port = _FIRST + place % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError  # places have no end
