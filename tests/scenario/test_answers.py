"""What a program that runs ffdr can rely on: one object, and the same code for the same trouble."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import CONFIGURATION, DEGRADED, DONE, LATER, REFUSED, USAGE, VERIFY, Site, program
import trees


@pytest.mark.parametrize("args, status", [
    ([], USAGE),
    (["nonsense"], USAGE),
    (["key"], USAGE),
    (["key", "nonsense"], USAGE),
    (["backup"], USAGE),
    (["backup", "vol.data", "--bogus"], USAGE),
    (["backup", "vol.data", "-x"], USAGE),
    (["backup", "vol.other"], USAGE),
    (["verify", "--limit", "-1s"], USAGE),
    (["restore", "vol.data", "--to"], USAGE),
    (["list", "vol.data", "--config"], USAGE),
    (["--version", "--nonsense"], USAGE),
    (["export", "vol.data"], USAGE),
    (["help", "nonsense"], USAGE),
    (["help"], DONE),
    (["help", "backup"], DONE),
    (["help", "--man", "ffdr.1"], DONE),
    (["help", "--completion", "bash"], DONE),
    (["--help"], DONE),
    (["backup", "--help"], DONE),
    (["version"], DONE),
    (["list"], DONE),
    (["config", "show"], DONE),
])
def test_every_end_is_one_object(site, args, status):
    for argv in (["--json"] + args, args + ["--json"]):
        if argv[-2:-1] in (["--config"], ["--to"]):
            continue # there it is a file's name
        result = site.run(*argv, status=status)
        answer = json.loads(result.out)
        assert isinstance(answer, dict) and ("error" in answer) == (status != DONE), result
        if status != DONE:
            assert answer["error"]["kind"] in ("usage", "not-found") and answer["error"]["message"]
            assert result.err.startswith("ffdr: ")


def test_both_ways_at_once_are_refused(site):
    result = site.run("list", "--json", "--events", status=USAGE)
    assert "--events" in result.json()["error"]["message"]


def test_events_are_all_of_them_lines(site):
    for args, status in ((["list", "--events"], DONE), (["--events", "nonsense"], USAGE),
                         (["backup", "--events"], USAGE), (["help", "--events"], DONE)):
        lines = site.run(*args, status=status).out.splitlines()
        assert lines and json.loads(lines[-1])["event"] == ("result" if status == DONE else "error")


@pytest.mark.parametrize("words, there, not_there", [
    (["key"], ["key list", "key rotate", "key escrow-test"], "backup"),
    (["key", "rotate"], ["usage: ffdr key rotate", "--signing"], "escrow-test"),
    (["config"], ["config show"], "backup"),
])
def test_help_knows_commands_of_two_words_and_their_first_word(site, words, there, not_there):
    text = site.run("help", *words).out
    assert all(word in text for word in there) and not_there not in text, text
    assert site.json("help", *words)["text"] == text


def test_help_is_still_text_for_people(site):
    assert site.run("help").out.startswith("usage: ffdr COMMAND")
    assert site.run("help", "backup").out.startswith("usage: ffdr backup")


def test_a_manifest_of_another_repository_is_damage_everywhere(site, tmp_path):
    site.backup()
    other = Site(os.path.join(tmp_path, "other"))
    trees.make_plain(other.source)
    foreign = other.init().backup()
    shutil.copy(other.tier("local", "snap", foreign), site.tier("local", "snap", "vol.data"))
    for args in (["gc"], ["verify"], ["show", foreign], ["restore", foreign, "--to", "out"]):
        result = site.run(*args, status=VERIFY)
        assert "belongs to another repository" in result.text, result


@pytest.mark.parametrize("args", [["list", "vol.dada"], ["verify", "vol.dada"], ["copy", "vol.dada"],
                                  ["expire", "vol.dada"], ["verify", "--repair", "vol.dada"]])
def test_a_source_that_is_nowhere_is_a_slip(site, args):
    site.backup()
    result = site.run(*args, status=USAGE)
    assert "there is no source 'vol.dada', did you mean 'vol.data'?" in result.err, result


@pytest.mark.parametrize("args", [["show", ""], ["restore", "", "--to", "out"], ["export", ""],
                                  ["restore", "vol.data", "--to", "out", "--path", ""],
                                  ["export", "vol.data", "--path", ""]])
def test_an_empty_word_is_never_everything(site, args):
    site.backup()
    result = site.run(*args, status=USAGE)
    assert "empty" in result.err, result
    assert not os.path.exists(site.path("out"))


def test_a_list_that_could_not_be_written_is_told(site):
    site.backup()
    shutil.rmtree(site.path("state"))  # so that a note comes after the table
    with open("/dev/full", "w", encoding="utf-8") as full:
        child = subprocess.run([program(), "list"], stdout=full, stderr=subprocess.PIPE, text=True,
                               env=site.environment(), check=False)
    assert child.returncode == LATER, child
    assert "the output could not be written" in child.stderr


def test_missing_bytes_are_told_as_such_by_a_copy(site):
    site.backup()
    for name in site.objects("local", "pack/"):
        os.unlink(site.tier("local", name))
    site.run("copy", "--to", "dr", "vol.data", status=VERIFY)


def test_nothing_that_old_is_a_name_that_is_not_there(site):
    site.backup()
    result = site.run("restore", "vol.data", "--at", "2001-01-01", "--to", "out", status=USAGE)
    assert "as old as" in result.err


def test_progress_never_counts_a_byte_twice(site):
    trees.write(os.fsencode(os.path.join(site.source, "large")), trees.noise(30_000_000, 3))
    trees.finish(os.fsencode(site.source))
    site.backup()
    size = sum(os.lstat(os.path.join(at, f)).st_size
               for at, _, files in os.walk(site.source) for f in files)
    lines = [json.loads(line) for line in
             site.run("backup", "vol.data", "--events", "--read", "all").out.splitlines()]
    done = [line["done"] for line in lines if line["event"] == "progress"]
    assert done and max(done) <= size


def test_a_key_that_a_command_does_not_give_is_the_configuration(site):
    site.write_config(keys="kek = command:false\nsigning = file:%s\n" % site.path("etc", "signing.pem"))
    site.run("list", "--refresh", status=CONFIGURATION)


def test_a_variable_that_is_not_set_is_told_with_what_to_do(bare):
    bare.write_config(keys="kek = passphrase:env:NOT_SET\nsigning = file:%s\n" %
                      bare.path("etc", "signing.pem"))
    for args in (["init"], ["backup", "vol.data"]):
        result = bare.run(*args, status=CONFIGURATION)
        assert "the environment variable 'NOT_SET' is not set" in result.err, result
        assert re.search(r"\n  fix +set that variable for ffdr", result.err), result
        assert "`ffdr init` makes it" not in result.err, result


def test_a_tier_that_is_named_and_has_only_an_older_one_is_told(site):
    site.backup()
    site.run("copy")
    site.write_config(tier={"regional": "keep = 7d\ntakes = weekly"})
    newest = site.backup()
    result = site.run("restore", "vol.data", "--tier", "regional", "--to", site.path("out"),
                      status=DEGRADED)
    assert newest + " is newer, and is not on 'regional'" in result.err, result


def test_of_a_tree_there_is_no_wal_that_could_be_known(site):
    site.backup()
    lines = re.findall("^vol.data +local .*", site.run("exposure", "vol.data", status=None).out, re.MULTILINE)
    assert len(lines) == 1 and re.search(r" - +-", lines[0]) and "unknown" not in lines[0], lines


def test_a_day_means_its_end(site):
    newest = site.backup()
    day = "%s-%s-%s" % re.match(r"vol.data/(\d{4})(\d\d)(\d\d)T", newest).groups()
    result = site.run("restore", "vol.data", "--at", day, "--to", site.path("out"))
    assert newest in result.out, result


def test_a_time_goes_with_a_source(site):
    newest = site.backup()
    result = site.run("restore", newest, "--at", "2026-01-01", "--to", "out", status=USAGE)
    assert "--at goes with a source" in result.err, result
    result = site.run("backup", "all", "vol.data", status=USAGE)
    assert "'all' stands alone" in result.err, result


def test_what_is_given_up_needs_a_reason_and_says_its_own(site):
    newest = site.backup()
    with open(site.tier("local", "snap/" + newest), "r+b") as f:
        f.truncate(20)
    site.run("expire", "--discard", newest, status=USAGE)
    result = site.run("expire", "--discard", newest, "--why", "trial")
    assert "it cannot be read, and is given up" in result.out and "retired" not in result.out


def test_what_only_lacks_its_key_is_given_up_by_who_names_that_key(site):
    site.backup()
    time.sleep(1.1)  # of two epochs in one second no order is promised
    epoch = site.json("key", "rotate")["epoch"]
    newest = site.backup()
    for tier in site.tiers:
        for name in site.objects(tier, "key/%s.k" % epoch):
            os.unlink(site.tier(tier, name))
    for more in ([], ["--lost-key", "00000000"]):
        result = site.run("expire", "--discard", newest, "--why", "trial", *more, status=REFUSED)
        assert "is whole on 'local'" in result.err and "--lost-key " + epoch in result.err, result
    gc = site.run("gc", status=None)
    assert "--discard" in gc.err and "verify --repair" not in gc.err, gc
    site.run("expire", "--lost-key", epoch, status=USAGE)
    assert os.path.exists(site.tier("local", "snap", newest))
    site.run("expire", "--discard", newest, "--why", "trial", "--lost-key", epoch)
    assert not os.path.exists(site.tier("local", "snap", newest))


def test_check_looks_at_who_may_write_the_configuration(site):
    os.chmod(site.config, 0o666)
    lines = site.json("check", status=CONFIGURATION)["lines"]
    assert any("everybody may write" in line["text"] for line in lines if line["verdict"] == "FAIL")


def test_check_warns_of_a_passphrase_that_can_be_guessed(bare):
    bare.write_config(keys="kek = passphrase:env:PP\nsigning = file:%s\n" %
                      bare.path("etc", "signing.pem"))
    for phrase, warned in (("short", True), ("a lot of words that nobody guesses", False)):
        lines = bare.json("check", status=None, env={"PP": phrase})["lines"]
        assert any("can be guessed" in line["text"] for line in lines) is warned


def test_the_public_half_is_not_called_a_secret(site):
    signing = site.path("etc", "signing.pem")
    public = site.path("etc", "public.pem")
    subprocess.run(["openssl", "pkey", "-in", signing, "-pubout", "-out", public], check=True)
    os.chmod(public, 0o644)
    site.write_config(keys="kek = file:%s\nsigning = file:%s\nescrow = %s\n" % (
        site.path("etc", "kek"), public, site.path("etc", "escrow.pem")))
    result = site.run("backup", "vol.data", status=CONFIGURATION)
    assert "only the public half" in result.err and "holds a secret" not in result.err, result
