"""Texts of the format: lines `key value`, escaped words, times, numbers; and the error all share."""

import datetime
import re

NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")
SOURCE = r"[a-z]{2,8}\.[a-z0-9_-]{1,48}"
STAMP = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
SNAPSHOT = re.compile(r"snap/(%s)/%s" % (SOURCE, STAMP))
PLAIN_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
PLAIN = re.compile(rb"[!-\[\]-~]+")
ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|-)|\\|[\x00-\x20\x7f]")


class Bad(Exception):
    """Something on the tier is not what docs/format.md says."""

    def __init__(self, where, what):
        super().__init__("%s: %s" % (where, what))
        self.where, self.what = where, what


def need(true, where, what, *values):
    if not true:
        raise Bad(where, what % values if values else what)


def number(where, word, limit=1 << 64):
    need(NUMBER.fullmatch(word), where, "'%s' is no number", word)
    value = int(word)
    need(value < limit, where, "the number %s is too large", word)
    return value


def unhex(where, word, size):
    need(re.fullmatch("[0-9a-f]{%d}" % (2 * size), word), where,
         "'%s' is not %d hex digits", word, 2 * size)
    return bytes.fromhex(word)


def seconds(where, word):
    """A time of a text, as seconds since 1970."""
    need(PLAIN_TIME.fullmatch(word), where, "'%s' is no time", word)
    try:
        when = datetime.datetime.strptime(word, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise Bad(where, "'%s' is no time" % word) from None
    return int(when.replace(tzinfo=datetime.timezone.utc).timestamp())


def control(char):
    return ord(char) < 0x20 or 0x7f <= ord(char) < 0xa0


def escape(raw):
    """The one way to write these bytes."""
    if not raw:
        return b"\\-"
    if PLAIN.fullmatch(raw):
        return raw
    out = []
    # Bytes outside of UTF-8 come out of surrogateescape as U+DC80..U+DCFF.
    for char in raw.decode("utf-8", "surrogateescape"):
        if char in " \\" or control(char) or 0xdc80 <= ord(char) <= 0xdcff:
            out.append("".join("\\x%02x" % b for b in char.encode("utf-8", "surrogateescape")))
        else:
            out.append(char)
    return "".join(out).encode("utf-8")


def unescape(where, word):
    if PLAIN.fullmatch(word):
        return word
    need(word, where, "an empty word, expected \\-")
    if word == b"\\-":
        return b""

    def one(match):
        if not match.group(1):
            raise Bad(where, "'%s' is not escaped as it should be" % show(word))
        return bytes([int(match.group(1), 16)])

    raw = ESCAPE.sub(one, word)
    if escape(raw) != word:
        raise Bad(where, "'%s' is not escaped as it should be" % show(word))
    return raw


def show(raw):
    """Bytes for a message: never a control character on somebody's terminal."""
    return escape(raw).decode("utf-8") if raw else ""


class Lines:
    """The lines of a text, one after the other."""

    def __init__(self, where, data):
        self.where, self.data, self.at = where, data, 0

    def more(self):
        return self.at < len(self.data)

    def take(self):
        end = self.data.find(b"\n", self.at)
        need(end >= 0, self.where, "the text ends in the middle of a line or too early")
        line, self.at = self.data[self.at:end], end + 1
        return line

    def peek(self):
        end = self.data.find(b"\n", self.at)
        return self.data[self.at:end] if end >= 0 else b""

    def raw(self, count):
        need(len(self.data) - self.at >= count, self.where, "the text is shorter than it says")
        self.at += count
        return self.data[self.at - count:self.at]

    def bytes_of(self, key):
        """The value of the next line, which must have this key."""
        line = self.take()
        start = key.encode() + b" "
        if not line.startswith(start):
            raise Bad(self.where, "'%s', expected a line '%s'" % (show(line), key))
        return line[len(start):]

    def value(self, key):
        return ascii_of(self.where, self.bytes_of(key))

    def maybe(self, key):
        return self.bytes_of(key) if self.peek().startswith(key.encode() + b" ") else None

    def words(self, key, count):
        words = self.value(key).split(" ")
        need(len(words) == count and all(words), self.where, "'%s' has %d values, expected %d",
             key, len(words), count)
        return words

    def number(self, key):
        return number(self.where, self.value(key))

    def done(self):
        need(not self.more(), self.where, "something follows the end of the text")


def ascii_of(where, raw):
    if not raw.isascii():
        raise Bad(where, "'%s' is not plain ASCII" % show(raw))
    return raw.decode("ascii")
