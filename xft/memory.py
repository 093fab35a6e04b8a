"""Settings of the C library's allocator."""

import ctypes


def keep_freed_memory() -> None:
    """Let glibc keep what a training step frees for the next one, instead of fetching zeroed pages again.

    Tokens/s of SFT with SmolLM2-135M on two cores: 155 without, 255 with. Elsewhere than on glibc, nothing
    happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # malloc.h
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
