"""Inside a sandbox: carries connections from ports of its own loopback to unix sockets of the harness, then runs the command.

A stand-alone script of the standard library: `python -I -S bridge.py FOLDER -- command...`; FOLDER has one socket for each
port, named after it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys

CHUNK = 1 << 16
LIMIT = 1 << 20  # a reader that does not keep up makes its writer wait
BACKLOG = 64


class _End:
    """One end of a carried connection."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        self.other: _End
        self.waiting = bytearray()  # what is to be written to it
        self.silent = False  # it will say nothing more
        self.shut = False  # it was told that nothing more will come


class Bridge:
    """Every connection in one thread: a sandbox has no need for more."""

    def __init__(self, folder: str) -> None:
        self.selector = selectors.DefaultSelector()
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - pathlib costs 7 ms at every start
            listener = socket.create_server(("127.0.0.1", int(name)), backlog=BACKLOG)
            self.selector.register(listener, selectors.EVENT_READ, (listener, f"{folder}/{name}"))

    def serve(self) -> None:
        while True:
            for key, events in self.selector.select():
                if isinstance(key.data, _End):
                    self._carry(key.data, events)
                else:
                    self._accept(*key.data)

    def _accept(self, listener: socket.socket, path: str) -> None:
        client, _ = listener.accept()
        upstream = socket.socket(socket.AF_UNIX)
        try:
            upstream.connect(path)
        except OSError:
            client.close()
            upstream.close()
            return
        one, other = _End(client), _End(upstream)
        one.other, other.other = other, one
        for end in (one, other):
            end.socket.setblocking(False)
            self._listen(end)

    def _carry(self, end: _End, events: int) -> None:
        if end.socket.fileno() < 0:  # closed by the event before this one
            return
        try:
            if events & selectors.EVENT_READ:
                data = end.socket.recv(CHUNK)
                end.other.waiting += data
                end.silent = not data
            for each in (end, end.other):
                self._flush(each)
        except OSError:
            self._close(end)
            return
        if end.shut and end.other.shut:
            self._close(end)
            return
        for each in (end, end.other):
            self._listen(each)

    def _flush(self, end: _End) -> None:
        if end.waiting:
            try:
                del end.waiting[: end.socket.send(end.waiting)]
            except BlockingIOError:
                return
        if end.other.silent and not end.waiting and not end.shut:
            end.shut = True
            end.socket.shutdown(socket.SHUT_WR)

    def _listen(self, end: _End) -> None:
        events = 0
        if not end.silent and len(end.other.waiting) < LIMIT:
            events |= selectors.EVENT_READ
        if end.waiting:
            events |= selectors.EVENT_WRITE
        known = end.socket in self.selector.get_map()
        if known and events:
            self.selector.modify(end.socket, events, end)
        elif events:
            self.selector.register(end.socket, events, end)
        elif known:
            self.selector.unregister(end.socket)

    def _close(self, end: _End) -> None:
        for each in (end, end.other):
            if each.socket in self.selector.get_map():
                self.selector.unregister(each.socket)
            each.socket.close()


def main() -> None:
    folder, command = sys.argv[1], sys.argv[3:]
    bridge = Bridge(folder)
    if os.fork() == 0:
        os.setsid()  # signals to the command's group are not for us
        for descriptor in (0, 1, 2):  # whoever waits for the end of the command's output must not wait for us
            os.close(descriptor)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        bridge.serve()
        os._exit(1)
    os.execvp(command[0], command)  # noqa: S606 - a list, no shell


if __name__ == "__main__":
    main()
