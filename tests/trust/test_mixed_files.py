"""Row 12: files of another generation, another network or another width are refused, the old generation serves."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from app.candidates.generation import QUALITY, REQUIRED, VECTORS, GenerationFolder
from app.candidates.index import CENTRES, FEW_POSTS, LISTS, PROBE
from app.candidates.reindex import run_reindex
from app.candidates.serving import ServingCandidates
from app.errors import BadArtefact
from app.settings import Settings
from app.storage.stores import Stores
from models.artefact import SIZES, WEIGHTS
from tests.candidates.worlds import WIDTH
from tests.intake.records import given_posts
from tests.trust.figures import Row
from tests.trust.tampering import FLAT_POSTS, copied, is_refused, reseal, write

NETWORK, INDEX = (WEIGHTS, SIZES), (CENTRES, LISTS, PROBE)
LISTED_POSTS = FEW_POSTS + 100


def parts_of_another_width() -> list[tuple[str, ...]]:
    """Files to be taken together: each that knows the width, and whatever can be put together of whole parts."""
    parts = [NETWORK, (VECTORS,), INDEX, (VECTORS, QUALITY)]
    chosen = [some for count in range(1, 4) for some in itertools.combinations(parts, count)]
    together = [tuple(dict.fromkeys(itertools.chain(*some))) for some in chosen]
    return list(dict.fromkeys([(WEIGHTS,), (SIZES,), (CENTRES,), *together]))


def taken(names: tuple[str, ...], *, of: Path, into: Path) -> None:
    for name in names:
        shutil.copy(of / name, into / name)


@pytest.mark.trust(12)
def test_parts_of_other_generations_are_refused(row: Row, folder: GenerationFolder, tmp_path: Path) -> None:
    one = folder.path(write(folder))
    others = [folder.path(write(folder, seed=1)), folder.path(write(folder, posts=FLAT_POSTS - 10))]
    tried, served, unnoticed = 0, [], set()
    for other, name in itertools.product(others, REQUIRED):
        mixed = copied(one, tmp_path / "mixed")
        shutil.copy(other / name, mixed / name)
        if (mixed / name).read_bytes() == (one / name).read_bytes():
            continue
        tried += 1
        if not is_refused(mixed):
            served.append(name)
        reseal(mixed)
        if not is_refused(mixed):
            unnoticed.add(name)
    renamed = Path(shutil.copytree(one, tmp_path / "another-name"))

    row.done = f"{tried} generations mixed of two (same and other number of posts), one renamed"
    row.none(served=len(served) + (not is_refused(renamed)))
    row.saw("kinds of files that pass with a forged manifest", len(unnoticed), f"of {len(REQUIRED)}")
    # Whoever forges the manifest can change what is served; an index of other vectors is noticed all the same.


@pytest.mark.trust(12)
def test_parts_of_another_width_are_refused_although_the_manifest_agrees(
    row: Row, folder: GenerationFolder, tmp_path: Path
) -> None:
    tried, served, forged = 0, [], []
    for posts in (FLAT_POSTS, LISTED_POSTS):
        narrow, wide = (folder.path(write(folder, posts=posts, width=width)) for width in (WIDTH, 2 * WIDTH))
        assert not is_refused(wide), "by itself it is whole"
        for (one, other), names in itertools.product(((narrow, wide), (wide, narrow)), parts_of_another_width()):
            mixed = copied(one, tmp_path / "mixed")
            taken(names, of=other, into=mixed)
            tried += 1
            if not is_refused(mixed):
                served.append((posts, names))
            reseal(mixed)
            if not is_refused(mixed):
                forged.append((posts, names))

    row.done = f"{tried} mixed of two whose networks and vectors have other widths, with and without a forged manifest"
    row.none(of_another_width_served=len(served), of_another_width_served_with_a_forged_manifest=len(forged))
    assert (served, forged) == ([], [])


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    return settings.model_copy(update={"plan": small_plan, "threads": 1})


@pytest.mark.anyio
@pytest.mark.trust(12)
async def test_the_old_generation_serves_beside_one_of_another_width(
    stores: Stores, row: Row, small_plan: Path, tmp_path: Path
) -> None:
    await given_posts(stores, *(f"p{number}" for number in range(9)))
    old = await run_reindex(stores, requested_by="test")
    serving = ServingCandidates(stores)
    await serving.refresh()
    small_plan.write_text(small_plan.read_text().replace("semantic_width = 32", "semantic_width = 16"))
    other = await run_reindex(stores, requested_by="test")
    folder = GenerationFolder(stores.settings.generations)
    victim, parts, lost = folder.path(other), [NETWORK, (VECTORS,), INDEX], 0
    kept = copied(victim, tmp_path / "kept")
    assert [folder.manifest(one).width for one in (old, other)] == [32, 16]

    for names in parts:
        shutil.rmtree(victim)
        shutil.copytree(kept, victim)
        taken(names, of=folder.path(old), into=victim)
        reseal(victim)
        with pytest.raises(BadArtefact):
            await serving.promote(other)
        folder.point_to(other)  # as if somebody had moved the pointer by hand
        await serving.refresh()
        restarted = ServingCandidates(stores)
        await restarted.refresh()
        lost += sum(one.view().generation != old for one in (serving, restarted))

    row.done = f"{len(parts)} of them promoted in a service, and found there by one that starts"
    row.none(old_generation_lost_beside_one_of_another_width=lost)
    assert folder.current() == other


def test_an_index_of_other_vectors_is_refused_although_its_manifest_agrees(
    folder: GenerationFolder, tmp_path: Path
) -> None:
    one, other = (folder.path(write(folder, posts=LISTED_POSTS, seed=seed)) for seed in range(2))
    for names in ((CENTRES, LISTS), (VECTORS,), (QUALITY,)):
        mixed = copied(one, tmp_path / "mixed")
        taken(names, of=other, into=mixed)
        reseal(mixed)

        assert is_refused(mixed), names
