"""The examples that pre-train on a user's own images, shrunken."""

import numpy as np
import PIL.Image
import pytest

import keras_tc2 as tc2
from tests.scripts import run
from tests.test_case import TestCase


class PretrainFolderTest(TestCase):
    def test_pictures_of_several_kinds(self, tmp_path):
        rng = np.random.default_rng(0)
        (tmp_path / "nested").mkdir()
        for index in range(17):
            size = (20 + index, 30, 3) if index % 3 else (20, 30)
            picture = PIL.Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8))
            suffix = ("png", "jpg")[index % 2]
            folder = tmp_path / "nested" if index % 4 else tmp_path
            picture.save(folder / f"{index}.{suffix}")
        (tmp_path / "broken.png").write_bytes(b"no image")
        result = run(
            "examples/pretrain_folder.py",
            f"--folder={tmp_path}",
            f"--output_dir={tmp_path / 'encoder'}",
            "--image_size=16",
            "--epochs=2",
            "--batch_size=8",
        )
        printed = result.stdout + result.stderr
        assert "Skipped 1 images" in printed and "broken.png" in printed
        encoder = tc2.from_pretrained(tmp_path / "encoder")
        features = encoder.predict(np.zeros((2, 16, 16, 3), np.uint8), verbose=0)
        assert features.shape == (2, encoder.feature_dim)


class PretrainTest(TestCase):
    def test_folder_of_grey_and_colour_pictures(self, tmp_path):
        rng = np.random.default_rng(0)
        for index in range(24):
            path = tmp_path / "pictures" / "ab"[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = (16, 16) if index in (0, 9, 17) else (16, 16, 3)
            PIL.Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
        result = run(
            "examples/pretrain.py",
            f"--dataset={tmp_path / 'pictures'}",
            f"--output_dir={tmp_path / 'run'}",
            "--epochs=1",
            "--batch_size=8",
            "--num_tasks=2",
        )
        assert "holds grey and colour images" in result.stdout + result.stderr
        # The files of a class follow one another, yet both classes are held out, and
        # of so few images no more than half.
        assert "No online kNN" not in result.stdout
        history = (tmp_path / "run" / "history.csv").read_text()
        assert "probe" in history.splitlines()[0]
        encoder = tc2.from_pretrained(tmp_path / "run" / "encoder")
        assert encoder.image_shape == (16, 16, 3)


class PretrainMultichannelTest(TestCase):
    @pytest.mark.slow(reason="makes bands for thousands of images, twice")
    def test_made_up_bands(self, tmp_path):
        result = run(
            "examples/pretrain_multichannel.py",
            f"--output_dir={tmp_path}",
            "--num_images=32",
            "--epochs=1",
            "--batch_size=16",
        )
        assert "kNN accuracy: raw pixels 0.7" in result.stdout
        encoder = tc2.from_pretrained(tmp_path)
        assert encoder.image_shape == (28, 28, 12)
        assert encoder.value_range == (0, 10_000)

    def test_own_stack(self, tmp_path):
        rng = np.random.default_rng(0)
        stack = rng.integers(0, 4000, (20, 16, 16, 5), np.uint16)
        np.save(tmp_path / "stack.npy", stack)
        result = run(
            "examples/pretrain_multichannel.py",
            f"--images={tmp_path / 'stack.npy'}",
            f"--output_dir={tmp_path / 'encoder'}",
            "--high=4000",
            "--image_size=16",
            "--epochs=1",
            "--batch_size=8",
        )
        printed = result.stdout + result.stderr
        assert "mean of each channel" in printed and "kNN" not in printed
