#!/usr/bin/env python3
"""Reads repository format 1 without ffdr, from docs/format.md alone, and restores from it.

    ffdr_decode.py --tier DIR --kek FILE [--pin SIGNING_PUBLIC_HEX] COMMAND ...

    list                        the snapshots of the tier
    manifest SNAPSHOT           the text of a manifest
    restore SNAPSHOT TARGET     into a directory that is empty or not there
    wal PLACE START END FILE    bytes of the log; PLACE is SOURCE/SYSID/EPOCH/TIMELINE, LSNs in hex
    check                       open every object and count everything

SNAPSHOT is a name as `list` prints it. Instead of --kek: --escrow PRIVATE.pem or --passphrase FILE.
Exit code 0: all is well; 1: something is not as the format says; 2: usage; 3: restored, and what is
named on stderr could not be given to this file system by this user.
"""

import argparse
import os
import sys

from format1 import check, container, restore, snapshot, text, trust, wal


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", required=True, metavar="DIR")
    opener = parser.add_mutually_exclusive_group(required=True)
    opener.add_argument("--kek", metavar="FILE", help="64 hex digits, or 32 bytes")
    opener.add_argument("--escrow", metavar="FILE", help="private RSA key, PEM")
    opener.add_argument("--passphrase", metavar="FILE")
    parser.add_argument("--pin", metavar="HEX", help="public signing key to start from")
    parser.add_argument("--seen", metavar="N", type=int, default=0,
                        help="refuse when the highest repo/<n> is below this")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("check")
    commands.add_parser("manifest").add_argument("snapshot")
    command = commands.add_parser("wal")
    for name in ("place", "start", "end", "file"):
        command.add_argument(name)
    command = commands.add_parser("restore")
    command.add_argument("snapshot")
    command.add_argument("target")
    return parser.parse_args(argv)


class Opened:
    """A tier, whom it trusts, and the keys."""

    def __init__(self, args):
        pin = text.unhex("--pin", args.pin, 32) if args.pin else None
        if args.kek:
            opener = trust.Kek(args.kek)
        elif args.escrow:
            opener = trust.Escrow(args.escrow)
        else:
            opener = trust.Passphrase(args.passphrase)
        self.tier = container.Tier(args.tier)
        self.trust = trust.Trust(self.tier, pin, args.seen)
        self.keys = trust.Keys(self.tier, self.trust, opener)
        self.packs = container.Packs(self.tier, self.trust, self.keys)

    def manifest(self, name):
        if not name.startswith("snap/"):
            name = "snap/" + name
        text.need(text.SNAPSHOT.fullmatch(name), name, "it is no name of a snapshot")
        return snapshot.Manifest(self.tier, name, self.trust, self.keys)

    def warn(self):
        for why in self.trust.bad + self.keys.bad:
            say("warning: %s" % why)


def say(line):
    print("ffdr_decode: %s" % line, file=sys.stderr)


def do_list(opened, _):
    opened.warn()
    status = 0
    for name in opened.tier.names("snap/"):
        try:
            m = opened.manifest(name)
        except text.Bad as why:
            say(why)
            status = 1
            continue
        c = m.counts
        print("%s  %d entries  %d files  %d bytes%s" % (
            name[5:], c["entries"], c["files"], c["bytes"], "  partial" if m.partial else ""))
    return status


def do_manifest(opened, args):
    opened.warn()
    sys.stdout.buffer.write(opened.manifest(args.snapshot).data)
    return 0


def do_restore(opened, args):
    opened.warn()
    manifest = opened.manifest(args.snapshot)
    manifest.verify_packs(opened.packs)
    work = restore.Restore(manifest, opened.packs, args.target)
    work.run()
    for line in work.left:
        say("left out: %s" % line)
    return 3 if work.left else 0


def do_wal(opened, args):
    opened.warn()
    data = wal.read(opened.tier, opened.trust, opened.keys, args.place, int(args.start, 16), int(args.end, 16))
    with open(args.file, "wb") as f:
        f.write(data)
    return 0


def do_check(opened, _):
    work = check.Check(opened.tier, opened.trust, opened.keys, opened.packs)
    clean = work.run()
    for why in work.problems:
        say(why)
    for name in work.alone:
        say("left alone: %s" % name)
    print("%d packs, %d frames, %d grains, %d manifests, %d entries, %d records, %d pieces of WAL, %d bundles, %d keys: %s" % (
        *(work.counts[k] for k in ("packs", "frames", "grains", "manifests", "entries", "records", "pieces", "bundles")),
        opened.keys.objects, "clean" if clean else "%d problems" % len(work.problems)))
    return 0 if clean else 1


def main(argv):
    args = arguments(argv)
    try:
        command = {"list": do_list, "manifest": do_manifest, "restore": do_restore, "wal": do_wal,
                   "check": do_check}
        return command[args.command](Opened(args), args)
    except text.Bad as why:
        say(why)
    except OSError as why:
        say("%s: %s" % (why.strerror, text.show(os.fsencode(why.filename or "?"))))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
