import itertools
import os

import numpy as np
import pytest
from PIL import Image

from lightmobile.errors import UsageError
from lightmobile.export.calibration import Calibration, CalibrationImages
from lightmobile.models.photographs import crops
from lightmobile.models.preprocessing import Preprocessing, load_image, preprocess

RECIPE = Preprocessing(36, (32, 24), "bilinear", (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))


def images_of(calibration, **options):
    return CalibrationImages(calibration, RECIPE, **options)


@pytest.fixture
def folder(tmp_path):
    """Five photographs, one of them in a folder of its own, and what else lies in folders."""
    folder = tmp_path / "holiday photos"
    (folder / "more").mkdir(parents=True)
    for index in range(5):
        home = folder / "more" if index == 4 else folder
        Image.effect_noise((40, 40 + index), 50).convert("RGB").save(home / f"{index}.png")
    (folder / "notes.txt").write_text("of the holidays")
    return folder


def test_by_default_there_are_crops_of_the_built_in_photographs():
    calibration = Calibration.of()
    images = list(images_of(calibration))
    assert len(images) == calibration.samples == 128
    assert {image.shape for image in images} == {(1, 3, 32, 24)}
    assert all(image.dtype == np.float32 for image in images)
    assert calibration.identity() == {
        "source": "photos",
        "samples": 128,
        "seed": 0,
        "sha256": None,
    }


def test_they_are_other_crops_than_those_of_the_verification():
    verified = preprocess(crops(64, RECIPE.crop), RECIPE)
    for image in images_of(Calibration.of()):
        assert not (verified == image).all(axis=(1, 2, 3)).any()


def test_they_can_be_looked_at_several_times():
    images = images_of(Calibration.of(samples=2))
    first, second = list(images), list(images)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_folder_is_read_as_the_model_sees_photographs(folder):
    calibration = Calibration.of(folder)
    images = list(images_of(calibration))
    assert (calibration.source, calibration.samples) == ("holiday photos", 5)
    assert np.array_equal(images[0], load_image(folder / "0.png", RECIPE))


def test_more_images_than_wanted_are_chosen_among_by_the_seed(folder):
    chosen = [Calibration.of(folder, samples=3, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert chosen[0] == chosen[1]
    assert len({calibration.files for calibration in chosen}) > 1
    assert all(len(set(calibration.files)) == 3 for calibration in chosen)


def test_the_identity_follows_the_pictures_and_not_the_place(folder, tmp_path):
    before = Calibration.of(folder).identity()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = folder.rename(elsewhere / folder.name)
    assert Calibration.of(folder).identity() == before
    Image.effect_noise((40, 40), 50).convert("RGB").save(folder / "0.png")
    assert Calibration.of(folder).identity() != before


@pytest.mark.parametrize(("batch", "batches"), [(1, 5), (2, 3), (5, 1), (8, 1)])
def test_the_last_batch_is_filled_up(folder, batch, batches):
    images = images_of(Calibration.of(folder), batch=batch)
    read = list(images)
    assert len(images) == len(read) == batches
    assert {image.shape for image in read} == {(batch, 3, 32, 24)}
    flat = np.concatenate(read)
    assert (flat[4:] == flat[4]).all()


def test_one_image_is_enough(tmp_path):
    Image.new("RGB", (50, 50)).save(tmp_path / "only.jpg")
    calibration = Calibration.of(tmp_path)
    assert calibration.samples == len(list(images_of(calibration))) == 1


def test_ten_thousand_images_are_read_one_by_one(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    for index in range(1, 10_000):
        os.link(tmp_path / "0.png", tmp_path / f"{index}.png")
    calibration = Calibration.of(tmp_path, samples=10_000)
    heard = []
    images = images_of(calibration, report=lambda done, samples: heard.append((done, samples)))
    read = [image.nbytes for image in itertools.islice(images, 20)]
    assert len(read) == 20
    # What comes after is not read ahead.
    assert heard[-1] in {(19, 10_000), (20, 10_000)}
    assert len(images) == calibration.samples == 10_000


def test_unless_told_otherwise_a_large_folder_is_sampled(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    for index in range(1, 200):
        os.link(tmp_path / "0.png", tmp_path / f"{index}.png")
    assert Calibration.of(tmp_path).samples == 128


@pytest.mark.parametrize(
    ("content", "why"),
    [((), "It is empty"), (("a.txt", "b.mov"), "None of its 2 files ends in .bmp")],
)
def test_a_folder_without_images_is_refused(tmp_path, content, why):
    for name in content:
        (tmp_path / name).write_text("no picture")
    with pytest.raises(UsageError) as caught:
        Calibration.of(tmp_path)
    assert why in caught.value.why


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "3.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"3\.png cannot be read as an image"):
        list(images_of(Calibration.of(folder)))


@pytest.mark.parametrize("samples", [0, -1])
def test_no_images_calibrate_nothing(samples):
    with pytest.raises(UsageError, match="calibrate nothing"):
        Calibration.of(samples=samples)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="There is no folder"):
        Calibration.of(tmp_path / "none")


def test_a_folder_may_be_called_photos(folder):
    photos = folder.rename(folder.parent / "photos")
    image = next(iter(images_of(Calibration.of(photos))))
    assert np.array_equal(image, load_image(photos / "0.png", RECIPE))
