"""What nobody waits for steps back behind the other programs of the host; what somebody waits for does not."""

import os
import signal

import pytest

from test_interrupt import ended, slow, wait_for

OURS = os.nice(0)


def threads(child):
    return os.listdir("/proc/%d/task" % child.pid)


def niceness(child):
    """Of each of its threads."""
    found = set()
    for thread in threads(child):
        with open("/proc/%d/task/%s/stat" % (child.pid, thread), encoding="utf-8") as f:
            found.add(int(f.read().rsplit(")", 1)[1].split()[16]))
    return found


def during(child):
    wait_for(lambda: len(threads(child)) > 2, "no worker was started")
    found = niceness(child)
    child.send_signal(signal.SIGINT)
    ended(child)
    return found


@pytest.mark.parametrize("line,wanted", (("", 10), ("nice = 3\n", 3), ("nice = 0\n", 0)))
def test_a_backup_steps_back_with_all_its_threads_as_far_as_is_configured(site, line, wanted):
    slow(site, "2m")
    with open(site.config, "r+", encoding="utf-8") as f:
        text = f.read().replace("[ffdr]\n", "[ffdr]\n" + line)
        f.seek(0)
        f.write(text)
    assert during(site.start("backup", "vol.data")) == {max(wanted, OURS)}


def test_it_never_comes_forward(site):
    slow(site, "2m")
    child = site.start("backup", "vol.data", preexec_fn=lambda: os.nice(15 - OURS if OURS < 15 else 0))
    assert during(child) == {max(15, OURS)}


def test_a_restore_does_not_step_back(site):
    slow(site, "8m")
    site.backup()
    slow(site, "2m")
    assert during(site.start("restore", "vol.data", "--to", site.path("back"))) == {OURS}
