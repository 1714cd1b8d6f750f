"""check, of a PostgreSQL server: what would fail tonight fails now, with the fix."""

import os

from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import eventually, servers_fixture  # noqa: F401

CONFIGURATION = 78


def lines(site, status=None):
    found = site.json("check", status=status)["lines"]
    return [x for x in found if x["what"] == "pg.pay"]


def verdicts(site, word):
    return [x["verdict"] for x in lines(site) if word in x["text"]]


def test_a_server_that_is_right_fails_nothing_and_is_pinned(database):
    database.server.set(max_slot_wal_keep_size="1GB").restart()
    found = lines(database, 0)
    assert not [x for x in found if x["verdict"] == "FAIL"]
    assert [x for x in found if str(database.server.sysid) in x["text"]]
    assert os.path.exists(database.path("state", "coord", "active", "pg.pay"))
    # nothing on the server was made or changed
    assert database.server.sql("SELECT slot_name FROM pg_replication_slots") == []
    assert verdicts(database, "nobody receives") == ["warn"]
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    assert verdicts(database, "ships its WAL") == ["ok"]
    assert verdicts(database, "is there and keeps") == ["ok", "ok"]


def test_a_repository_that_does_not_open_is_told_while_the_spool_is_in_use(database):
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    os.rename(database.path("etc", "kek"), database.path("etc", "kek.away"))
    found = database.json("check", status=CONFIGURATION)["lines"]
    assert [x for x in found if x["what"] == "repository" and x["verdict"] == "FAIL"]
    assert database.run("wal", "status", status=None).status > 0
    os.rename(database.path("etc", "kek.away"), database.path("etc", "kek"))
    lines(database, 0)


def test_a_server_that_does_not_answer_is_one_failure(database):
    database.server.stop()
    found = lines(database, CONFIGURATION)
    assert [x["verdict"] for x in found][0] == "FAIL" and found[0]["fix"]
    assert len([x for x in found if x["verdict"] == "FAIL"]) == 1


def test_another_server_under_the_name_fails(servers, database):
    database.run("check", status=None)
    other = servers.new(15, "--wal-segsize=1").start()
    database.write_config(conninfo=other.conninfo)
    bad = [x for x in lines(database, CONFIGURATION) if x["verdict"] == "FAIL"]
    assert len(bad) == 1 and "system identifier" in bad[0]["text"] and "--new-system" in bad[0]["fix"]


def test_a_role_without_rights_is_told_which_to_grant(database):
    server = database.server
    server.sql("CREATE ROLE poor LOGIN")
    database.write_config(conninfo=server.conninfo.replace("user=postgres", "user=poor"))
    found = lines(database, CONFIGURATION)
    fixes = [x["fix"] for x in found if x["verdict"] in ("FAIL", "warn")]
    assert "ALTER ROLE poor REPLICATION" in fixes
    assert "GRANT pg_read_all_settings TO poor" in fixes
    server.sql("ALTER ROLE poor REPLICATION")
    server.sql("GRANT pg_read_all_settings TO poor")
    assert not [x for x in lines(database, 0) if x["verdict"] == "FAIL"]


def test_settings_that_stand_in_the_way(database):
    server = database.server
    server.set(max_wal_senders=1, max_replication_slots=1).restart()
    text = [x["fix"] or "" for x in lines(database, CONFIGURATION) if x["verdict"] == "FAIL"]
    assert any("max_wal_senders = 3" in f for f in text), text
    assert any("max_replication_slots = 3" in f for f in text), text
    server.set(max_wal_senders=0, wal_level="minimal").restart()
    text = [x["text"] for x in lines(database, CONFIGURATION) if x["verdict"] == "FAIL"]
    assert any("minimal" in t for t in text), text


def test_a_server_that_gives_up_slots_that_rest_is_warned_of(servers):
    site = make_database(servers, 18)
    assert verdicts(site, "idle_replication_slot_timeout") == []
    site.server.set(idle_replication_slot_timeout="1d").sql("SELECT pg_reload_conf()")
    eventually(lambda: verdicts(site, "idle_replication_slot_timeout is set") == ["warn"], what="the new setting")


def test_push_without_archive_command_fails(database):
    database.write_config(wal_from="push")
    assert verdicts(database, "archive_mode is off") == ["FAIL"]
    database.server.set(archive_mode="on", archive_command="cp %p /nowhere/%f").restart()
    assert verdicts(database, "does not call ffdr") == ["warn"]
    database.server.set(archive_command="ffdr wal push %p").restart()
    assert verdicts(database, "calls ffdr wal push") == ["ok"]
    # The server calls one of the two, and it is not the command.
    database.server.set(archive_command="", archive_library="basic_archive").restart()
    assert verdicts(database, "archive_library = 'basic_archive'") == ["FAIL"]


def test_a_data_directory_of_another_server_fails(servers, database):
    other = servers.new(15)
    database.write_config(method="local", data=other.data)
    assert verdicts(database, "is not the data directory of this server") == ["FAIL"]
    # A copy has the same system id, and no server of its own.
    copy = servers.clone(database.server)
    database.write_config(data=copy.data)
    assert verdicts(database, "no server runs there") == ["FAIL"]
    assert "no server runs there" in database.run("backup", "pg.pay", status=78).err
    database.write_config(data=database.server.data)
    assert verdicts(database, "can be read and is this server's") == ["ok"]


def test_the_data_directory_is_the_one_the_server_says(database):
    database.write_config(method="local")
    assert verdicts(database, "can be read and is this server's") == ["ok"]
    assert database.run("backup", "pg.pay").status == 0


def test_a_standby_gives_base_backups_and_no_wal(servers, database):
    standby = servers.clone(database.server).start()
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_stat_replication"))
    database.write_config(conninfo=standby.conninfo)
    assert verdicts(database, "it is a standby") == ["warn"]


def test_check_sql_is_asked_of_the_server_that_lives(database):
    server = database.server
    server.sql("CREATE TABLE accounts (amount int)")
    claim = "SELECT coalesce(sum(amount), 0) = 0 FROM accounts"
    database.write_config(check_sql=claim)
    assert verdicts(database, "check-sql is true") == ["ok"]
    server.sql("INSERT INTO accounts VALUES (1)")
    assert verdicts(database, "check-sql is false, expected true: " + claim) == ["warn"]
    database.write_config(check_sql="SELECT n FROM nowhere")
    assert verdicts(database, "nowhere") == ["warn"]
    # It is asked, and may not write; nor does it hold up whoever checks.
    database.write_config(check_sql="INSERT INTO accounts VALUES (5) RETURNING true")
    assert verdicts(database, "read-only transaction") == ["warn"]
    assert server.value("SELECT count(*) FROM accounts") == 1
    database.write_config(check_sql="SELECT pg_sleep(60) IS NOT NULL")
    assert verdicts(database, "longer than ten seconds") == ["unknown"]
    server.sql("CREATE ROLE poor LOGIN REPLICATION IN ROLE pg_read_all_settings")
    database.write_config(conninfo=server.conninfo.replace("user=postgres", "user=poor"), check_sql=claim)
    assert verdicts(database, "may not ask check-sql") == ["unknown"]
