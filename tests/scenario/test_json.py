"""docs/json.md is a promise to programs: it names every member that any command prints, and no other."""

import os
import re

from conftest import DEGRADED, SOURCE_DIR, VERIFY, flip

PAGE = os.path.join(SOURCE_DIR, "docs", "json.md")


def documented():
    """{command: members}, and the members that stand for an error wherever they are."""
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    found = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        name, rest = part.split("\n", 1)
        cells = re.findall(r"^\| (`.*?) \|", rest, flags=re.MULTILINE)
        found[name.strip()] = set(re.findall(r"`([^`]+)`", " ".join(cells)))
    return found


def members(value, path=""):
    """Paths of all leaves: a.b, a[].c; an error (kind and message) is a leaf."""
    if isinstance(value, dict) and set(value) != {"kind", "message"}:
        for key, below in value.items():
            yield from members(below, path + "." + key if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        for item in value:
            yield from members(item, path + "[]")
    else:
        yield path


def every_command(site):
    """(section of the page, what the command printed), as much of it as can be brought about."""
    yield "init", site.json("init")
    yield "check", site.json("check", status=None)
    with open(os.path.join(site.source, "hard"), "w", encoding="utf-8") as f:
        f.write("x" * 1000)
    os.link(os.path.join(site.source, "hard"), os.path.join(site.source, "hard-too"))
    os.symlink("hard", os.path.join(site.source, "soft"))
    yield "backup", site.json("backup", "vol.data")
    yield "backup", site.json("backup", "vol.data", "--dry-run")
    yield "list", site.json("list", "--refresh")
    yield "copy", site.json("copy", "--to", "regional")
    yield "copy", site.json("copy", "--dry-run")
    yield "verify", site.json("verify")
    yield "verify", site.json("verify", "--restore", "vol.data")
    yield "status", site.json("status", status=None)
    yield "show", site.json("show", "vol.data")
    yield "show", site.json("show", "vol.data", "--files")
    yield "restore", site.json("restore", "vol.data", "--to", site.path("x"))
    yield "restore", site.json("restore", "vol.data", "--to", site.path("x"), "--delta",
                               "--dry-run")
    yield "hold", site.json("hold", "vol.data/latest")
    yield "expire", site.json("expire")
    yield "gc", site.json("gc")
    yield "key", site.json("key", "list")
    yield "key", site.json("key", "rotate")
    yield "key", site.json("key", "rotate", "--kek", "file:" + site.path("etc", "kek2"))
    yield "key", site.json("key", "escrow-test", "--private",
                           site.path("etc", "escrow-private.pem"))
    yield "config", site.json("config", "show")
    yield "version", site.json("version")


# What only a bucket shows that is looked at as it was: test_s3_as_of.py looks after these.
AS_OF = {"to", "as_of", "objects", "missing", "replaced", "lost", "unanswered", "left", "held_back", "bytes"}
# What only a database shows: test_pg_json.py looks after these.
DATABASE = {"wal status", "wal forget", "exposure"}
DATABASE_MEMBERS = re.compile(r"parts\[\]\.wal\[\]\.")


def of_a_database():
    """Members of rows that say so: a volume need not show them."""
    with open(PAGE, encoding="utf-8") as f:
        rows = re.findall(r"^\| (`.*?) \| of a database", f.read(), flags=re.MULTILINE)
    return {m for m in re.findall(r"`([^`]+)`", " ".join(rows))}


def test_the_page_names_every_member_and_no_other(site):
    page = {name: members_of for name, members_of in documented().items() if name not in DATABASE}
    seen = {name: set() for name in page}
    for name, printed in every_command(site):
        assert "error" not in printed, (name, printed)
        seen[name] |= set(members(printed))
    flip(site.tier("local", site.objects("local", "pack/")[0]))
    site.write_config(keys="kek = file:%s\nsigning = file:%s\nescrow = %s\n" % (
        site.path("etc", "kek2"), site.path("etc", "signing.pem"), site.path("etc", "escrow.pem")))
    seen["verify"] |= set(members(site.json("verify", status=VERIFY)))
    os.rename(site.tier("dr"), site.tier("dr") + ".away")
    seen["list"] |= set(members(site.json("list", status=DEGRADED)))
    for name, found in seen.items():
        empty = {m for m in found if any(d.startswith(m + "[]") for d in page[name])}
        assert found - empty - page[name] == set(), "%s: the page lacks these" % name
    # What needs more than this to be seen: a failing source, a file that could not be read, a new
    # key made with its signature, an archive, a bucket with versions.
    rare = {"restore": {"thaw"}, "backup": {"backups[].error"}, "show": {"files[].note"},
            "key": {"id", "public"}, "copy": AS_OF}
    for name, members_of in page.items():
        left = members_of - seen[name] - rare.get(name, set()) - of_a_database()
        left = {m for m in left if not DATABASE_MEMBERS.match(m)}
        assert left == set(), "%s: the page has what was never printed" % name
