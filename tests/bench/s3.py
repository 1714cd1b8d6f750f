#!/usr/bin/env python3
"""Packs to a bucket and back: ffdr beside curl, boto3 and rclone, in turn, against one versitygw on tmpfs, in one run.

ffdr copies a snapshot between a disk and a bucket, every byte compared with its hash on the way; the others move the same pack files. curl
gets presigned urls and hashes nothing: the floor for whoever uses libcurl. Client and server share the processors, so CPU seconds of
both are beside the time. Then the memory of a run that lists many objects. Needs boto3: the scenarios' environment has it.

    s3.py [--ffdr PATH] [--dir DIR] [--mib 2048] [--runs 5] [--objects 100000] [--markdown FILE]
"""

import argparse
import concurrent.futures
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.config

SERVICE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "services", "s3.sh")
MEMORY_MIB = 150
AT_ONCE = 4
BOTO_THREADS = 8


class Server:
    def __init__(self, top):
        self.top = top
        said = subprocess.run([SERVICE, "start", "versitygw", top], check=True, capture_output=True, text=True,
                              env={**os.environ, "FFDR_OWNER": str(os.getpid())}).stdout
        self.at = dict(line.split(" ") for line in said.splitlines())
        with open(os.path.join(top, "versitygw.pid"), encoding="utf-8") as f:
            self.pid = int(f.read())
        self.s3 = client(self.at)

    def cpu(self):
        with open("/proc/%d/stat" % self.pid, encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def empty(self, bucket):
        folder = os.path.join(self.top, "data", bucket)
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        self.s3.create_bucket(Bucket=bucket)

    def stop(self):
        subprocess.run([SERVICE, "stop", self.top, "kill"], check=True)


def client(at):
    return boto3.client("s3", endpoint_url=at["endpoint"], aws_access_key_id=at["access-key"],
                        aws_secret_access_key=at["secret-key"], region_name="us-east-1", config=botocore.config.Config(
                            signature_version="s3v4", s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                            max_pool_connections=BOTO_THREADS, proxies={}))


class Bench:
    def __init__(self, args, place):
        self.args, self.place = args, place
        self.server = Server(os.path.join(place, "server"))
        self.figures = {}

    def path(self, *parts):
        return os.path.join(self.place, *parts)

    def configure(self):
        at = self.server.at
        os.makedirs(self.path("keys"), mode=0o700)
        for name in ("disk", "back", "tree"):
            os.makedirs(self.path(name))
        for name in ("access-key", "secret-key"):
            with open(self.path("keys", name), "w", encoding="utf-8") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write(at[name])
        with open(self.path("ffdr.ini"), "w", encoding="utf-8") as f:
            f.write("[ffdr]\nstate = {0}/state\n[keys]\nkek = file:{0}/keys/kek\nsigning = file:{0}/keys/signing.pem\nescrow =\n"
                    "[tier disk]\nurl = file://{0}/disk\nkeep = 7d\n"
                    "[tier bucket]\nurl = s3://ffdr/prod\nendpoint = {1}\naccess-key = file:{0}/keys/access-key\n"
                    "secret-key = file:{0}/keys/secret-key\nkeep = 7d\n"
                    "[tier back]\nurl = file://{0}/back\nkeep = 7d\n[volume tree]\npath = {0}/tree\n".format(
                        self.place, at["endpoint"]))

    def ffdr(self, *words):
        return [self.args.ffdr, *words, "--config", self.path("ffdr.ini")]

    def timed(self, name, action):
        """action: an argument vector, or a function."""
        before, start = self.server.cpu(), time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                if callable(action):
                    action()
                    os._exit(0)
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, 1)
                os.execvp(action[0], action)
            finally:
                os._exit(127)
        _, status, used = os.wait4(pid, 0)
        wall = time.monotonic() - start
        if status != 0:
            sys.exit("%s failed" % name)
        self.figures.setdefault(name, []).append(
            (wall, used.ru_utime + used.ru_stime, self.server.cpu() - before, used.ru_maxrss / 1024))

    # ---- what is moved ----

    def make(self):
        rng = random.Random(1)
        for n in range(self.args.mib // 32):
            with open(self.path("tree", "f%03d" % n), "wb") as f:
                for _ in range(32):
                    f.write(rng.randbytes(1 << 20))
        self.server.empty("ffdr")
        for words in (("init",), ("backup", "vol.tree")):
            subprocess.run(self.ffdr(*words), check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.path("tree"))
        os.makedirs(self.path("tree"))
        packs = []
        for top, _, names in os.walk(self.path("disk", "pack")):
            packs += [os.path.join(top, n) for n in names]
        return sorted(packs)

    def curl(self, packs, up):
        with open(self.path("curl"), "w", encoding="utf-8") as f:
            for n, pack in enumerate(packs):
                url = self.server.s3.generate_presigned_url(
                    "put_object" if up else "get_object", Params={"Bucket": "others", "Key": os.path.basename(pack)})
                f.write('url = "%s"\n' % url)
                f.write('upload-file = "%s"\n' % pack if up else 'output = "%s"\n' % self.path("down", str(n)))
                f.write("next\n" if n + 1 < len(packs) else "")
        return ["curl", "-sSf", "--no-progress-meter", "-Z", "--parallel-max", str(AT_ONCE), "--parallel-immediate", "-K", self.path("curl")]

    def boto(self, packs, up):
        def act():
            s3 = client(self.server.at)

            def one(pack):
                key = os.path.basename(pack)
                if up:
                    with open(pack, "rb") as f:
                        s3.put_object(Bucket="others", Key=key, Body=f)
                else:
                    with open(self.path("down", key), "wb") as f:
                        shutil.copyfileobj(s3.get_object(Bucket="others", Key=key)["Body"], f, 1 << 20)
            with concurrent.futures.ThreadPoolExecutor(BOTO_THREADS) as pool:
                list(pool.map(one, packs))
        return act

    def rclone(self, up):
        at = self.server.at
        os.environ.update({"RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_T_TYPE": "s3", "RCLONE_CONFIG_T_PROVIDER": "Other",
                           "RCLONE_CONFIG_T_ENDPOINT": at["endpoint"], "RCLONE_CONFIG_T_ACCESS_KEY_ID": at["access-key"],
                           "RCLONE_CONFIG_T_SECRET_ACCESS_KEY": at["secret-key"]})
        ends = [self.path("disk", "pack"), "t:others/pack"] if up else ["t:others/pack", self.path("down")]
        return ["rclone", "copy", "--transfers", "8", "--s3-upload-cutoff", "1G", "--s3-no-check-bucket", *ends]

    def round(self, packs):
        for name, up, down in self.clients(packs):
            self.server.empty("others")
            shutil.rmtree(self.path("down"), ignore_errors=True)
            os.makedirs(self.path("down"))
            if name == "ffdr":
                self.server.empty("ffdr")
                subprocess.run(self.ffdr("init"), check=True, stdout=subprocess.DEVNULL)
            self.timed(name + " up", up())
            if name == "ffdr":
                shutil.rmtree(self.path("back"))
                os.rename(self.path("disk"), self.path("disk-away"))
                os.makedirs(self.path("disk"))
                subprocess.run(self.ffdr("init"), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.timed(name + " down", down())
            if name == "ffdr":
                shutil.rmtree(self.path("disk"))
                os.rename(self.path("disk-away"), self.path("disk"))

    def clients(self, packs):
        yield ("ffdr", lambda: self.ffdr("copy", "--to", "bucket", "vol.tree"),
               lambda: self.ffdr("copy", "--to", "back", "vol.tree"))
        yield "curl", lambda: self.curl(packs, True), lambda: self.curl(packs, False)
        yield "boto3", lambda: self.boto(packs, True), lambda: self.boto(packs, False)
        if shutil.which("rclone"):
            yield "rclone", lambda: self.rclone(True), lambda: self.rclone(False)

    def many(self):
        """A bucket of many small objects, put there behind the server's back, is looked through."""
        top = os.path.join(self.server.top, "data", "ffdr", "prod", "pack")
        for number in range(self.args.objects):
            name = hashlib.sha256(b"%d" % number).hexdigest()
            os.makedirs(os.path.join(top, name[:2]), exist_ok=True)
            with open(os.path.join(top, name[:2], name), "wb") as f:
                f.write(b"%d" % number)
        self.timed("ffdr gc of %d objects" % self.args.objects, self.ffdr("gc", "--tier", "bucket"))

    def tell(self):
        lines = ["| what | seconds | client CPU s | server CPU s | peak MiB |", "|---|---|---|---|---|"]
        for name, rows in self.figures.items():
            lines.append("| %s | %s |" % (name, " | ".join("%.2f" % statistics.median(c) for c in zip(*rows))))
        text = "\n".join(lines) + "\n"
        print(text)
        if self.args.markdown:
            with open(self.args.markdown, "a", encoding="utf-8") as f:
                f.write("\n## Packs to a bucket and back, %d MiB\n\n%s" % (self.args.mib, text))
        return max(row[3] for name, rows in self.figures.items() if " gc " in name for row in rows) <= MEMORY_MIB


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ffdr", default="./ffdr", type=os.path.abspath)
    parser.add_argument("--dir", default="/dev/shm")
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--markdown")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ffdr-bench-", dir=args.dir) as place:
        os.chmod(place, 0o711)
        bench = Bench(args, place)
        try:
            bench.configure()
            packs = bench.make()
            for _ in range(args.runs):
                bench.round(packs)
            bench.many()
            if not bench.tell():
                sys.exit("more than %d MiB" % MEMORY_MIB)
        finally:
            bench.server.stop()


if __name__ == "__main__":
    main()
