"""Pictures of several artists, from packages and clip art that are made up."""

import importlib.util
import json

import h5py
import numpy as np
import PIL.Image
import pytest

from tests.scripts import ROOT
from tests.test_case import TestCase


@pytest.fixture(scope="module")
def script():
    """The script as a module."""
    path = ROOT / "benchmarks" / "transfer" / "pictures_data.py"
    spec = importlib.util.spec_from_file_location("pictures_data", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # As where the script itself is run.
        spec.loader.exec_module(module)
    return module


def package(folder, name, icons, categories):
    """Writes a package of icons."""
    folder = folder / name / "package"
    folder.mkdir(parents=True)
    drawn = {"icons": icons, "width": 8, "height": 8}
    (folder / "icons.json").write_text(json.dumps(drawn))
    (folder / "metadata.json").write_text(json.dumps({"categories": categories}))


SQUARE = {"body": '<path fill="#ff0000" d="M0 0h4v8H0z"/>'}


@pytest.fixture
def icons_dir(tmp_path):
    """Two packages."""
    package(
        tmp_path,
        "twemoji",
        {
            "owl": SQUARE,
            "pizza": {**SQUARE, "width": 16, "left": -8},
            "woman-light-skin-tone": SQUARE,
            "old": {**SQUARE, "hidden": True},
            "nameless": SQUARE,
        },
        {
            "Animals & Nature": ["owl"],
            "Food & Drink": ["pizza"],
            "People & Body": ["woman-light-skin-tone", "old"],
        },
    )
    package(
        tmp_path,
        "openmoji",
        {},
        {"Food Drink": ["owl", "rice"], "Extras Openmoji": ["robin"]},
    )
    return tmp_path


class IconsTest(TestCase):
    def test_groups_are_those_of_the_first_that_names_them(self, script, icons_dir):
        groups = script.icon_groups(icons_dir)
        named = {name: script.GROUPS[i] for name, i in groups.items()}
        assert named["owl"] == "Animals & Nature"
        assert named["rice"] == "Food & Drink"
        assert "robin" not in named

    def test_named_icons_without_skin_tones(self, script, icons_dir):
        groups = script.icon_groups(icons_dir)
        found = list(script.icons(icons_dir, "twemoji", groups))
        assert [name for name, _, _ in found] == ["owl", "pizza"]
        assert 'viewBox="0 0 8 8"' in found[0][2]
        assert 'viewBox="-8 0 16 8"' in found[1][2]

    def test_rendered_on_white(self, script, icons_dir):
        pytest.importorskip("resvg_py")
        groups = script.icon_groups(icons_dir)
        (_, _, svg), _ = script.icons(icons_dir, "twemoji", groups)
        picture = script.rendered(svg)
        assert picture.shape == (32, 32, 3)
        np.testing.assert_array_equal(picture[:, 8], [[255, 0, 0]] * 32)
        np.testing.assert_array_equal(picture[:, 24], [[255, 255, 255]] * 32)

    def test_what_is_tested_is_the_same_for_all_artists(self, script):
        names = [f"{who}-{i}" for i in range(50) for who in ("man", "woman", "gull")]
        fifth = script.test_concepts(names, 0.2)
        half = script.test_concepts(names[::-1], 0.5)
        # Of a hundred: the gulls, and people by what they do.
        assert len(fifth) == 20 and len(half) == 50 and fifth < half
        assert script.concept("woman-7") == script.concept("man-7") == "7"


class ClipArtTest(TestCase):
    def test_pictures_with_a_subject(self, script, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(script, "MIN_PICTURES", 2)
        for name in ("food/fruit/a", "food/b", "unsorted/a", "unsorted/b", "toys/a"):
            path = tmp_path / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            # Twice as wide as high, and half of it nothing.
            pixels = np.zeros((40, 80, 4), "uint8")
            pixels[:, :40] = (0, 0, 255, 255)
            PIL.Image.fromarray(pixels).save(path)
        (tmp_path / "food" / "b.png").write_bytes(b"no picture")
        ((path, name, picture),) = script.clip_art(tmp_path)
        assert (path.name, name, picture.shape) == ("a.png", "food", (32, 32, 3))
        white, blue = [255, 255, 255], [0, 0, 255]
        np.testing.assert_array_equal(picture[16, [4, 28]], [blue, white])
        np.testing.assert_array_equal(picture[[4, 28], 4], [white, white])
        assert "left out" in capsys.readouterr().out


class WriteTest(TestCase):
    def test_each_picture_once(self, script, tmp_path):
        rng = np.random.default_rng(0)
        pictures = list(rng.integers(0, 256, (6, 32, 32, 3)).astype("uint8"))
        given = [(i >= 4, i % 2, picture) for i, picture in enumerate(pictures)]
        script.write(tmp_path / "a.h5", [*given, (True, 0, pictures[0])], ["x", "y"])
        with h5py.File(tmp_path / "a.h5") as file:
            assert list(file.attrs["class_names"]) == ["x", "y"]
            for split, members in (("train", given[:4]), ("test", given[4:])):
                images, labels = file[f"{split}/image"][:], file[f"{split}/label"][:]
                assert len(images) == len(members)
                for _, label, picture in members:
                    (place,) = np.flatnonzero((images == picture).all(axis=(1, 2, 3)))
                    assert labels[place] == label
