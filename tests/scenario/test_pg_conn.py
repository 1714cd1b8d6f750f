"""Connecting to PostgreSQL: every way libpq has, a deadline, and errors that hold no secret."""

import os
import socket
import subprocess
import time

import pytest

from pgprobe import Fake, Probe, one
from postgres import VERSIONS, eventually, servers_fixture  # noqa: F401

SECRET = "correct-horse-7"


def tcp(server, **more):
    words = {"host": "127.0.0.1", "port": server.port, "user": "postgres", **more}
    return " ".join("%s=%s" % pair for pair in words.items())


@pytest.fixture(name="guarded")
def guarded_fixture(servers):
    """A server that wants a password over TCP, and a role that may replicate."""
    server = servers.new(15).start()
    server.sql("CREATE ROLE ffdr LOGIN REPLICATION PASSWORD '%s'" % SECRET)
    server.sql("CREATE ROLE plain LOGIN PASSWORD '%s'" % SECRET)
    with open(os.path.join(server.data, "pg_hba.conf"), "w", encoding="utf-8") as f:
        f.write("local all all trust\nlocal replication all trust\n"
                "host all all 127.0.0.1/32 scram-sha-256\n"
                "host replication all 127.0.0.1/32 scram-sha-256\n")
    server.value("SELECT pg_reload_conf()")
    return server


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_who_it_is_on_both_kinds_of_connection(servers, version):
    server = servers.new(version).start()
    for kind in ([], ["repl"]):
        got = one("identify", server.conninfo, *kind)
        assert got["sysid"] == server.sysid
        assert got["tli"] == 1 and not got["standby"]
        assert got["version"] // 10000 == version
        assert one("show", server.conninfo, "wal_segment_size", *kind) == {"value": "16MB"}
    assert one("note", server.conninfo)["note"] == ""


def test_a_standby_is_told_from_a_primary_and_a_promotion_is_seen_at_once(servers):
    primary = servers.new(15).start()
    standby = servers.clone(primary).start()
    assert one("identify", standby.conninfo)["standby"]
    standby.promote()
    got = one("identify", standby.conninfo)
    assert got["tli"] == 2 and not got["standby"]


def test_a_wrong_password_is_a_matter_of_permission_and_stays_secret(guarded):
    wrong = "wrong-" + SECRET
    for conninfo, env in ((tcp(guarded, user="ffdr", password=wrong), {}),
                          (tcp(guarded, user="ffdr"), {"PG_PROBE_PASSWORD": wrong}),
                          ("postgresql://ffdr:%s@127.0.0.1:%d/postgres" % (wrong, guarded.port), {})):
        for kind in ([], ["repl"]):
            got = one("identify", conninfo, *kind, env=env)
            assert got["error"] == "permission" and "(28P01)" in got["text"]
            assert SECRET not in str(got)


@pytest.mark.parametrize("conninfo", [
    "host=h password=" + "two " + SECRET, "postgresql://u:p@" + SECRET + "@host/db",
    "postgresql://u:%zz" + SECRET + "@host/db", "password='" + SECRET])
def test_a_connection_string_that_is_none_is_not_repeated(conninfo):
    got = one("identify", conninfo)
    assert got["error"] == "config" and "fix" in got["text"]
    assert SECRET not in str(got)


def test_no_password_at_all_names_the_ways_to_give_one(guarded, tmp_path):
    env = {"PGPASSFILE": str(tmp_path / "none")}
    got = one("identify", tcp(guarded, user="ffdr"), env=env)
    assert got["error"] == "permission" and ".pgpass" in got["text"]
    got = one("identify", tcp(guarded, user="ffdr"), "repl", env=env)
    assert "'replication'" in got["text"]


def test_pgpass_and_service_files_work(guarded, tmp_path):
    passes = tmp_path / "pgpass"
    passes.write_text("127.0.0.1:%d:postgres:ffdr:%s\n127.0.0.1:%d:replication:ffdr:%s\n" %
                      (guarded.port, SECRET, guarded.port, SECRET))
    passes.chmod(0o600)
    services = tmp_path / "services"
    services.write_text("[payments]\nhost=127.0.0.1\nport=%d\nuser=ffdr\ndbname=postgres\n" % guarded.port)
    env = {"PGPASSFILE": str(passes), "PGSERVICEFILE": str(services)}
    for kind in ([], ["repl"]):
        for conninfo in (tcp(guarded, user="ffdr", dbname="postgres"), "service=payments"):
            assert one("identify", conninfo, *kind, env=env)["sysid"] == guarded.sysid


def test_a_role_that_may_not_replicate_is_told_so(guarded):
    got = one("identify", tcp(guarded, user="plain"), "repl", env={"PG_PROBE_PASSWORD": SECRET})
    assert got["error"] == "permission" and "(42501)" in got["text"]


def make_certificates(top):
    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=top, check=True, capture_output=True)
    for ca in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca + ".key", "-out", ca + ".crt",
                "-days", "2", "-subj", "/CN=" + ca)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr",
            "-subj", "/CN=db.test")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-out", "server.crt")


