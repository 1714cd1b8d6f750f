"""What the shell offers at a press of the tab key."""

import os
import shutil
import subprocess

import pytest

from conftest import program

ASK = """
source <(ffdr help --completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_ffdr
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="offers")
def offers_fixture(bare):
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    bare.write_config("[postgres shop]\nconninfo = host=/run/shop\n")

    def offers(*words):
        path = os.path.dirname(program()) + ":" + os.environ["PATH"]
        done = subprocess.run(["bash", "-c", ASK, "bash", "ffdr", *words], check=True,
                              env=bare.environment({"PATH": path}),
                              capture_output=True, text=True)
        assert done.stderr == ""
        return set(done.stdout.split())
    return offers


@pytest.mark.parametrize("words, there, not_there", [
    ([""], {"backup", "key", "help"}, {"key list", "--config"}),
    (["key", ""], {"list", "rotate", "escrow-test"}, {"backup"}),
    (["help", ""], {"backup", "key", "restore"}, set()),
    (["help", "re"], {"restore"}, {"backup"}),
    (["help", "key", "ro"], {"rotate"}, {"restore"}),
    (["help", "--man", ""], {"ffdr.1", "ffdr.conf.5"}, {"--config"}),
    (["backup", ""], {"all", "vol.data"}, {"backup"}),
    (["backup", "--read", ""], {"all"}, {"--read"}),
    (["verify", "--level", ""], {"0", "1", "2"}, {"--level"}),
    (["restore", "vo"], {"vol.data"}, {"all"}),
    (["show", ""], {"vol.data"}, set()),
    (["hold", ""], {"vol.data"}, set()),
    (["restore", "vol.data", "--tier", ""], {"local", "regional", "dr"}, {"vol.data"}),
    (["expire", "--retire", ""], set(), {"vol.data", "pg.shop"}),
    (["backup", "pg"], {"pg.shop"}, set()),
    (["restore", ""], {"vol.data", "pg.shop"}, set()),
    (["wal", "stream", ""], {"pg.shop"}, {"vol.data", "all"}),
    (["wal", "get", "--source", ""], {"pg.shop"}, {"vol.data"}),
    (["exposure", ""], {"pg.shop"}, {"vol.data"}),
    (["restore", "--target-action", ""], {"promote", "pause", "shutdown"}, {"--to"}),
    (["wal", "get", "--mode", "b"], {"bounded"}, {"standby"}),
])
def test_what_may_follow(offers, words, there, not_there):
    found = offers(*words)
    assert there <= found and not found & not_there, found


def test_snapshots_come_from_this_host_and_no_tier_is_asked(site, offers):
    first, second = site.backup(), site.backup()
    for tier in site.tiers:
        os.rename(site.tier(tier), site.tier(tier) + ".away")
    for command in ("show", "restore", "hold"):
        assert offers(command, "vol.data/") == {first, second, "vol.data/latest"}
    with open(site.config, encoding="utf-8") as f:
        text = f.read()
    with open(site.path("etc", "other.ini"), "w", encoding="utf-8") as f:
        f.write(text.replace("[volume data]", "[volume photos]"))
    config = ["--config", site.path("etc", "other.ini")]
    assert "vol.photos" in offers(*config, "backup", "")
    # What may be retired is what is configured no more.
    assert offers(*config, "expire", "--retire", "") == {"vol.data"}
