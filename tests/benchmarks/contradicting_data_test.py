"""Images in every pose, and what their labels say of them."""

import h5py
import numpy as np
import pytest

from tests.scripts import run
from tests.test_case import TestCase


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The images before, and a folder of what the script made of them."""
    folder = tmp_path_factory.mktemp("poses")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 5, 5, 1)).astype("uint8")
    for name in ("clothes", "letters"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            for split in ("train", "test"):
                file[f"{split}/image"] = images
                file[f"{split}/label"] = np.arange(200) % 10
    result = run(
        "benchmarks/transfer/contradicting_data.py",
        f"--pretrain_on={folder / 'clothes.h5'}",
        f"--transfer_to={folder / 'letters.h5'}",
        f"--output_dir={folder / 'data'}",
    )
    assert f"--pretrain_on={folder / 'data' / 'clothes_posed_class.h5'}" in (
        result.stdout
    )
    return images, folder / "data"


def read(folder, label, split, name="letters"):
    """Images and labels."""
    with h5py.File(folder / f"{name}_posed_{label}.h5") as file:
        return file[f"{split}/image"][:], file[f"{split}/label"][:]


class ContradictingDataTest(TestCase):
    def test_labels_tell_how_to_undo_each_pose(self, made):
        before, folder = made
        for split in ("train", "test"):
            images, classes = read(folder, "class", split)
            np.testing.assert_array_equal(classes, np.arange(200) % 10)
            labels = {}
            for name in ("turn", "mirror", "invert"):
                same, labels[name] = read(folder, name, split)
                np.testing.assert_array_equal(same, images)
            for i, image in enumerate(images[..., 0]):
                image = ~image if labels["invert"][i] else image
                for _ in range(labels["turn"][i]):
                    # A quarter with the clock.
                    image = image[::-1].T
                image = image[:, ::-1] if labels["mirror"][i] else image
                np.testing.assert_array_equal(image, before[i, ..., 0])
            for name, number in (("turn", 4), ("mirror", 2), ("invert", 2)):
                counts = np.bincount(labels[name], minlength=number)
                # Five standard deviations of a binomial of 200.
                spread = 5 * np.sqrt(200 / number * (1 - 1 / number))
                assert np.all(np.abs(counts - 200 / number) < spread)

    def test_splits_and_poses_are_drawn_apart(self, made):
        _, folder = made
        turn, mirror, invert = (
            read(folder, name, "train")[1] for name in ("turn", "mirror", "invert")
        )
        assert np.any(turn != read(folder, "turn", "test")[1])
        assert abs(np.corrcoef(mirror, invert)[0, 1]) < 0.3
        assert abs(np.corrcoef(mirror, turn % 2)[0, 1]) < 0.3
