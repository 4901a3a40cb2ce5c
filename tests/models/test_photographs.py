import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lightmobile.errors import UsageError
from lightmobile.models.photographs import crops, photographs
from lightmobile.models.preprocessing import Preprocessing, load_image, preprocess

RECIPE = Preprocessing(
    resize=36,
    crop=(32, 32),
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def test_there_are_two_photographs():
    china, flower = photographs()
    assert china.shape == flower.shape == (427, 640, 3)
    assert china.dtype == flower.dtype == np.uint8


def test_scikit_learn_is_not_imported():
    code = (
        "from lightmobile.models.photographs import crops; crops(2); import sys;"
        "assert not {'sklearn', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    photographs.cache_clear()
    with pytest.raises(UsageError, match=r"lightmobile\[photos\]"):
        photographs()


@pytest.mark.parametrize("size", [(224, 224), (32, 48), (640, 427), (7, 1)])
def test_crops_have_the_size_asked_for(size):
    assert crops(3, size).shape == (3, *size, 3)


def test_crops_follow_from_their_seed_and_differ_among_themselves():
    first, again, other = crops(16), crops(16), crops(16, seed=1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first.reshape(16, -1), axis=0)) == 16
    assert np.array_equal(first[:4], crops(4))


def test_no_crop_shows_nothing_but_sky():
    assert min(crop.std() for crop in crops(64)) > 20


def test_preprocess_normalises_each_channel():
    images = np.zeros((2, 4, 5, 3), np.uint8)
    images[1] = 255
    out = preprocess(images, RECIPE)
    assert (out.shape, out.dtype) == ((2, 3, 4, 5), np.float32)
    assert out.flags["C_CONTIGUOUS"]
    mean, std = np.array(RECIPE.mean), np.array(RECIPE.std)
    np.testing.assert_allclose(out[0, :, 0, 0], -mean / std, rtol=1e-6)
    np.testing.assert_allclose(out[1, :, 3, 4], (1 - mean) / std, rtol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_any_photograph_becomes_one_input(tmp_path, mode):
    path = tmp_path / ("x.tiff" if mode == "CMYK" else "x.png")
    Image.fromarray(photographs()[0]).convert(mode).save(path)
    assert load_image(path, RECIPE).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(("width", "height"), [(54, 36), (36, 54), (36, 36)])
def test_the_crop_is_the_centre(tmp_path, width, height):
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    top, left = (height - 32) // 2, (width - 32) // 2
    centre = pixels[None, top : top + 32, left : left + 32]
    np.testing.assert_array_equal(
        load_image(tmp_path / "x.png", RECIPE), preprocess(centre, RECIPE)
    )


@pytest.mark.parametrize("crop", [(32, 32), (20, 64), (64, 20)])
@pytest.mark.parametrize("shape", [(427, 640), (640, 100), (5, 3)])
def test_every_crop_fits(tmp_path, crop, shape):
    Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(tmp_path / "x.png")
    recipe = replace(RECIPE, crop=crop)
    assert load_image(tmp_path / "x.png", recipe).shape == (1, 3, *crop)


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.png cannot be read as an image"):
        load_image(path, RECIPE)
