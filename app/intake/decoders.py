"""Untrusted picture bytes -> processes of their own that decode them, and what these say; one that dies is replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import IO
from weakref import WeakKeyDictionary

from app.domain import PictureStatus
from app.errors import Unavailable
from app.intake.picture_process import ANSWER, CHECK, ENCODED_AGAIN, QUESTION, TOO_LARGE, UNCHANGED
from app.storage.pictures import PictureFolder
from app.storage.stores import Stores

ROOT = Path(__file__).parents[2]
DECODERS = 2  # at once; one that is not needed is never started
# None of our secrets; and what was taken for one picture is given back whole before the next.
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
# How the kernel ends a process that has had its time, or for which the machine has no memory, and we do one that sits.
TOOK_TOO_MUCH = (-signal.SIGXCPU, -signal.SIGKILL)
PICTURE_SECONDS = 60.0  # for one picture, on the clock of a machine that is busy; the process has its own limit


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder says of a picture."""

    status: PictureStatus
    content: bytes = b""  # as it is to be stored
    picture_print: int | None = None


class Decoder:
    """One process, started when it is first needed. Blocks, so use it in a thread, and in one at a time."""

    def __init__(self, limits: str) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def decode(self, content: bytes, *, side: int = CHECK) -> Decoded:
        """What there is to say of a picture, or the picture so small that its longer side has `side` pixels.

        One on which the process dies is unreadable; too large, if that was for want of memory or time.
        """
        process = self._running()
        watch = threading.Timer(PICTURE_SECONDS, process.kill)
        watch.start()
        try:
            return self._ask(process, content, side)
        except (OSError, EOFError):
            process.kill()  # changes nothing of how one ended that is dead
            took_too_much = process.wait() in TOOK_TOO_MUCH
            return Decoded(PictureStatus.TOO_LARGE if took_too_much else PictureStatus.UNREADABLE)
        finally:
            watch.cancel()

    def _ask(self, process: subprocess.Popen[bytes], content: bytes, side: int) -> Decoded:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(QUESTION.pack(len(content), side) + content)
        process.stdin.flush()
        outcome, picture_print, length = ANSWER.unpack(_read(process.stdout, ANSWER.size))
        if outcome == UNCHANGED:
            return Decoded(PictureStatus.STORED, content, picture_print)
        if outcome == ENCODED_AGAIN:
            return Decoded(PictureStatus.STORED, _read(process.stdout, length), picture_print)
        return Decoded(PictureStatus.TOO_LARGE if outcome == TOO_LARGE else PictureStatus.UNREADABLE)

    def _running(self) -> subprocess.Popen[bytes]:
        """The process; another one where the last has died. Raises Unavailable."""
        if self._process is None or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this very program
                    [sys.executable, "-m", "app.intake.picture_process", self._limits],
                    env=ENVIRONMENT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C reaches the service, whose end is the decoder's too
                )
            except OSError as problem:
                raise Unavailable(f"no picture can be decoded now: {problem.strerror}; send it again later") from None
        return self._process


class Decoders:
    """The decoders of this process; whoever comes when all are busy waits."""

    def __init__(self, *, max_bytes: int, max_megapixels: float) -> None:
        limits = json.dumps({"max_bytes": max_bytes, "max_megapixels": max_megapixels})
        self._max_bytes = max_bytes
        self.all = [Decoder(limits) for _ in range(min(DECODERS, os.cpu_count() or 1))]
        self._idle: LifoQueue[Decoder] = LifoQueue()
        for decoder in self.all:
            self._idle.put(decoder)

    def decode(self, content: bytes) -> Decoded:
        """What there is to say of a picture. Blocks. Raises Unavailable when no process can be started."""
        if len(content) > self._max_bytes:
            return Decoded(PictureStatus.TOO_LARGE)
        with self._one() as decoder:
            return decoder.decode(content)

    def shrink(self, content: bytes, *, side: int) -> Decoded:
        """A stored picture whose longer side has at most `side` pixels. Blocks. Raises Unavailable likewise."""
        with self._one() as decoder:
            return decoder.decode(content, side=side)

    @contextmanager
    def _one(self) -> Iterator[Decoder]:
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)


# Per folder of pictures. A decoder ends when nobody holds the other end of its pipe any more.
_decoders: WeakKeyDictionary[PictureFolder, Decoders] = WeakKeyDictionary()
_making = threading.Lock()


def decoders_of(stores: Stores) -> Decoders:
    """The decoders of these stores."""
    with _making:
        found = _decoders.get(stores.pictures)
        if found is None:
            settings = stores.settings
            found = _decoders[stores.pictures] = Decoders(
                max_bytes=settings.picture_max_bytes, max_megapixels=settings.picture_max_megapixels
            )
        return found


def _read(answers: IO[bytes], length: int) -> bytes:
    """So many bytes. Raises EOFError when the process has ended before."""
    content = answers.read(length)
    if len(content) < length:
        raise EOFError
    return content
