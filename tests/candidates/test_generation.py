import hashlib
import json
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from app.candidates.generation import GenerationFolder, read_manifest, sealed
from app.errors import BadArtefact, UnknownId
from models.artefact import SMALL_BYTES_AT_MOST, same_weights
from tests.candidates.worlds import contents

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def write(folder: GenerationFolder, made=None) -> str:
    return folder.write(made or contents(), origin="start", parent=None, changes_until=NOW)


@pytest.fixture
def folder(tmp_path) -> GenerationFolder:
    return GenerationFolder(tmp_path / "generations")


def test_a_generation_comes_back_as_it_was_written(folder):
    made = contents()

    loaded = folder.load(write(folder, made))

    assert same_weights(loaded.network, made.network)
    assert np.array_equal(loaded.vectors, made.vectors)
    assert np.array_equal(loaded.quality, made.quality)
    assert list(loaded.columns.post_ids) == list(made.columns.post_ids)
    assert loaded.popular == made.popular
    assert loaded.manifest.origin == "start"
    assert loaded.manifest.posts == 30


def test_nothing_serves_before_the_first_promotion(folder):
    assert folder.current() is None
    assert folder.ids() == []

    generation = write(folder)

    assert folder.current() is None
    folder.promote(generation)
    assert folder.current() == generation


def test_promoting_an_earlier_generation_rolls_back(folder):
    first = write(folder)
    second = write(folder, contents(seed=1))
    folder.promote(second)

    folder.promote(first)

    assert folder.current() == first


def test_an_unknown_generation_cannot_be_promoted(folder):
    with pytest.raises(UnknownId):
        folder.promote("../../etc")


def test_an_empty_catalogue_makes_a_generation(folder):
    assert len(folder.load(write(folder, contents(posts=0))).columns) == 0


def test_every_flipped_bit_is_refused(folder, tmp_path):
    generation = write(folder)
    folder.promote(generation)
    original = tmp_path / "generations" / generation
    kept = tmp_path / "kept"
    shutil.copytree(original, kept)
    chance = random.Random(0)
    for file in sorted(kept.iterdir()):
        for _ in range(4):
            content = bytearray(file.read_bytes())
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            (original / file.name).write_bytes(content)

            if file.name == "manifest.json":
                refused_or_equal(folder, generation)
            else:
                with pytest.raises(BadArtefact, match=file.name):
                    folder.load(generation)
            shutil.copy(file, original / file.name)
    folder.load(generation)


def refused_or_equal(folder: GenerationFolder, generation: str) -> None:
    """A flip inside the manifest's own words (a date, a name) does no harm; any other is refused."""
    try:
        loaded = folder.load(generation)
    except (BadArtefact, UnknownId):
        return
    assert np.array_equal(loaded.vectors, contents().vectors)


@pytest.mark.parametrize("name", ["vectors.npy", "index.faiss", "network.safetensors", "posts.arrow", "manifest.json"])
def test_a_missing_file_is_refused(folder, tmp_path, name):
    generation = write(folder)

    (tmp_path / "generations" / generation / name).unlink()

    with pytest.raises((BadArtefact, UnknownId)):
        folder.promote(generation)


@pytest.mark.parametrize("name", ["popular.json", "plan.json", "report.json", "probe.json", "network.json"])
def test_a_json_file_far_larger_than_any_of_ours_is_refused(folder, tmp_path, name):
    generation = write(folder)
    place = tmp_path / "generations" / generation
    manifest = read_manifest(place)
    padded = (place / name).read_bytes() + b" " * SMALL_BYTES_AT_MOST
    (place / name).write_bytes(padded)
    files = manifest.files | {name: hashlib.sha256(padded).hexdigest()}
    (place / "manifest.json").write_bytes(sealed(replace(manifest, files=files)))

    with pytest.raises(BadArtefact, match=f"{name} has more than"):
        folder.load(generation)


def test_parts_of_different_generations_are_refused(folder, tmp_path):
    mixed, other = write(folder), write(folder, contents(posts=20))
    for name in ("vectors.npy", "manifest.json"):
        shutil.copy(tmp_path / "generations" / other / name, tmp_path / "generations" / mixed / name)

    with pytest.raises(BadArtefact):
        folder.load(mixed)


def test_pruning_keeps_the_latest_and_the_serving_one(folder, tmp_path):
    first, *others = [write(folder, contents(seed=seed)) for seed in range(5)]
    folder.promote(first)
    (tmp_path / "generations" / ".building-left-by-a-kill").mkdir()

    folder.prune(2)

    assert set(folder.ids()) == {first, *sorted([first, *others])[-2:]}
    assert not list((tmp_path / "generations").glob(".building-*"))


def test_rejected_generations_push_out_none_that_one_could_go_back_to(folder):
    accepted = [write(folder, contents(seed=seed)) for seed in range(3)]
    folder.promote(accepted[-1])
    rejected = [
        folder.write(contents(seed=9), origin="trained", parent=None, changes_until=NOW, rejected="worse")
        for _ in range(4)
    ]

    folder.prune(3)

    assert set(folder.ids()) == {*accepted, *sorted(rejected)[-2:]}
    assert set(folder.rejected()) == set(sorted(rejected)[-2:])


def test_a_manifest_from_before_the_gate_is_read(folder, tmp_path):
    generation = write(folder)
    file = tmp_path / "generations" / generation / "manifest.json"
    values = json.loads(file.read_text())
    del values["rejected"], values["manifest_sha256"]
    file.write_text(json.dumps(values))

    assert folder.load(generation).manifest.rejected is None
