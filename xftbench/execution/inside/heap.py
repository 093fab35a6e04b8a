"""Lays out an interpreter's memory so that a fork of it is cheap: its objects together, in huge pages.

A fork copies an entry for each page, and its end gives each one back: with the libraries of data science
imported, 5 to 25 ms a time. pymalloc gets its arenas of 1 MiB from the kernel one by one, in between the
libraries that are loaded meanwhile, where no huge page fits. So they are asked for beforehand, all at once.
What the C library hands out lies together anyway; with `VARIABLES` it is in huge pages from the start.

No verdict depends on it: where the kernel has no huge pages, forks cost what they did.
"""

import ctypes
from collections import deque

VARIABLES = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # where the kernel gives huge pages to those who ask
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
"""Environment variables for the start of such an interpreter."""

_ARENA_BITS = 20
_HUGE = 2 << _ARENA_BITS
_BLOCK = 450  # bytes; of a size that pymalloc hands out, and that few objects have
_MADV_COLLAPSE = 25  # since Linux 6.1


class Arenas:
    """Arenas that lie together, for the objects that imports are going to make.

    Args:
        number: How many they will fill; with fewer the rest is scattered, with more memory is wasted.
    """

    def __init__(self, number: int) -> None:
        first: dict[int, bytes] = {}
        blocks: deque[bytes] = deque()  # a list would move, through the very gap that is to be filled
        while len(first) < number:
            blocks.append(bytes(_BLOCK))
            first.setdefault(id(blocks[-1]) >> _ARENA_BITS, blocks[-1])
        self._first = first
        """Megabyte of the address space -> a block there, which keeps its arena from being given back."""

    def settle(self) -> None:
        """After the imports: move what they have filled into huge pages."""
        libc = ctypes.CDLL(None)
        for megabyte in self._first:
            if megabyte % 2 == 0 and megabyte + 1 in self._first:
                libc.madvise(ctypes.c_void_p(megabyte << _ARENA_BITS), ctypes.c_size_t(_HUGE), _MADV_COLLAPSE)
