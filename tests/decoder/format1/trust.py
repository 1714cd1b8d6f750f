"""The repository object, whom to believe, and the keys: everything that is clear text."""

import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from .text import Bad, Lines, need, seconds, show, unhex

KEY_NAME = re.compile(r"key/([0-9a-f]{8})\.([kpe][0-9a-f]{16})")
FIRST_LINE = b"ffdr-repository 1\n"
KINDS = {"k": "aes-wrap", "p": "scrypt", "e": "rsa-oaep"}


class Newer(Bad):
    """A repository that has gone on to another format."""


def sha256(*parts):
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.digest()


def signed(public, signature, message):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


class Repository:
    """One repo/<n>, parsed; believed only once Trust has walked the chain."""

    def __init__(self, name, data):
        lines = Lines(name, data)
        need(lines.take() == b"ffdr-repository 1", name, "it does not begin with 'ffdr-repository 1'")
        self.name, self.data = name, data
        self.id = unhex(name, lines.value("repository"), 16)
        self.number = lines.number("number")
        need("repo/%d" % self.number == name, name, "it holds number %d", self.number)
        self.created = seconds(name, lines.value("created"))
        self.horizon, self.pack_size = lines.number("horizon"), lines.number("pack-size")
        previous = lines.value("previous")
        self.previous = None if previous == "-" else unhex(name, previous, 32)
        self.signers = []           # (public key, time from which it signs), as listed
        while (line := lines.maybe("signer")) is not None:
            words = line.decode("ascii", "replace").split(" ")
            need(len(words) == 2, name, "'signer' has %d values, expected 2", len(words))
            self.signers.append((unhex(name, words[0], 32), seconds(name, words[1])))
        need(self.signers, name, "it lists no signer")
        need(len(set(self.publics())) == len(self.signers), name, "it lists a signer twice")
        self.replaced = []          # (recipient, time), as listed
        while (line := lines.maybe("replaced")) is not None:
            words = line.decode("ascii", "replace").split(" ")
            need(len(words) == 2 and re.fullmatch("[a-z][0-9a-f]{16}", words[0]), name,
                 "'replaced' has another value than a recipient and a time")
            self.replaced.append((words[0], seconds(name, words[1])))
        need(len({who for who, _ in self.replaced}) == len(self.replaced), name,
             "it lists a recipient twice as replaced")
        self.message = b"ffdr-C" + name.encode() + sha256(data[:lines.at])
        self.signatures = []        # (signer's id, signature)
        while lines.more():
            words = lines.words("signature", 2)
            self.signatures.append((unhex(name, words[0], 8), unhex(name, words[1], 64)))
        need(1 <= len(self.signatures) <= 2, name, "it has %d signatures, expected one or two",
             len(self.signatures))

    def publics(self):
        return [public for public, _ in self.signers]

    def newest(self):
        return self.signers[-1][0]

    def signed_by(self, public):
        return any(who == sha256(public)[:8] and signed(public, what, self.message)
                   for who, what in self.signatures)

    def follows(self, older):
        """Raises unless this is a lawful child of `older` (None: it must be the first)."""
        for who, _ in self.signatures:
            known = self.publics() + (older.publics() if older else [])
            public = [p for p in known if sha256(p)[:8] == who]
            need(public, self.name, "signed by %s, which is no signer", who.hex())
            need(self.signed_by(public[0]), self.name, "the signature of %s is wrong", who.hex())
        added = older is None or len(self.signers) > len(older.signers)
        need(not added or self.signed_by(self.newest()), self.name, "its newest signer has not signed it")
        if older is None:
            need(self.number == 0 and self.previous is None, self.name, "expected 'previous -'")
            need(len(self.signers) == 1, self.name, "the first one lists more than one signer")
            return
        need(self.id == older.id, self.name, "the id of the repository has changed")
        need(self.previous == sha256(older.data), self.name, "'previous' is not the hash of %s",
             older.name)
        need(any(self.signed_by(p) for p in older.publics()), self.name,
             "no signer of %s has signed it", older.name)
        need(self.signers[:len(older.signers)] == older.signers, self.name,
             "it does not begin with the signers of %s", older.name)
        need(len(self.signers) <= len(older.signers) + 1, self.name,
             "it adds %d signers to those of %s, expected at most one",
             len(self.signers) - len(older.signers), older.name)
        need(self.replaced[:len(older.replaced)] == older.replaced, self.name,
             "it does not begin with what %s says was replaced", older.name)


class Trust:
    """Who may sign here. `bad` holds what was refused on the way to the highest valid number."""

    def __init__(self, tier, pin=None, seen=0):
        numbers, self.bad = [], []
        for name in tier.names("repo/"):
            if re.fullmatch(r"repo/(0|[1-9][0-9]{0,8})", name):
                numbers.append(int(name[5:]))
        need(numbers, "repo/", "there is no repository object, is this the root of a tier?")
        chain = []
        try:
            for n in range(max(numbers) + 1):
                need(n in numbers, "repo/%d" % n, "it is missing, and repo/%d is there", max(numbers))
                data = tier.read("repo/%d" % n)
                if data.startswith(b"ffdr-repository ") and not data.startswith(FIRST_LINE):
                    raise Newer("repo/%d" % n, "it is of another format than 1")
                one = Repository("repo/%d" % n, data)
                one.follows(chain[-1] if chain else None)
                chain.append(one)
        except Bad as why:
            # What does not verify ends the chain; what this reader is too old for ends the reading.
            if not chain or isinstance(why, Newer):
                raise
            self.bad.append(why)
        self.now = chain[-1]
        self.id = self.now.id
        self.publics = {sha256(p)[:8]: p for p in self.now.publics()}
        need(self.now.number >= seen, self.now.name, "repo/%d was there once", seen)
        if pin is not None:
            need(pin in self.now.publics(), self.now.name, "it does not list the pinned key %s",
                 pin.hex())
            need(any(one.signed_by(pin) for one in chain), self.now.name,
                 "no chain of signatures leads to it from the pinned key %s", pin.hex())

    def verify(self, name, who, signature, message):
        need(who in self.publics, name, "signed by %s, which %s does not list", who.hex(),
             self.now.name)
        need(signed(self.publics[who], signature, message), name, "the signature of %s is wrong",
             who.hex())


