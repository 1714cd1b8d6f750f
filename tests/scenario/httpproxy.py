"""A man in the middle of HTTP: passes requests on byte for byte, keeps a ledger of them, and does to chosen ones what networks and
stores do on bad days.

A fault is said before it happens: what, to which requests (by method and path), from the n-th of those on, how many times.

    proxy.fault("lost", method="PUT", path="packs/")       the next PUT of a pack takes effect, and its answer is lost
    proxy.fault(("status", 503, "SlowDown"), nth=3, times=2)

Nothing is signed here: a client that signs the address it talks to signs this one, and servers take what they are told.
"""

import contextlib
import email.utils
import re
import select
import socket
import struct
import threading
import time

RST = struct.pack("ii", 1, 0)
LINE_MOST = 65536
PIECE = 65536

# What may be done. Before the request takes effect:
#	reset		the connection breaks
#	half		the connection breaks in the middle of the request's body
#	stall		silence, until the client goes or release() is called
#	("late", SECONDS)	so long nothing, and then all as ever
#	("status", N, CODE)	this answer instead, with an S3 error of that code
# After the request took effect:
#	lost		the connection breaks instead of an answer
#	mute		silence instead of an answer
#	hang		half of the body, then silence
#	short		half of the body, then the end of the connection
#	cut		half of the body, then the connection breaks
#	wrong		one bit of the body is another
#	padded		a byte too much in the body, and a length that says so
#	twice		the whole answer two times
#	still		of a listing: nothing, and that it goes on at a place which is always the same
#	("drip", SECONDS)	the body in 20 pieces, over so long
FAULTS = ("reset", "half", "stall", "late", "status", "lost", "mute", "hang", "short", "cut", "wrong", "padded", "twice", "still", "drip")


class Gone(Exception):
    """The connection is not there any more, or is to be broken now."""


class Request:
    """A line of the ledger."""

    def __init__(self, connection, method, target, headers):
        self.connection, self.method, self.headers = connection, method, headers
        self.path, _, self.query = target.partition("?")
        self.body = None    # its length, once it came whole
        self.status = None  # of the answer, if there was one
        self.fault = None
        self.time = time.monotonic()

    @property
    def lists(self):
        return self.method == "GET" and re.search(r"(^|&)(list-type|versions|prefix)=?", self.query) is not None

    def __repr__(self):
        return "%d %s %s?%s -> %s%s" % (self.connection, self.method, self.path, self.query, self.status,
                                       " [%s]" % (self.fault,) if self.fault else "")


class Fault:
    """What is to happen, and how often it did."""

    def __init__(self, what, method, path, nth, times, query):
        self.what = what if isinstance(what, tuple) else (what,)
        assert self.what[0] in FAULTS, what
        self.method, self.path, self.query = method, re.compile(path), re.compile(query)
        self.before, self.left = nth - 1, times
        self.hits = 0

    def takes(self, request):
        if self.left == 0 or (self.method and request.method not in self.method.split("|")) or \
                not self.path.search(request.path) or not self.query.search(request.query):
            return False
        if self.before > 0:
            self.before -= 1
            return False
        if self.left is not None:
            self.left -= 1
        self.hits += 1
        return True


