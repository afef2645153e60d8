"""The process in which untrusted pictures are decoded: one after the other, under limits, knowing nothing else.

In: argument 1 the limits as JSON; on stdin the length of a picture, the side it is to be shrunk to (0: it is to be
checked) and its bytes, again and again. Out, for each: what became of it, its print where it was checked, and its new
bytes where it was encoded again.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from app.domain import PictureStatus
from app.intake.pictures import check_picture, shrink_picture
from app.storage.prints import print_of

QUESTION = struct.Struct(">IH")  # length, side
CHECK = 0  # instead of a side
ANSWER = struct.Struct(">BqI")  # outcome, print, length of the new bytes
UNCHANGED, ENCODED_AGAIN, TOO_LARGE, UNREADABLE = range(4)
BYTES_PER_PIXEL = 16  # while a WebP is decoded there are four copies of its pixels
FILE_COPIES = 3
SPARE_BYTES = 4 << 20
CPU_SECONDS = 10  # for one picture
OPEN_FILES = 16


def limit_memory(*, max_bytes: int, max_megapixels: float) -> None:
    """Let this process take as much more memory as the largest picture needs; where the system can hold to that."""
    Image.init()  # the readers of all formats, so that they are not taken from what a picture needs
    with contextlib.suppress(OSError, ValueError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        needed = int(max_megapixels * 1_000_000 * BYTES_PER_PIXEL) + max_bytes * FILE_COPIES
        most = taken + needed + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def limit_rest() -> None:
    """No files written, few opened, no memory dumped."""
    for kind, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def limit_time() -> None:
    """Let the kernel end this process when the next picture takes too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS, most))


def answer(content: bytes, *, max_bytes: int, max_megapixels: float) -> bytes:
    """What became of one picture."""
    try:
        checked = check_picture(content, max_bytes=max_bytes, max_megapixels=max_megapixels)
        if isinstance(checked, PictureStatus):
            return ANSWER.pack(TOO_LARGE if checked is PictureStatus.TOO_LARGE else UNREADABLE, 0, 0)
        is_new = checked != content
        new = checked if is_new else b""
        return ANSWER.pack(ENCODED_AGAIN if is_new else UNCHANGED, print_of(checked), len(new)) + new
    except MemoryError:
        return ANSWER.pack(TOO_LARGE, 0, 0)


def smaller(content: bytes, *, side: int) -> bytes:
    """One stored picture, shrunk."""
    try:
        shrunk = shrink_picture(content, side=side)
    except MemoryError:
        return ANSWER.pack(TOO_LARGE, 0, 0)
    if isinstance(shrunk, PictureStatus):
        return ANSWER.pack(UNREADABLE, 0, 0)
    return ANSWER.pack(ENCODED_AGAIN, 0, len(shrunk)) + shrunk


def main() -> None:
    """Decode until nobody asks any more."""
    pictures: BinaryIO = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a decoder prints is no answer
    warnings.simplefilter("ignore")
    limits = json.loads(sys.argv[1])
    limit_memory(**limits)
    limit_rest()
    while head := pictures.read(QUESTION.size):
        length, side = QUESTION.unpack(head)
        content = pictures.read(length)
        limit_time()
        answers.write(answer(content, **limits) if side == CHECK else smaller(content, side=side))
        answers.flush()


if __name__ == "__main__":
    main()
