"""Real servers that speak S3, started by tests/services/s3.sh, with boto3 as the client that is not ours; and sites whose tiers
are buckets.

One server of a kind lives as long as the tests of a file; each test has buckets of its own. A test that harms a server
(`fresh_server`) has that of its own, too.
"""

import contextlib
import datetime
import os
import shutil
import subprocess
import tempfile
import time
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest

import conftest
import httpproxy

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICE = os.path.join(os.path.dirname(HERE), "services", "s3.sh")
KINDS = ("radosgw", "minio", "versitygw", "moto")
REGION = "us-east-1"


def service(*args, check=True, env=None):
    """Output of s3.sh."""
    got = subprocess.run([SERVICE, *map(str, args)], capture_output=True, text=True, check=False,
                         env={**os.environ, "FFDR_OWNER": str(os.getpid()), **(env or {})})
    if check and got.returncode != 0:
        raise RuntimeError("s3.sh %s: %s" % (" ".join(map(str, args)), got.stderr))
    return got.stdout.strip()


def need(kind):
    """Skips where that server cannot be had; with services required, a skip is a failure."""
    got = subprocess.run([SERVICE, "install", kind], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip("%s: %s" % (kind, got.stderr.strip() or "not to be had"))


class Server:
    """One of tests/services/s3.sh, in the directory `top`."""

    def __init__(self, kind, top, tls=None):
        self.kind, self.top, self.tls = kind, str(top), tls
        self.endpoint = self.key = self.secret = None

    # ---- life ----

    def start(self):
        env = {"FFDR_S3_TLS": self.tls} if self.tls else None
        said = dict(line.split(" ") for line in service("start", self.kind, self.top, env=env).splitlines())
        self.endpoint, self.key, self.secret = said["endpoint"], said["access-key"], said["secret-key"]
        return self

    def stop(self, *how):
        service("stop", self.top, *how)

    def kill(self):
        self.stop("kill")

    def pid(self, name=None):
        with open(os.path.join(self.top, (name or self.kind.rstrip("4")) + ".pid"), encoding="utf-8") as f:
            return int(f.read())

    def admin(self, *args):
        """radosgw-admin"""
        return service("admin", self.top, *args)

    @property
    def port(self):
        return int(self.endpoint.rsplit(":", 1)[1])

    # ---- talking ----

    def client(self, key=None, secret=None, seconds=60):
        """boto3, once: what it does not get it says at once, and silence ends after that many seconds."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=key or self.key,
            aws_secret_access_key=secret or self.secret, region_name=REGION,
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
                                          read_timeout=seconds, request_checksum_calculation="when_required", proxies={}))

    def await_writes(self, bucket, seconds=120):
        """Until it takes objects again: a store whose disk was away has to find itself first."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.client(seconds=5).put_object(Bucket=bucket.name, Key="alive", Body=b"yes")
                self.client(seconds=5).delete_object(Bucket=bucket.name, Key="alive")
                return
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                assert time.monotonic() < end, "%s does not come back" % self.kind
                time.sleep(0.5)

    def bucket(self, lock=False, versions=False):
        """A new one."""
        bucket = Bucket(self, "b-" + uuid.uuid4().hex[:12])
        self.client().create_bucket(Bucket=bucket.name, **({"ObjectLockEnabledForBucket": True} if lock else {}))
        if versions:
            self.client().put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    # ---- the disk below it ----

    def file(self, bucket, name):
        """versitygw: the plain file that an object is."""
        assert self.kind == "versitygw"
        return os.path.join(self.top, "data", bucket.name, name)

    def drive(self, n, *parts):
        """minio4: of 1 to 4."""
        return os.path.join(self.top, "d%d" % n, *parts)


def moment():
    """One that what was stored before and what comes after are both off by more than a second, the unit of some stores."""
    time.sleep(1.1)
    now = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(1.1)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def attempt(call, **kw):
    """Did the server let them?"""
    try:
        call(**kw)
        return True
    except botocore.exceptions.ClientError:
        return False


class Bucket:
    """As boto3 sees it."""

    def __init__(self, server, name):
        self.server, self.name, self.s3 = server, name, server.client()

    def names(self, prefix=""):
        """Of all objects, in order."""
        found = []
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            found += [o["Key"] for o in page.get("Contents", [])]
        return found

    def versions(self, prefix=""):
        """(name, version, is it a delete marker) of everything that was ever stored and is still there."""
        found = []
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            found += [(v["Key"], v["VersionId"], False) for v in page.get("Versions", [])]
            found += [(v["Key"], v["VersionId"], True) for v in page.get("DeleteMarkers", [])]
        return found

    def get(self, name, **more):
        return self.s3.get_object(Bucket=self.name, Key=name, **more)["Body"].read()

    def put(self, name, data, **more):
        return self.s3.put_object(Bucket=self.name, Key=name, Body=data, **more)

    def head(self, name, **more):
        return self.s3.head_object(Bucket=self.name, Key=name, **more)

    def delete(self, name, **more):
        return self.s3.delete_object(Bucket=self.name, Key=name, **more)

    def flip(self, name):
        """One wrong bit, stored as whoever may write there could."""
        data = bytearray(self.get(name))
        data[len(data) // 2] ^= 0x10
        self.put(name, bytes(data))


def refused(call, *args, **kw):
    """The status with which a server refuses it."""
    with pytest.raises(botocore.exceptions.ClientError) as how:
        call(*args, **kw)
    return how.value.response["ResponseMetadata"]["HTTPStatusCode"]


def in_days(days):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


class Site(conftest.Site):
    """A configuration of which some tiers are buckets: buckets = {tier: Bucket}, or (Bucket, url of a proxy before it)."""

    def __init__(self, top, buckets, tiers=conftest.TIERS, prefix="prod", lines=None):
        self.buckets = {t: b if isinstance(b, tuple) else (b, b.server.endpoint) for t, b in buckets.items()}
        self.prefix, self.lines = prefix, lines or {}
        super().__init__(top, tiers)

    def write_config(self, more="", volume="", tier=None, keys=None):
        for name, (bucket, _) in self.buckets.items():
            for what, value in (("access", bucket.server.key), ("secret", bucket.server.secret)):
                path = self.path("etc", "%s-%s" % (name, what))
                with open(path, "w", encoding="utf-8") as f:
                    os.fchmod(f.fileno(), 0o600)
                    f.write(value)
        super().write_config(more, volume, {**self.lines, **(tier or {})}, keys)

    def place(self, name):
        if name not in self.buckets:
            return super().place(name)
        bucket, endpoint = self.buckets[name]
        return "s3://%s/%s\nendpoint = %s\nregion = %s\naccess-key = file:%s\nsecret-key = file:%s" % (
            bucket.name, self.prefix, endpoint, REGION,
            self.path("etc", name + "-access"), self.path("etc", name + "-secret"))

    def bucket(self, name):
        return self.buckets[name][0]

    def objects(self, tier, prefix=""):
        if tier not in self.buckets:
            return super().objects(tier, prefix)
        top = self.prefix + "/"
        return [n[len(top):] for n in self.bucket(tier).names(top + prefix)]


# ---- fixtures ----

@contextlib.contextmanager
def room():
    """A directory that the servers' user reaches; pytest's own are closed."""
    top = tempfile.mkdtemp(prefix="ffdr-s3-")
    os.chmod(top, 0o711)
    try:
        yield top
    finally:
        shutil.rmtree(top)


def lend(kind):
    need(kind)
    with room() as top:
        server = Server(kind, os.path.join(top, kind))
        try:
            yield server.start()
        finally:
            server.kill()


@pytest.fixture(scope="session", name="radosgw")
def radosgw_fixture():
    yield from lend("radosgw")


@pytest.fixture(scope="session", name="minio")
def minio_fixture():
    yield from lend("minio")


@pytest.fixture(scope="session", name="versitygw")
def versitygw_fixture():
    yield from lend("versitygw")


@pytest.fixture(scope="session", name="moto")
def moto_fixture():
    yield from lend("moto")


@pytest.fixture(name="each", params=KINDS)
def each_fixture(request):
    """Every kind of server, one after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture(name="fresh_server")
def fresh_server_fixture():
    """kind -> a server that this test may ruin."""
    with room() as top:
        made = []

        def make(kind, tls=None):
            need(kind)
            server = Server(kind, os.path.join(top, str(len(made))), tls)
            made.append(server)
            return server.start()
        try:
            yield make
        finally:
            for server in made:
                server.kill()


@pytest.fixture(name="before")
def before_fixture():
    """server -> a proxy before it that spoils what it is told to."""
    made = []

    def make(server):
        proxy = httpproxy.HttpProxy(server.port)
        made.append(proxy)
        return proxy
    yield make
    for proxy in made:
        proxy.close()
