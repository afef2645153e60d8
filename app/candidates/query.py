"""A title and a picture that are no post -> their vector, by the serving network: how people search the catalogue."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.candidates.encode import PostEncoder
from app.samples.tokens import Content
from app.storage.pictures import PictureFolder
from models.cascade import Cascade


class QueryEncoder:
    """Keeps what was searched by in a folder of its own, apart from the catalogue, and forgets it with each network."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._encoder: PostEncoder | None = None
        self._lock = threading.Lock()

    def vector(self, network: Cascade, *, title: str, picture: bytes | None) -> NDArray[np.float32]:
        """The vector (width,) of a title, a picture (checked bytes), or both. Blocks: call it in a thread."""
        with self._lock:
            encoder = self._encoder_of(network)
            picture_hash = PictureFolder(self._home / "pictures").save(picture) if picture is not None else None
            vectors, _ = encoder.encode([Content(title, picture_hash)])
        return np.asarray(vectors[0])

    def _encoder_of(self, network: Cascade) -> PostEncoder:
        """Backbones stay loaded as long as the network serves."""
        if self._encoder is None or self._encoder.network is not network:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home.mkdir(parents=True)
            self._encoder = PostEncoder(network, home=self._home)
        return self._encoder
