"""Tiers that are buckets: what goes in comes out, on every server, beside disks and other buckets, and a client that is not ours sees the
same objects."""

import base64
import hashlib
import ipaddress
import os
import shutil

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import trees
from conftest import CONFIGURATION, DEGRADED, DENIED, REFUSED
from s3 import (Site, each_fixture, fresh_server_fixture, in_days, minio_fixture, moto_fixture,  # noqa: F401
                radosgw_fixture, room, versitygw_fixture)

SHA256_HEX = 64


def away(site, tier):
    """The disk of a file: tier is gone."""
    shutil.move(site.tier(tier), site.path("away-" + tier))


def test_a_bucket_is_a_tier_like_any_other(each, tmp_path):
    """All of a tier's life: init, two backups, list, verify, copy from a disk, restore without that disk, expire, gc."""
    bucket = each.bucket()
    site = Site(tmp_path, {"regional": bucket}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    site.init()
    first = site.backup()
    site.run("copy", "--to", "regional", first)
    trees.write(os.fsencode(os.path.join(site.source, "d1", "new")), trees.noise(300_000, 9))
    trees.finish(os.fsencode(site.source))
    second = site.backup()
    site.run("copy", "--to", "regional", second)
    assert sorted(s["snapshot"] for s in site.json("list", "vol.data")["snapshots"]
                  if "regional" in s["tiers"]) == sorted([first, second])
    site.run("verify", "--level", "2", "--tier", "regional")
    before = site.scan()
    assert same_objects(site, "local", "regional")
    away(site, "local")
    site.assert_restores(before, second, status=DEGRADED)
    shutil.move(site.path("away-local"), site.tier("local"))
    site.run("check", status=None)
    site.run("gc")


def same_objects(site, disk, bucket):
    """Names that both tiers have hold the same bytes, and no pack or snapshot is on one alone."""
    near, far = set(site.objects(disk)), set(site.objects(bucket))
    for name in near & far:
        if not name.startswith(("gc/", "beat/", "rec/")):
            with open(site.tier(disk, name), "rb") as f:
                assert f.read() == site.bucket(bucket).get(site.prefix + "/" + name), name
    alone = [n for n in near ^ far if n.startswith(("pack/", "snap/", "key/"))]
    assert alone == []
    return near & far


def test_backups_go_to_a_bucket_first_where_there_is_no_disk(minio, versitygw, tmp_path):
    """And from there to a bucket of somebody else's make."""
    site = Site(tmp_path, {"regional": minio.bucket(), "dr": versitygw.bucket()}, tiers=("regional", "dr"))
    trees.make_plain(site.source)
    site.init()
    snapshot = site.backup()
    site.run("copy", "--to", "dr", snapshot)
    near, far = set(site.objects("regional", "pack/")), set(site.objects("dr", "pack/"))
    assert near == far and near
    for name in near:
        assert site.bucket("regional").get("prod/" + name) == site.bucket("dr").get("prod/" + name)
    before = site.scan()
    minio.client().delete_objects(Bucket=site.bucket("regional").name, Delete={
        "Objects": [{"Key": n} for n in site.bucket("regional").names()]})
    site.assert_restores(before, snapshot, status=None)


def test_a_pack_is_named_by_its_hash_and_the_store_was_told_that_hash(versitygw, minio, tmp_path):
    """An independent client reads names, bytes and the checksum that the store keeps."""
    for n, server in enumerate((versitygw, minio)):
        os.makedirs(tmp_path / str(n))
        site = Site(tmp_path / str(n), {"regional": server.bucket()}, tiers=("regional",))
        trees.make_plain(site.source)
        site.init()
        site.backup()
        packs = site.bucket("regional").names("prod/pack/")
        assert packs
        for name in packs:
            data = site.bucket("regional").get(name)
            digest = hashlib.sha256(data)
            assert os.path.basename(name).startswith(digest.hexdigest()[:SHA256_HEX])
            head = site.bucket("regional").head(name, ChecksumMode="ENABLED")
            assert head["ContentLength"] == len(data)
            assert base64.b64decode(head["ChecksumSHA256"]) == digest.digest()


def test_two_prefixes_of_a_bucket_do_not_see_each_other(versitygw, tmp_path):
    bucket = versitygw.bucket()
    sites = []
    for name in ("prod", "prod2"):
        os.makedirs(tmp_path / name)
        site = Site(tmp_path / name, {"regional": bucket}, tiers=("regional",), prefix=name)
        trees.make_plain(site.source)
        sites.append((site.init(), site.backup()))
    assert [s["snapshot"] for s in sites[0][0].json("list")["snapshots"]] == [sites[0][1]]
    for site, snapshot in sites:
        site.assert_restores(site.scan(), snapshot)


def test_only_what_may_lie_cold_goes_into_the_class_of_the_tier(radosgw, tmp_path):
    """Packs do; what is read to find them does not."""
    site = Site(tmp_path, {"regional": radosgw.bucket()}, tiers=("regional",),
                lines={"regional": "keep = 7d\nclass = STANDARD_IA"})
    trees.make_plain(site.source)
    site.init()
    site.backup()
    classes = {}
    for page in site.bucket("regional").s3.get_paginator("list_objects_v2").paginate(Bucket=site.bucket("regional").name):
        for o in page["Contents"]:
            classes.setdefault(o["Key"].split("/")[1], set()).add(o["StorageClass"])
    assert classes["pack"] == {"STANDARD_IA"}
    assert set().union(*(c for kind, c in classes.items() if kind != "pack")) == {"STANDARD"}


def test_a_class_that_the_store_does_not_know_is_refused_by_init_and_nothing_is_stored(minio, tmp_path):
    site = Site(tmp_path, {"regional": minio.bucket()}, tiers=("regional",),
                lines={"regional": "keep = 7d\nclass = GLACIER_TYPO"})
    site.lend_escrow()
    result = site.run("init", status=None)
    assert result.status == REFUSED and "class" in result.err, result
    assert site.objects("regional", "snap/") == []


# ---- who we are ----

def test_a_wrong_secret_is_told_as_that(versitygw, tmp_path):
    site = Site(tmp_path, {"regional": versitygw.bucket()}, tiers=("regional",))
    trees.make_plain(site.source)
    site.init()
    site.backup()
    with open(site.path("etc", "regional-secret"), "w", encoding="utf-8") as f:
        f.write("x" * 40)
    result = site.run("backup", "vol.data", status=None)
    assert result.status not in (0, DEGRADED) and "regional" in result.err, result
    assert "x" * 40 not in result.text
    assert result.status == DENIED, result


def test_keys_come_from_the_environment_or_a_profile_where_the_configuration_has_none(versitygw, tmp_path):
    site = Site(tmp_path, {"regional": versitygw.bucket()}, tiers=("regional",))
    trees.make_plain(site.source)
    with open(site.config, encoding="utf-8") as f:
        lines = [line for line in f if not line.startswith(("access-key", "secret-key"))]
    with open(site.config, "w", encoding="utf-8") as f:
        f.writelines(lines)
    site.lend_escrow()
    assert site.run("init", status=None, env={"HOME": site.top}).status != 0
    keys = {"AWS_ACCESS_KEY_ID": versitygw.key, "AWS_SECRET_ACCESS_KEY": versitygw.secret, "HOME": site.top}
    site.run("init", env=keys)
    shared = site.path("etc", "credentials")
    with open(shared, "w", encoding="utf-8") as f:
        f.write("[default]\naws_access_key_id = no\naws_secret_access_key = no\n[night]\naws_access_key_id = %s\n"
                "aws_secret_access_key = %s\n" % (versitygw.key, versitygw.secret))
    os.chmod(shared, 0o600)
    snapshot = site.backup(env={"AWS_SHARED_CREDENTIALS_FILE": shared, "AWS_PROFILE": "night", "HOME": site.top})
    site.assert_restores(site.scan(), snapshot, env=keys)


# ---- how it is reached ----

def test_https_with_an_authority_of_our_own(fresh_server, certificates, tmp_path):
    server = fresh_server("versitygw", certificates)
    bucket = Bare(server)
    site = Site(tmp_path, {"regional": bucket}, tiers=("regional",),
                lines={"regional": "keep = 7d\nca = %s" % os.path.join(certificates, "ca.crt")})
    trees.make_plain(site.source)
    site.init()
    site.assert_restores(site.scan(), site.backup())
    # Nobody is believed who has no certificate of that authority, and nothing is asked in clear.
    site.lines = {}
    site.write_config()
    result = site.run("backup", "vol.data", status=None)
    assert result.status not in (0, DEGRADED) and "certificate" in result.err, result


class Bare:
    """A bucket made with a client that asks for no certificate."""

    def __init__(self, server):
        self.server, self.name = server, "tls-bucket"
        boto3.client("s3", endpoint_url=server.endpoint, aws_access_key_id=server.key, verify=False, region_name="us-east-1",
                     aws_secret_access_key=server.secret).create_bucket(Bucket=self.name)


@pytest.fixture(name="certificates")
def certificates_fixture():
    """An authority and a server of it, as tests/services/s3.sh wants them."""
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject, issuer, public, private, extensions):
        builder = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer)).public_key(public)
                   .serial_number(x509.random_serial_number()).not_valid_before(in_days(-1)).not_valid_after(in_days(2)))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    with room() as top:
        files = {
            "ca.crt": certificate("authority", "authority", ca.public_key(), ca, [x509.BasicConstraints(True, None)]),
            "public.crt": certificate("server", "authority", key.public_key(), ca, [x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])]),
            "private.key": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                             serialization.NoEncryption())}
        for name, data in files.items():
            with open(os.path.join(top, name), "wb") as f:
                f.write(data)
            os.chmod(os.path.join(top, name), 0o644)
        os.chmod(top, 0o755)
        yield top


def test_the_bucket_may_stand_in_the_name_of_the_host(minio, tmp_path):
    """BUCKET.localhost is resolved by whoever keeps to RFC 6761."""
    bucket = minio.bucket()
    site = Site(tmp_path, {"regional": (bucket, "http://localhost:%d" % minio.port)}, tiers=("regional",),
                lines={"regional": "keep = 7d\nstyle = host"})
    trees.make_plain(site.source)
    site.init()
    site.assert_restores(site.scan(), site.backup())


def test_a_bucket_that_is_not_there_is_no_empty_tier(each, tmp_path):
    """As a directory that is not mounted: nothing is made, and it is said."""
    bucket = each.bucket()
    name, bucket.name = bucket.name, "no-such-bucket"
    site = Site(tmp_path, {"regional": bucket}, tiers=("regional",))
    site.lend_escrow()
    result = site.run("init", status=None)
    assert result.status not in (0, DEGRADED, CONFIGURATION) and "no-such-bucket" in result.err, result
    assert name in [b["Name"] for b in each.client().list_buckets()["Buckets"]]
