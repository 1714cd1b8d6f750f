"""A line between two ends that can be cut: a TCP proxy in a thread, for faults that a healthy loopback does not have."""

import contextlib
import select
import socket
import threading


class Proxy:
    """Listens on loopback and passes everything on to host:port, until told otherwise."""

    def __init__(self, port, host="127.0.0.1"):
        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.silent = threading.Event()   # bytes wait: a cable that is out
        self.refuse = threading.Event()   # new connections are closed at once
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.is_set():
            ready, _, _ = select.select([self.listener], [], [], 0.1)
            if not ready:
                continue
            try:
                near, _ = self.listener.accept()
            except OSError:
                return  # closed meanwhile
            if self.refuse.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, source, sink):
        with contextlib.suppress(OSError, ValueError):
            while not self.ended.is_set():
                if self.silent.wait(0) and not self.ended.wait(0.05):
                    continue
                ready, _, _ = select.select([source], [], [], 0.1)
                if not ready:
                    continue
                data = source.recv(65536)
                if not data:
                    break
                # What was on its way when the cable was pulled is not there.
                while self.silent.is_set() and not self.ended.wait(0.05):
                    pass
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """Every connection breaks now."""
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    end.close()

    def close(self):
        self.ended.set()
        self.reset()
        self.listener.close()
