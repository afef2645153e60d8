"""One generation = one folder = one truth: network, vectors, index, columns, popular list, plan and report.

Written beside the others under a temporary name, read back, renamed; a small pointer file names the current one and is
moved by rename. So model and index cannot disagree, and roll-back is moving the pointer. A manifest holds the SHA-256
of every file, because neither FAISS nor safetensors notices a flipped bit. Large files are mapped, and shared by all
processes of a machine: none is ever changed, and one that is deleted lives on until its last reader lets go.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.candidates.columns import PostColumns, read_columns, write_columns
from app.candidates.index import CENTRES, LISTS, PROBE, ListIndex, read_index, write_index
from app.candidates.post_rows import PostRows
from app.errors import BadArtefact, Unavailable, UnknownId
from models.artefact import SIZES, WEIGHTS, load_network, save_network, small_file
from models.cascade import Cascade

MANIFEST, POINTER = "manifest.json", "current"
VECTORS, QUALITY, POSTS, POPULAR = "vectors.npy", "quality.npy", "posts.arrow", "popular.json"
PLAN, REPORT, CURVES = "plan.json", "report.json", "report.png"
REQUIRED = (WEIGHTS, SIZES, VECTORS, QUALITY, CENTRES, LISTS, PROBE, POSTS, POPULAR, PLAN, REPORT)
TEMPORARY = ".building-"
CHUNK_BYTES = 1 << 20
RESTS = 9  # beside requests loading rests so many times as long as it works, or they would queue up meanwhile
REJECTED_KEPT = 2  # for somebody to look at, or to promote by hand
SEAL = b',\n  "manifest_sha256": "'  # the manifest's last member: the SHA-256 of all before it
# What loaders of hostile bytes raise; a deep JSON exhausts the stack, an array may claim more memory than there is.
UNREADABLE = (OSError, TypeError, AttributeError, ValueError, LookupError, RecursionError, MemoryError)
log = logging.getLogger(__name__)
Json = TypeVar("Json", list[str], dict[str, Any])
Done = TypeVar("Done")


@dataclass(frozen=True)
class Manifest:
    """What a generation says of itself."""

    generation: str
    created_at: str  # RFC 3339, UTC
    origin: str  # "start": the pretrained start; "trained": learnt from the log; "reindexed": as before, new candidates
    parent: str | None  # the generation whose network it continues
    posts: int
    width: int  # of the vectors
    changes_until: str  # RFC 3339: posts changed later are not in it
    files: Mapping[str, str]  # name -> SHA-256
    rejected: str | None = None  # why it does not serve by itself; None = it may


@dataclass(frozen=True)
class Contents:
    """What a generation is made of, before it is written; posts in the order of the index."""

    network: Cascade
    columns: PostColumns
    hidden: NDArray[np.bool_]  # (posts,)
    vectors: NDArray[np.float32]  # (posts, width), unit length
    quality: NDArray[np.float32]  # (posts,)
    index: ListIndex
    popular: Sequence[str]  # post ids, most popular first
    plan: Mapping[str, Any]
    report: Mapping[str, Any]
    curves: bytes | None  # PNG


@dataclass(frozen=True)
class Generation:
    """A loaded generation."""

    manifest: Manifest
    network: Cascade
    columns: PostColumns
    hidden: NDArray[np.bool_]  # (posts,)
    row_of: PostRows
    latest_first: NDArray[np.int32]  # (posts,) rows, latest published first
    vectors: NDArray[np.float32]  # (posts, width)
    quality: NDArray[np.float32]  # (posts,)
    index: ListIndex
    popular: list[str]
    plan: dict[str, Any]


class GenerationFolder:
    """The folder of all generations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def current(self) -> str | None:
        """Id of the promoted generation, None before the first; with a damaged pointer the newest that may serve."""
        try:
            promoted = (self._folder / POINTER).read_text(errors="replace").strip()
        except FileNotFoundError:
            return None
        return promoted if promoted in self.ids() else next(iter(self._accepted()), None)

    def ids(self) -> list[str]:
        """All finished generations, oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(
            entry.name for entry in self._folder.iterdir() if (entry / MANIFEST).is_file() and entry.name[0] != "."
        )

    def _accepted(self) -> list[str]:
        """All finished generations that the gate has let pass, newest first."""
        return [one for one in reversed(self.ids()) if not self._reason(one)]

    def rejected(self) -> list[str]:
        """Generations that the gate has refused, oldest first."""
        return [one for one in self.ids() if self._reason(one)]

    def _reason(self, generation: str) -> str | None:
        """Why a generation was rejected; None for one that was not, or whose manifest cannot be read."""
        try:
            return self.manifest(generation).rejected
        except (BadArtefact, UnknownId):  # damaged, or just pruned
            return None

    def path(self, generation: str) -> Path:
        """Folder of one generation. Raises UnknownId."""
        if generation not in self.ids():
            raise UnknownId(f"there is no generation {generation!r}; GET /generations lists them")
        return self._folder / generation

    def manifest(self, generation: str) -> Manifest:
        """What a generation says of itself. Raises UnknownId, BadArtefact."""
        return read_manifest(self.path(generation))

    def report(self, generation: str) -> dict[str, Any]:
        """The training report of a generation. Raises UnknownId, BadArtefact."""
        folder = self.path(generation)
        try:
            content = small_file(folder / REPORT)
        except (OSError, ValueError) as error:
            raise BadArtefact(f"generation {generation}: {REPORT} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != read_manifest(folder).files.get(REPORT):
            raise BadArtefact(f"generation {generation}: {REPORT} is damaged; promote another or reindex")
        report: dict[str, Any] = json.loads(content)
        return report

    def curves(self, generation: str) -> bytes | None:
        """The picture of the training curves (PNG), None for a generation that was not trained."""
        file = self.path(generation) / CURVES
        return file.read_bytes() if file.exists() else None

    def promote(self, generation: str) -> None:
        """Make a generation the serving one: verify it, then move the pointer. Raises UnknownId, BadArtefact."""
        verify(self.path(generation))
        self.point_to(generation)

    def point_to(self, generation: str) -> None:
        """Make a generation that was just verified the serving one."""
        _write_synced(self._folder / f"{TEMPORARY}{POINTER}", (generation + "\n").encode())
        (self._folder / f"{TEMPORARY}{POINTER}").replace(self._folder / POINTER)
        _sync_folder(self._folder)

    def _new_id(self, now: datetime) -> str:
        """An id that no generation has; of those made within a second one in 65,000 would be alike."""
        while True:
            generation = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
            if not (self._folder / generation).exists() and not (self._folder / f"{TEMPORARY}{generation}").exists():
                return generation

    def write(
        self,
        contents: Contents,
        *,
        origin: str,
        parent: str | None,
        changes_until: datetime,
        rejected: str | None = None,
    ) -> str:
        """Write a generation beside the others and give its id; it does not serve yet. Raises Unavailable (disk)."""
        now = datetime.now(UTC)
        generation = self._new_id(now)
        building = self._folder / f"{TEMPORARY}{generation}"
        try:
            building.mkdir(parents=True)
            _write_files(contents, building)
            manifest = Manifest(
                generation=generation,
                created_at=now.isoformat(),
                origin=origin,
                parent=parent,
                posts=len(contents.columns),
                width=int(contents.vectors.shape[1]),
                changes_until=changes_until.isoformat(),
                files={file.name: _sha256(file) for file in sorted(building.iterdir())},
                rejected=rejected,
            )
            _write_synced(building / MANIFEST, sealed(manifest))
            verify(building)
            building.replace(self._folder / generation)
            _sync_folder(self._folder)
        except OSError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise Unavailable(
                f"the generation could not be written: {error.strerror or error}; free space in {self._folder}"
            ) from error
        return generation

    def load(self, generation: str, *, rests: int = 0) -> Generation:
        """Verify and load a generation; beside requests with RESTS. Raises UnknownId, BadArtefact."""
        return load_generation(self.path(generation), rests=rests)

    def load_best(self) -> Generation | None:
        """The promoted generation, or if that is damaged the newest whole one that the gate has let pass."""
        promoted = self.current()
        if promoted is None:
            return None
        for generation in dict.fromkeys([promoted, *self._accepted()]):
            try:
                return self.load(generation)
            except (BadArtefact, UnknownId) as error:
                log.error("generation %s is refused: %s", generation, error)
        return None

    def prune(self, kept: int) -> list[str]:
        """Delete all but the latest `kept` generations, never the serving one; and what killed builds left behind.

        Rejected ones are counted apart, so that they push out none that one could go back to.
        """
        for leftover in self._folder.glob(f"{TEMPORARY}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
        doomed = [one for one in self._accepted()[kept:] + self.rejected()[:-REJECTED_KEPT] if one != self.current()]
        for generation in doomed:
            shutil.rmtree(self._folder / generation, ignore_errors=True)
        return doomed


def load_generation(folder: Path, *, rests: int = 0) -> Generation:
    """Verify and load the generation in a folder; beside requests with RESTS. Raises BadArtefact."""
    manifest = verify(folder, rests=rests)
    try:
        network = _rested(lambda: load_network(folder), rests)
        posts = _rested(lambda: read_columns(folder / POSTS), rests)
        index = _rested(lambda: read_index(folder), rests)
        loaded = Generation(
            manifest=manifest,
            network=network,
            columns=posts.columns,
            hidden=posts.hidden,
            row_of=posts.row_of,
            latest_first=posts.latest_first,
            vectors=_mapped(folder / VECTORS),
            quality=_mapped(folder / QUALITY),
            index=index,
            popular=_read_json(folder / POPULAR, list),
            plan=_read_json(folder / PLAN, dict),
        )
        _read_json(folder / REPORT, dict)  # read when it is asked for; damaged it must not serve
    except UNREADABLE as error:
        raise BadArtefact(f"generation {folder.name} cannot be loaded: {error}") from error
    shape = (len(loaded.columns), loaded.network.sizes.semantic_width)
    agree = (manifest.posts, manifest.width) == loaded.vectors.shape == shape
    if not (agree and loaded.quality.shape == shape[:1] and loaded.index.posts == shape[0]):
        raise BadArtefact(f"generation {folder.name}: network, vectors, index, posts and manifest do not agree")
    if not _rested(lambda: loaded.index.holds(loaded.vectors, loaded.quality), rests):
        raise BadArtefact(f"generation {folder.name}: its index is of other vectors")
    return loaded


def _read_json(file: Path, kind: type[Json]) -> Json:
    """An object or a list. Raises ValueError for anything else."""
    value = json.loads(small_file(file))
    if not isinstance(value, kind):
        raise ValueError(f"{file.name} is no {kind.__name__}")
    return value


def read_manifest(folder: Path) -> Manifest:
    """What the generation in a folder says of itself. Raises BadArtefact."""
    try:
        content = small_file(folder / MANIFEST)
        values: dict[str, Any] = json.loads(content)
        is_sealed = values.pop("manifest_sha256", None) is not None  # those of earlier versions are not
        if is_sealed and content != _seal(content.rpartition(SEAL)[0]):
            raise ValueError("its seal does not fit")
        manifest = Manifest(**values)
        if folder.name.removeprefix(TEMPORARY) != manifest.generation:
            raise ValueError("it is of another generation")
    except UNREADABLE as error:
        raise BadArtefact(f"generation {folder.name}: its manifest cannot be used: {error}") from error
    return manifest


def sealed(manifest: Manifest) -> bytes:
    """The manifest as its file holds it, with a checksum of its own."""
    return _seal(json.dumps(asdict(manifest), indent=2).encode().removesuffix(b"\n}"))


def _seal(body: bytes) -> bytes:
    return body + SEAL + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def verify(folder: Path, *, rests: int = 0) -> Manifest:
    """Compare every file with the manifest. Raises BadArtefact naming the first that differs."""
    manifest = read_manifest(folder)
    missing = [name for name in REQUIRED if name not in manifest.files]
    if missing:
        raise BadArtefact(f"generation {folder.name}: its manifest lacks {', '.join(missing)}")
    for name, expected in manifest.files.items():
        file = folder / name
        if Path(name).name != name or not file.is_file() or _sha256(file, rests=rests) != expected:
            raise BadArtefact(f"generation {folder.name}: {name} is missing or damaged; promote another or reindex")
    return manifest


def _write_files(contents: Contents, folder: Path) -> None:
    """All files but the manifest."""
    save_network(contents.network, folder)
    np.save(folder / VECTORS, contents.vectors, allow_pickle=False)
    np.save(folder / QUALITY, contents.quality, allow_pickle=False)
    write_index(contents.index, folder)
    write_columns(contents.columns, contents.hidden, folder / POSTS)
    (folder / POPULAR).write_text(json.dumps(list(contents.popular)))
    (folder / PLAN).write_text(json.dumps(contents.plan, indent=2))
    (folder / REPORT).write_text(json.dumps(contents.report, indent=2))
    if contents.curves is not None:
        (folder / CURVES).write_bytes(contents.curves)
    for file in folder.iterdir():
        _sync(file)


def _mapped(file: Path) -> NDArray[np.float32]:
    """An array that is read from the file where it is needed, and once for all processes. Raises ValueError.

    Torch wants memory that may be written: what would be, nobody does, stays in the process that writes it.
    """
    mapped: NDArray[np.float32] = np.lib.format.open_memmap(file, mode="c").view(np.ndarray)
    if mapped.dtype != np.float32:
        raise ValueError(f"{file.name} holds {mapped.dtype}")
    return mapped


def _sha256(file: Path, *, rests: int = 0) -> str:
    """Of a whole file, with a rest after every chunk."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while _rested(lambda: _digested(digest, opened), rests):
            pass
    return digest.hexdigest()


def _digested(digest: hashlib._Hash, opened: BinaryIO) -> bool:
    """Takes in the next chunk; False after the last."""
    chunk = opened.read(CHUNK_BYTES)
    digest.update(chunk)
    return bool(chunk)


def _rested(work: Callable[[], Done], rests: int) -> Done:
    """Do a piece of work, then rest so many times as long as it took."""
    began = time.thread_time()
    done = work()
    time.sleep(rests * (time.thread_time() - began))
    return done


def _write_synced(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    _sync(file)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
