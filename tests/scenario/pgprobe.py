"""tests/tools/pg_probe as Python functions, and a server that says whatever a test wants."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE_DIR = os.path.dirname(os.path.dirname(HERE))
SECONDS = 90


def program():
    named = os.environ.get("FFDR_PG_PROBE")
    if named:
        return named
    built = os.environ.get("FFDR_BUILDDIR") or os.path.dirname(
        os.environ.get("FFDR_BIN") or os.environ.get("FFDR") or os.path.join(SOURCE_DIR, "ffdr"))
    return os.path.abspath(os.path.join(built, "tests", "tools", "pg_probe"))


class Probe:
    """One run that goes on; lines come as they are said."""

    def __init__(self, *argv, env=None):
        self.process = subprocess.Popen([program(), *map(str, argv)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.first = time.monotonic()

    def line(self):
        """The next one; None at the end."""
        text = self.process.stdout.readline()
        return json.loads(text) if text else None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        """The lines that are left. Anything on stderr is a failure: libraries do not speak."""
        out, err = self.process.communicate(timeout=SECONDS)
        assert not err, err
        self.seconds = time.monotonic() - self.first
        self.status = self.process.returncode
        return [json.loads(text) for text in out.splitlines()]


def probe(*argv, env=None):
    """The lines of one run."""
    return Probe(*argv, env=env).end()


def one(*argv, env=None):
    """The only line of one run."""
    lines = probe(*argv, env=env)
    assert len(lines) == 1, lines
    return lines[0]


# ---- a server of our own making ----

def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def wal(at, data, end=None):
    return message(b"d", b"w" + struct.pack("!QQq", at, at + len(data) if end is None else end, 0) + data)


COPY_BOTH = message(b"W", b"\0\0\0")
READY = message(b"Z", b"I")


class Fake:
    """Lets everybody in and answers the first command with the bytes given."""

    def __init__(self, version, answer=b"", silent=False):
        self.answer, self.version, self.silent = answer, version, silent
        self.heard = b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def conninfo(self):
        return "host=127.0.0.1 port=%d user=x sslmode=disable gssencmode=disable" % self.port

    def work(self):
        with contextlib.suppress(OSError):
            while True:
                c = self.socket.accept()[0]
                with contextlib.suppress(OSError, struct.error), c:
                    self.serve(c)

    def serve(self, c):
        if self.silent:
            time.sleep(SECONDS)
            return
        size = struct.unpack("!i", c.recv(4, socket.MSG_WAITALL))[0]
        c.recv(size - 4, socket.MSG_WAITALL)
        c.sendall(message(b"R", struct.pack("!i", 0)) +
                  message(b"S", b"server_version\0" + self.version.encode() + b"\0") +
                  message(b"K", struct.pack("!ii", 1, 2)) + READY)
        head = c.recv(5, socket.MSG_WAITALL)
        if len(head) < 5:
            return
        c.recv(struct.unpack("!i", head[1:])[0] - 4, socket.MSG_WAITALL)
        c.sendall(self.answer)
        while True:
            got = c.recv(4096)
            if not got:
                return
            self.heard += got


@contextlib.contextmanager
def scratch():
    """For files that the probe makes."""
    with tempfile.TemporaryDirectory(prefix="ffdr-probe-") as top:
        yield top