class HttpProxy:
    """Listens on loopback, before the server on that port."""

    def __init__(self, port):
        self.server = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.lock = threading.Lock()
        self.requests, self.faults, self.sockets = [], [], set()
        self.connections = 0
        self.ahead = 0  # seconds that the server's clock is said to be ahead
        self.released = threading.Event()
        self.ended = False
        threading.Thread(target=self.run, daemon=True).start()

    # ---- what a test says ----

    def fault(self, what, method=None, path="", nth=1, times=1, query=""):
        """times None: from then on, always."""
        fault = Fault(what, method, path, nth, times, query)
        with self.lock:
            self.faults.append(fault)
        return fault

    def clear(self):
        """No faults any more, and whoever waits in silence goes."""
        with self.lock:
            self.faults = []
        self.released.set()
        self.released = threading.Event()

    def forget(self):
        """An empty ledger."""
        with self.lock:
            self.requests, self.connections = [], 0

    def seen(self, method=None, path="", query=""):
        with self.lock:
            return [r for r in self.requests if (method is None or r.method in method.split("|")) and
                    re.search(path, r.path) and re.search(query, r.query)]

    def close(self):
        self.ended = True
        self.released.set()
        self.listener.close()
        with self.lock:
            sockets = list(self.sockets)
        for s in sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    # ---- connections ----

    def run(self):
        while not self.ended:
            try:
                near, _ = self.listener.accept()
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                if self.listener.fileno() == -1:
                    return
                continue  # one that was gone before it came
            with self.lock:
                self.connections += 1
                number = self.connections
                self.sockets.add(near)
            threading.Thread(target=self.serve, args=(near, number), daemon=True).start()

    def serve(self, near, number):
        far = None
        broken = False
        reader = near.makefile("rb")
        try:
            while True:
                head = read_head(reader)
                if head is None:
                    break
                far = self.one(near, reader, far, number, head)
        except Gone as how:
            broken = how.args == ("break",)
        except (OSError, ValueError):
            pass
        if broken:
            with contextlib.suppress(OSError):
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        reader.close()
        for each in (near, far[0] if far else None):
            if each is not None:
                each.close()
        with self.lock:
            self.sockets.discard(near)

    def one(self, near, reader, far, number, head):
        """One request and its answer; the connection to the server, for the next."""
        line, headers = head
        method, target, _ = line.split(" ", 2)
        request = Request(number, method, target, headers)
        what = self.choose(request)
        if what[0] == "reset":
            raise Gone("break")
        if what[0] == "late":
            time.sleep(what[1])
        waits = headers.get("expect", "").lower() == "100-continue"
        if what[0] == "status":
            if not waits:
                request.body = len(read_body(reader, headers))
            request.status = what[1]
            near.sendall(refusal(what[1], what[2], method, "close" if waits else "keep-alive"))
            if waits:
                raise Gone
            return far
        far, early = self.begin(far, line, headers, method, waits)
        if early is None:
            if waits:
                near.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if what[0] == "half":
                read_exactly(reader, int(headers.get("content-length", 0)) // 2)
                raise Gone("break")
            body = read_body(reader, headers)
            request.body = len(body)
            if what[0] == "stall":
                self.silence(near)
            # A server that has seen enough answers and closes: what it said counts.
            with contextlib.suppress(ConnectionError):
                far[0].sendall(body)
            early = Answer(far[1], method)
            while early.status == 100:  # some say it twice
                early = Answer(far[1], method)
        request.status = early.status
        if self.ahead:
            early.date(time.time() + self.ahead)
        self.answer(near, early, what)
        if early.closes or (waits and request.body is None):
            raise Gone
        return far

    def choose(self, request):
        """Into the ledger, and what shall happen to it: at least ("",)."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.takes(request):
                    request.fault = fault.what
                    return fault.what
        return ("",)

    def begin(self, far, line, headers, method, waits):
        """The head of a request: (the connection, None where the body is wanted and else the answer)."""
        text = line + "\r\n" + "".join("%s: %s\r\n" % h for h in headers.all) + "\r\n"
        # One that the server closed while nobody used it is readable, and has nothing.
        if far is not None and select.select([far[0]], [], [], 0)[0]:
            far[0].close()
            far = None
        if far is None:
            s = socket.create_connection(("127.0.0.1", self.server))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far = (s, s.makefile("rb"))
        far[0].sendall(text.encode("latin-1"))
        if waits:
            answer = Answer(far[1], method)
            return far, None if answer.status == 100 else answer
        return far, None

    def silence(self, near):
        """Until the client closes, or the test lets go."""
        released = self.released
        near.settimeout(0.05)
        while not self.ended and not released.is_set():
            try:
                if near.recv(1, socket.MSG_PEEK) == b"":
                    break
                time.sleep(0.05)
            except TimeoutError:
                pass
        raise Gone

    def answer(self, near, answer, what):
        kind = what[0]
        half = answer.body[:len(answer.body) // 2]
        if kind == "lost":
            raise Gone("break")
        if kind == "mute":
            self.silence(near)
        if kind in ("hang", "short", "cut"):
            near.sendall(answer.head + half)
            if kind == "hang":
                self.silence(near)
            # What was sent is to arrive before the connection breaks.
            time.sleep(0.05)
            raise Gone("break" if kind == "cut" else "end")
        if kind == "drip":
            near.sendall(answer.head)
            piece = len(answer.body) // 20 + 1
            for at in range(0, len(answer.body), piece):
                near.sendall(answer.body[at:at + piece])
                time.sleep(what[1] / 20)
            return
        body, head = answer.body, answer.head
        if kind == "wrong" and body:
            at = len(body) // 2
            body = body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1:]
        if kind == "still":
            body = (b"<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated>"
                    b"<NextContinuationToken>here</NextContinuationToken></ListBucketResult>")
        if kind == "padded":
            body += b"!"
        if kind in ("still", "padded"):
            head = re.sub(rb"(?im)^content-length: *\d+", b"Content-Length: %d" % len(body), head)
        near.sendall(head + body)
        if kind == "twice":
            near.sendall(head + body)


# ---- HTTP/1.1, as much of it as S3 speaks ----

class Headers(dict):
    """By lower-case name; .all has them as they came."""

    def __init__(self, pairs):
        super().__init__((name.lower(), value) for name, value in pairs)
        self.all = pairs


def read_head(reader):
    """(first line, headers); None at the end."""
    first = reader.readline(LINE_MOST)
    if not first:
        return None
    pairs = []
    while True:
        line = reader.readline(LINE_MOST)
        if not line:
            raise Gone
        line = line.decode("latin-1").rstrip("\r\n")
        if not line:
            return first.decode("latin-1").rstrip("\r\n"), Headers(pairs)
        name, _, value = line.partition(":")
        pairs.append((name, value.strip()))


def read_exactly(reader, length):
    data = reader.read(length)
    if len(data) != length:
        raise Gone
    return data


def read_chunks(reader):
    """A chunked body, as it came."""
    out = []
    while True:
        line = reader.readline(LINE_MOST)
        if not line:
            raise Gone
        out.append(line)
        length = int(line.split(b";")[0], 16)
        out.append(read_exactly(reader, length + 2))
        if length == 0:
            return b"".join(out)


def read_body(reader, headers):
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return read_chunks(reader)
    return read_exactly(reader, int(headers.get("content-length", 0)))


class Answer:
    """The server's, whole."""

    def __init__(self, reader, method):
        got = read_head(reader)
        if got is None:
            raise Gone
        line, headers = got
        self.status = int(line.split(" ")[1])
        self.head = (line + "\r\n" + "".join("%s: %s\r\n" % h for h in headers.all) + "\r\n").encode("latin-1")
        self.closes = headers.get("connection", "").lower() == "close"
        if method == "HEAD" or self.status in (100, 204, 304):
            self.body = b""
        elif "content-length" in headers or headers.get("transfer-encoding", "").lower() == "chunked":
            self.body = read_body(reader, headers)
        else:
            self.body = reader.read()
            self.closes = True

    def date(self, now):
        self.head = re.sub(rb"(?im)^date: [^\r]*", b"Date: " + email.utils.formatdate(now, usegmt=True).encode(), self.head)


def refusal(status, code, method, connection):
    text = "" if method == "HEAD" else \
        "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>as the test wants it</Message></Error>" % code
    return ("HTTP/1.1 %d %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: %s\r\nDate: %s\r\n\r\n%s" % (
        status, code, len(text), connection, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), text)).encode()
