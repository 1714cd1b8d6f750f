"""An installation that protects one PostgreSQL server, pg.pay, and of whose tiers some are buckets."""

import os
import re

from databases import TIERS, Database
from s3 import REGION


class BucketDatabase(Database):
    """buckets = {tier: Bucket}, or (Bucket, url of a proxy before it)."""

    def __init__(self, top, server, buckets, tiers=TIERS, prefix="prod", **keys):
        self.buckets = {t: b if isinstance(b, tuple) else (b, b.server.endpoint) for t, b in buckets.items()}
        self.prefix = prefix
        super().__init__(top, server, tiers, **keys)

    def bucket(self, tier):
        return self.buckets[tier][0]

    def url(self, tier):
        if tier not in self.buckets:
            return super().url(tier)
        bucket, endpoint = self.buckets[tier]
        lines = "s3://%s/%s\nendpoint = %s\nregion = %s" % (bucket.name, self.prefix, endpoint, REGION)
        for what, value in (("access", bucket.server.key), ("secret", bucket.server.secret)):
            path = self.path("etc", "%s-%s" % (tier, what))
            with open(path, "w", encoding="utf-8") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write(value)
            lines += "\n%s-key = file:%s" % (what, path)
        return lines

    # ---- what is on the tiers ----

    def objects(self, tier, prefix=""):
        if tier not in self.buckets:
            return super().objects(tier, prefix)
        top = self.prefix + "/"
        return [n[len(top):] for n in self.bucket(tier).names(top + prefix)]

    def epochs(self, tier):
        if tier not in self.buckets:
            return super().epochs(tier)
        return {tuple(name.split("/")[2:4]) for name in self.objects(tier, "wal/pg.pay/")}

    def names(self, tier, tli, epoch):
        if tier not in self.buckets:
            return super().names(tier, tli, epoch)
        system, first = self.place()
        below = "wal/pg.pay/%s/%s/%08x/" % (system, "%08x" % epoch if epoch else first, tli)
        return [os.path.basename(n) for n in self.objects(tier, below) if re.fullmatch("[0-9a-f]{16}-[0-9a-f]{16}", os.path.basename(n))]


__all__ = ["BucketDatabase"]
