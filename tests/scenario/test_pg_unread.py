"""A base backup that is listed and cannot be read is not one that is not there."""

import os

from conftest import VERIFY
from databases import database_fixture, make_database  # noqa: F401
from postgres import eventually, servers_fixture  # noqa: F401
from restored import readable


def test_a_base_backup_that_is_damaged_is_not_told_as_none(database):
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    snapshot = database.backup()
    database.end_streams()
    readable(database)
    for tier in database.tiers:
        path = database.tier(tier, "snap", snapshot)
        if not os.path.exists(path):
            continue
        os.chmod(path, 0o644)
        with open(path, "r+b") as f:
            f.seek(60)
            f.write(b"overwritten")
    for what, says in ("pg.pay", "restore refused: %s cannot be used: "), (snapshot, "'snap/%s' cannot be read from any tier"):
        result = database.run("restore", what, "--to", database.path("out"), "--dry-run", status=VERIFY)
        assert says % snapshot in result.err, result
        assert "there is no base backup" not in result.err and "`ffdr backup" not in result.err, result
