from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREED = """
import resource
from facestream.stream.allocator import keep_freed_memory
assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    for _ in range(20):
        block = bytearray(8 << 20)
        block[::4096] = bytes(2048)
        del block
use()
before = faults()
use()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_memory_that_was_freed_is_used_again_without_asking_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2048  # the pages of a single block


HOLES = """
import psutil
from facestream.stream.allocator import give_back_unused_memory, keep_freed_memory
keep_freed_memory()
blocks = [bytearray(1 << 20) for _ in range(64)]
for block in blocks:
    block[::4096] = bytes(256)
del blocks[:-1]  # the last one keeps the heap from shrinking
before = psutil.Process().memory_info().rss
assert give_back_unused_memory()
print((before - psutil.Process().memory_info().rss) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has this call")
def test_memory_between_what_is_used_goes_back_when_asked() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 32


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from facestream.stream import allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
    assert not allocator.give_back_unused_memory()