class KeyObject:
    """One key/<epoch>.<recipient>, its signature verified."""

    def __init__(self, name, data, trust):
        match = KEY_NAME.fullmatch(name)
        need(match, name, "it is not named key/<epoch>.<recipient>")
        lines = Lines(name, data)
        need(lines.take() == b"ffdr-key 1", name, "it does not begin with 'ffdr-key 1'")
        need(unhex(name, lines.value("repository"), 16) == trust.id, name,
             "it belongs to another repository")
        self.name, self.epoch = name, lines.value("epoch")
        need(self.epoch == match.group(1), name, "it holds epoch '%s'", self.epoch)
        seconds(name, lines.value("created"))
        self.recipient = lines.value("recipient")
        need(self.recipient == match.group(2), name, "it holds recipient '%s'", self.recipient)
        self.kind = lines.value("kind")
        need(self.kind == KINDS[self.recipient[0]], name, "kind '%s' does not go with recipient '%s'",
             self.kind, self.recipient)
        self.salt = unhex(name, lines.value("salt"), 32) if self.kind == "scrypt" else None
        self.data, self.id = (self.wrapped(name, lines.value(k)) for k in ("data", "id"))
        who = unhex(name, lines.value("signer"), 8)
        message = b"ffdr-K" + name.encode() + sha256(data[:lines.at])
        trust.verify(name, who, unhex(name, lines.value("signature"), 64), message)
        lines.done()

    def wrapped(self, name, word):
        raw = unhex(name, word, len(word) // 2)
        need(self.kind == "rsa-oaep" or len(raw) == 40, name, "a wrapped key of %d bytes, expected 40",
             len(raw))
        return raw


class Kek:
    """Opens what is wrapped for a key-encryption key: 64 hex digits in a file, or the 32 bytes."""

    def __init__(self, path):
        with open(path, "rb") as f:
            raw = f.read()
        word = raw.strip()
        self.key = raw if len(raw) == 32 else unhex(path, show(word), 32)
        self.recipient = "k" + sha256(b"ffdr/kek", self.key)[:8].hex()

    def fits(self, key):
        return key.recipient == self.recipient

    def open(self, key, wrapped):
        try:
            return keywrap.aes_key_unwrap(self.key, wrapped)
        except keywrap.InvalidUnwrap:
            raise Bad(key.name, "the key-encryption key does not open it") from None


class Passphrase(Kek):
    """The same, the key being made from a passphrase with the salt of the key object."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.word = f.read().rstrip(b"\n")
        self.keys = {}

    def fits(self, key):
        if key.kind != "scrypt":
            return False
        if key.salt not in self.keys:
            self.keys[key.salt] = hashlib.scrypt(self.word, salt=key.salt, n=1 << 17, r=8, p=1,
                                                 maxmem=1 << 28, dklen=32)
        self.key = self.keys[key.salt]
        return key.recipient == "p" + sha256(b"ffdr/kek", self.key)[:8].hex()


class Escrow:
    """Opens with the private half that lies in a safe."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.key = serialization.load_pem_private_key(f.read(), None)
        need(isinstance(self.key, rsa.RSAPrivateKey), path, "it is no RSA key")
        der = self.key.public_key().public_bytes(serialization.Encoding.DER,
                                                 serialization.PublicFormat.SubjectPublicKeyInfo)
        self.recipient = "e" + sha256(der)[:8].hex()

    def fits(self, key):
        return key.recipient == self.recipient

    def open(self, key, wrapped):
        sha = hashes.SHA256()
        try:
            return self.key.decrypt(wrapped, padding.OAEP(padding.MGF1(sha), sha, None))
        except ValueError:
            raise Bad(key.name, "the escrow key does not open it") from None


class Keys:
    """The data keys that one opener opens, by epoch, and the id key. `bad` holds refused objects."""

    def __init__(self, tier, trust, opener):
        self.data, self.id, self.bad, self.objects = {}, None, [], 0
        for name in tier.names("key/"):
            try:
                self.objects += 1
                self.add(KeyObject(name, tier.read(name), trust), opener)
            except Bad as why:
                self.bad.append(why)
        if not self.data:
            wrong = trust.bad + self.bad
            raise wrong[0] if wrong else Bad("key/", "no key object is for the key given")

    def add(self, key, opener):
        if not opener.fits(key):
            return
        data, ident = opener.open(key, key.data), opener.open(key, key.id)
        need(len(data) == 32 and len(ident) == 32, key.name, "a key in it is not 32 bytes long")
        need(sha256(b"ffdr/epoch", data)[:4].hex() == key.epoch, key.name,
             "its data key belongs to another epoch")
        need(self.id in (None, ident), key.name, "it holds another id key than the others")
        self.data[key.epoch], self.id = data, ident

    def of(self, where, epoch):
        if epoch not in self.data:
            wrong = [str(b) for b in self.bad if b.where.startswith("key/%s." % epoch)]
            raise Bad(where, "; ".join(["there is no key for epoch %s" % epoch] + wrong))
        return self.data[epoch]