def test_verify_full_lets_in_the_right_server_and_no_other(servers):
    server = servers.new(15)
    make_certificates(server.data)
    for name in ("server.key", "server.crt"):
        os.chmod(os.path.join(server.data, name), 0o600)
    server.set(ssl="on").own().start()

    def connect(ca="ca", host="db.test"):
        return one("identify", tcp(server, host=host, hostaddr="127.0.0.1", sslmode="verify-full",
                                   sslrootcert=os.path.join(server.data, ca + ".crt")))
    assert connect()["sysid"] == server.sysid
    for got in (connect(ca="other"), connect(host="db.other"), connect(ca="missing")):
        assert got["error"] == "permission" and "certificate" in got["text"], got


def test_nobody_there_is_worth_another_try(servers):
    server = servers.new(15).start()
    conninfo = server.conninfo
    server.stop()
    assert one("identify", conninfo)["error"] == "remote"
    got = one("identify", "host=127.0.0.1 port=1 user=x")
    assert got["error"] == "remote" and "127.0.0.1:1" in got["text"]


def test_a_dead_first_host_does_not_eat_the_time_of_the_second(servers):
    server = servers.new(15).start()
    with Fake("15.1", silent=True) as dead:
        conninfo = "host=127.0.0.1,127.0.0.1 port=%d,%d user=postgres" % (dead.port, server.port)
        begun = time.monotonic()
        for kind in ([], ["repl"]):
            assert one("identify", conninfo, *kind, env={"PG_PROBE_TIMEOUT": "3"})["sysid"] == server.sysid
        assert time.monotonic() - begun < 6
        got = one("identify", dead.conninfo, env={"PG_PROBE_TIMEOUT": "1"})
        assert got["error"] == "remote" and "no answer in time" in got["text"]


def test_of_several_hosts_the_one_with_the_wanted_role_is_taken(servers):
    primary = servers.new(15).start()
    standby = servers.clone(primary).start()
    both = "host=127.0.0.1,127.0.0.1 port=%d,%d user=postgres target_session_attrs=" % (
        primary.port, standby.port)
    assert one("identify", both + "prefer-standby")["standby"]
    assert not one("identify", both + "read-write")["standby"]
    standby.stop()
    assert not one("identify", both + "prefer-standby")["standby"]
    got = one("identify", both + "standby")
    assert got["text"].count("tried") == 2


def test_the_wish_to_stop_is_heard_while_connecting():
    with Fake("15.1", silent=True) as dead:
        p = Probe("identify", dead.conninfo)
        time.sleep(0.5)
        p.stop()
        assert p.end()[0]["error"] == "cancelled"
        assert p.seconds < 3


def test_the_wish_to_stop_ends_a_statement_on_the_server_too(servers):
    server = servers.new(15).start()
    p = Probe("sql", server.conninfo, "SELECT pg_sleep(100)")
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(100)'" \
              " AND application_name = 'ffdr'"
    eventually(lambda: server.value(running) == 1, what="the statement")
    p.stop()
    assert p.end()[0]["error"] == "cancelled"
    eventually(lambda: server.value(running) == 0, 5, what="its end")


def test_old_servers_are_refused_by_name_and_newer_ones_noted():
    with Fake("13.4") as old:
        got = one("note", old.conninfo, "repl")
        assert got["error"] == "unsupported" and "13.4" in got["text"] and "14" in got["text"]
    with Fake("19.1") as new:
        got = one("note", new.conninfo, "repl")
        assert got["version"] == 190001 and "19.1" in got["note"]


def test_settings_of_a_role_do_not_reach_our_session(servers):
    server = servers.new(15).start()
    server.sql("ALTER ROLE postgres SET statement_timeout = '1s'")
    server.sql("ALTER ROLE postgres SET search_path = evil, pg_catalog")
    server.sql("CREATE SCHEMA evil")
    server.sql("CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'")
    assert not one("identify", server.conninfo)["standby"]
    assert one("sql", server.conninfo, "SELECT pg_sleep(1.3)::text")["rows"] == [[""]]


def test_parameters_are_values_and_nulls_are_nulls(servers):
    server = servers.new(15).start()
    got = one("sql", server.conninfo, "SELECT $1::text, NULL", "'; DROP TABLE x; --")
    assert got == {"rows": [["'; DROP TABLE x; --", None]]}
    got = one("sql", server.conninfo, "DO $$ BEGIN RAISE 'no' USING DETAIL = 'why', HINT = 'do'; END $$")
    assert "\n  detail" in got["text"] and "\n  hint" in got["text"] and got["state"] == "P0001"


def test_a_lost_connection_is_remote(servers):
    server = servers.new(15).start()
    got = one("sql", server.conninfo, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert got["error"] == "remote" and got["state"] == "57P01"


def test_what_answers_but_is_no_postgres_is_an_error():
    s = socket.create_server(("127.0.0.1", 0))
    p = Probe("identify", "host=127.0.0.1 port=%d user=x sslmode=disable" % s.getsockname()[1])
    c = s.accept()[0]
    c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    c.close()
    s.close()
    got = p.end()
    assert got[0]["error"] == "remote" and len(got) == 1


def test_the_password_is_not_in_the_process_list(guarded):
    conninfo = tcp(guarded, user="ffdr", dbname="postgres")
    p = Probe("sql", conninfo, "SELECT pg_sleep(2)::text", env={"PG_PROBE_PASSWORD": SECRET})
    time.sleep(0.5)
    with open("/proc/%d/cmdline" % p.process.pid, "rb") as f:
        assert SECRET.encode() not in f.read()
    assert p.end() == [{"rows": [[""]]}]
