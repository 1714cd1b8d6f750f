"""The conformance suite of tests/backend on every S3 server that can be had: what a backend promises does not depend on whose store it is."""

import os
import re
import subprocess

import pytest

from s3 import each_fixture, fresh_server_fixture, minio_fixture, moto_fixture, radosgw_fixture, versitygw_fixture  # noqa: F401

SUITE = os.path.join(os.path.abspath(os.environ.get("FFDR_BUILDDIR", ".")), "tests", "backend", "test_backend")
SECONDS = 110
# Fewer sentences than these are not the suite.
LEAST = 12


def suite(server, **more):
    """What it says of S3: ({driver: sentences that hold}, those that do not, everything)."""
    if not os.path.exists(SUITE):
        pytest.skip("%s is not built (cmocka: libcmocka-dev)" % SUITE)
    bucket = server.bucket()
    env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "FFDR_TEST_S3": "%s/%s" % (server.endpoint, bucket.name),
           "AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret, **more}
    got = subprocess.run([SUITE], env=env, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    lines = re.findall(r"^(not )?ok \d+ - ((s3|libs3): .*)$", got.stdout, re.MULTILINE)
    good = {driver: [name for bad, name, d in lines if d == driver and not bad] for driver in ("s3", "libs3")}
    return good, [name for bad, name, _ in lines if bad], got


def test_every_sentence_of_the_suite_holds(each):
    good, bad, got = suite(each)
    assert bad == [], got.stdout + got.stderr
    assert len(good["s3"]) >= LEAST and got.returncode == 0
    if each.kind == "versitygw":
        assert good["libs3"] == [] and "refuses signature version 2" in got.stdout
    else:
        assert len(good["libs3"]) >= LEAST


def test_the_suite_can_fail(versitygw):
    """With a secret that is wrong nothing is stored."""
    good, bad, got = suite(versitygw, AWS_SECRET_ACCESS_KEY="x" * 40)
    assert good["s3"] == [] and bad and got.returncode != 0
