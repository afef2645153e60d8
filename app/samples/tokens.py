"""Contents of posts -> backbone tokens, from the cache or computed once; then `models.batch.PostTokens`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from app.domain import Post
from app.storage.pictures import PictureFolder
from app.storage.tokens import TokenCache
from models.batch import PostTokens
from models.picture_tokens import CELLS, PictureBackbone, picture_backbone
from models.preprocess import pixels_of
from models.title_tokens import TitleBackbone, title_backbone

log = logging.getLogger(__name__)
PICTURES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Content:
    """What the feature extraction sees of a post."""

    title: str
    picture_hash: str | None

    @classmethod
    def of(cls, post: Post) -> Content:
        """The content of a post."""
        return cls(post.title, post.picture_hash)


@dataclass(frozen=True)
class RaggedTokens:
    """Tokens of many posts, unpadded."""

    picture: list[NDArray[np.float16] | None]  # each (cells, picture_width)
    title: list[NDArray[np.float16]]  # each (words, title_width)

    def __len__(self) -> int:
        return len(self.title)


class TokenSource:
    """The frozen backbones behind their cache; a backbone is loaded when something is not cached."""

    def __init__(
        self, pictures: PictureFolder, cache: TokenCache, *, picture_backbone: str, title_backbone: str
    ) -> None:
        self._pictures = pictures
        self._cache = cache
        self._names = (picture_backbone, title_backbone)

    @cached_property
    def _picture_backbone(self) -> PictureBackbone:
        return picture_backbone(self._names[0])()

    @cached_property
    def _title_backbone(self) -> TitleBackbone:
        return title_backbone(self._names[1])()

    def tokens(self, contents: Sequence[Content]) -> RaggedTokens:
        """Tokens of each content, in order; a picture that cannot be read counts as none."""
        pictures = self._picture_tokens({content.picture_hash for content in contents if content.picture_hash})
        titles = self._title_tokens({content.title for content in contents})
        return RaggedTokens(
            [pictures.get(content.picture_hash) if content.picture_hash else None for content in contents],
            [titles[content.title] for content in contents],
        )

    def _picture_tokens(self, hashes: set[str]) -> dict[str, NDArray[np.float16]]:
        """Tokens by picture hash."""
        prefix = f"{self._names[0]}:"
        width = picture_backbone(self._names[0]).width
        known = self._cache.get((prefix + one for one in hashes), width)
        found = {key.removeprefix(prefix): value for key, value in known.items()}
        missing = sorted(hashes - found.keys())
        for at in range(0, len(missing), PICTURES_AT_ONCE):
            new = self._computed(missing[at : at + PICTURES_AT_ONCE])
            self._cache.put({prefix + one: value for one, value in new.items()})
            found.update(new)
        return found

    def _computed(self, hashes: Sequence[str]) -> dict[str, NDArray[np.float16]]:
        """Tokens of pictures that are not cached."""
        pixels: dict[str, NDArray[np.uint8]] = {}
        for one in hashes:
            try:
                pixels[one] = pixels_of(self._pictures.read(one))
            except (OSError, ValueError) as error:
                log.warning("picture %s cannot be read, its posts count by their titles: %s", one[:12], error)
        if not pixels:
            return {}
        tokens = self._picture_backbone.tokens(np.stack(list(pixels.values())))
        return dict(zip(pixels, tokens, strict=True))

    def _title_tokens(self, titles: set[str]) -> dict[str, NDArray[np.float16]]:
        """Tokens by title."""
        keys = {
            title: f"{self._names[1]}:{hashlib.sha256(title.encode('utf-8', 'replace')).hexdigest()}"
            for title in titles
        }
        known = self._cache.get(keys.values(), title_backbone(self._names[1]).width)
        missing = {title: self._title_backbone.tokens(title) for title in titles if keys[title] not in known}
        if missing:
            self._cache.put({keys[title]: value for title, value in missing.items()})
        return {title: missing[title] if title in missing else known[keys[title]] for title in titles}


class TokenTable:
    """Tokens of a fixed list of posts, gathered by row; what one training cycle reads again and again."""

    def __init__(self, source: TokenSource, contents: Iterable[Content], *, widths: tuple[int, int]) -> None:
        ragged = source.tokens(list(contents))
        self._has_picture = np.asarray([picture is not None for picture in ragged.picture], bool)
        present = [picture for picture in ragged.picture if picture is not None]
        self._pictures = np.stack([*present, np.zeros((CELLS, widths[0]), np.float16)])
        self._picture_row = np.where(self._has_picture, np.cumsum(self._has_picture) - 1, len(present))
        self._words = np.asarray([len(title) for title in ragged.title], np.int64)
        self._first_word = np.cumsum(self._words) - self._words
        self._titles = np.concatenate([*ragged.title, np.zeros((1, widths[1]), np.float16)])

    def __len__(self) -> int:
        return len(self._words)

    def gather(self, rows: NDArray[np.int64]) -> PostTokens:
        """Tokens of the posts at `rows` (posts,), padded to the longest title among them."""
        words = self._words[rows]
        place = np.arange(max(1, int(words.max(initial=0))))
        mask = place < words[:, None]
        at = np.where(mask, self._first_word[rows][:, None] + place, len(self._titles) - 1)
        return PostTokens(  # the last picture and the last word are zeros
            torch.from_numpy(self._pictures[self._picture_row[rows]]),
            torch.from_numpy(self._has_picture[rows]),
            torch.from_numpy(self._titles[at]),
            torch.from_numpy(mask),
        )
