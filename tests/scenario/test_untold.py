"""What a store does not tell, because it refuses or falls silent, is not known: it is never taken for absent, overwritten or silent."""

import os
import time

import pytest

import trees
from conftest import DEGRADED, UNREACHABLE
from s3 import Site, before_fixture, versitygw_fixture  # noqa: F401

DENIED = ("status", 403, "AccessDenied")
SNAPSHOTS, ALL = "prefix=prod%2Fsnap", "prefix=prod"


@pytest.fixture(name="site")
def site_fixture(versitygw, before, tmp_path):
    """A directory and a bucket behind a proxy, with one verified snapshot on both; site.proxy, site.made."""
    proxy = before(versitygw)
    site = Site(tmp_path, {"regional": (versitygw.bucket(), proxy.url)}, tiers=("local", "regional"),
                lines={"local": "keep = 7d\nrto = 1h", "regional": "keep = 7d\nrto = 1h"})
    trees.make_plain(site.source)
    trees.finish(os.fsencode(site.source))
    site.init()
    site.made = site.backup()
    site.run("copy")
    site.run("verify")
    site.proxy = proxy
    return site


def assert_unknown(site, tier="regional", answers=True):
    """Status knows nothing of that tier, says so wherever it would say what is there, and says why."""
    found = site.json("status", status=DEGRADED)
    line, = [x for x in found["lines"] if x["tier"] == tier]
    at, = [x for x in found["tiers"] if x["tier"] == tier]
    assert (line["newest"], line["newest_known"], line["owed"], line["verified"], line["verified_known"]) == (None, False, None, None, False)
    assert line["answers"] == at["answers"] == answers and at["why"], (line, at)
    attention, = found["attention"]
    how = "cannot be used" if answers else "does not answer"
    assert attention.startswith("'%s' %s: " % (tier, how)) and attention.split(": ", 1)[1] in at["why"]["message"], (attention, at)
    other, = [x for x in found["lines"] if x["tier"] != tier]
    assert other["newest"] == site.made and other["owed"] == 0 and other["verified_known"]
    return attention


def test_a_tier_that_falls_silent_while_it_is_looked_at_is_not_shown_as_empty(site):
    site.proxy.fault(("status", 503, "SlowDown"), query=SNAPSHOTS, nth=2, times=None)
    began = time.monotonic()
    assert_unknown(site, answers=False)
    assert time.monotonic() - began < 50  # it is waited for once


def test_a_tier_that_refuses_its_listing_is_not_shown_as_empty(site):
    site.proxy.fault(DENIED, query=SNAPSHOTS, times=None)
    assert "status 403" in assert_unknown(site)
    assert site.proxy.seen("GET", query=SNAPSHOTS)


def test_what_one_question_was_refused_is_not_known(site):
    """From the last listing on: what was told before stands."""
    site.proxy.forget()
    site.run("status")
    asked = len(site.proxy.seen("GET", query=SNAPSHOTS))
    site.proxy.fault(DENIED, query=SNAPSHOTS, nth=asked, times=None)
    line, = [x for x in site.json("status", status=DEGRADED)["lines"] if x["tier"] == "regional"]
    assert (line["newest"], line["owed"]) == (site.made, None), line


def test_a_tier_that_shows_nothing_of_itself_answers_and_cannot_be_used(site):
    site.proxy.fault(DENIED, query=ALL, times=None)
    assert "status 403" in assert_unknown(site)
    result = site.run("verify", "--tier", "regional", status=None)
    assert "'regional' cannot be used: " in result.err and "status 403" in result.err and "reached" not in result.err, result


def test_a_right_that_is_lacking_is_not_told_as_a_repository_that_was_overwritten(site):
    """What can be listed and not be read: nothing is known of it, and nothing was found bad."""
    site.proxy.fault(DENIED, method="GET", path="/prod/", times=None)
    assert "status 403" in assert_unknown(site)
    for words in (("verify",), ("restore", "vol.data", "--to", site.path("restored"))):
        result = site.run(*words, status=None)
        assert result.status in (DEGRADED, UNREACHABLE), result
        assert "status 403" in result.err and "overwrote" not in result.err and "bad or missing" not in result.err, result


def checked(site):
    found = site.json("check", status=None)["lines"]
    assert not [x for x in found if x["what"] == "time regional"], found
    return [x["text"] for x in found if x["what"] == "tier regional" and x["verdict"] == "FAIL"]


def test_check_fails_for_a_tier_that_refuses_its_listing_and_guesses_nothing_of_it(site):
    """What it puts there to try is another matter: that may be allowed."""
    site.proxy.forget()
    site.run("check", status=None)
    asked = len(site.proxy.seen("GET", query=SNAPSHOTS))
    for nth in (1, asked):
        site.proxy.fault(DENIED, query=SNAPSHOTS, nth=nth, times=None)
        text, = checked(site)
        site.proxy.clear()
        assert text.startswith("its snapshots cannot be listed: ") and "status 403" in text, (nth, text)
        assert "for what begins with 'prod/snap/'" in text
