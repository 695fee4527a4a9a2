"""Folders of images: what is found in them, in which order and with which labels."""

import os

import numpy as np
import pytest

from keras_tc2 import data
from keras_tc2.data.sources import folder_manifest
from tests.data.pictures import arrays, noise, write
from tests.test_case import TestCase


def write_values(root, values):
    """Writes one-pixel images whose value tells which file they are."""
    for name, value in values.items():
        write(root / name, np.full((1, 1, 1), value, np.uint8))


def values(dataset):
    return [int(image[0, 0, 0]) for image in arrays(dataset)]


class FolderManifestTest(TestCase):
    def test_nested_sorted_and_only_images(self, tmp_path):
        write_values(
            tmp_path, {"b.png": 1, "a/z/c.png": 2, "a/b.png": 3, "x.png/y.PNG": 4}
        )
        for name in (".hidden.png", "notes.txt", "a/.DS_Store"):
            (tmp_path / name).write_text("")
        write_values(tmp_path / ".hidden", {"d.png": 9})
        manifest = data.FolderManifest.scan(tmp_path)
        assert manifest.files == ("a/b.png", "a/z/c.png", "b.png", "x.png/y.PNG")
        assert manifest.sizes[0] == os.path.getsize(tmp_path / "a" / "b.png")
        assert manifest.checksums is None

    def test_links_out_are_not_followed(self, tmp_path):
        inside, outside = tmp_path / "in", tmp_path / "out"
        write_values(inside, {"a.png": 1, "sub/b.png": 2})
        write_values(outside, {"secret.png": 3})
        (inside / "ok.png").symlink_to(inside / "a.png")
        (inside / "leak.png").symlink_to(outside / "secret.png")
        (inside / "dotted.png").symlink_to("../out/secret.png")
        (inside / "leak").symlink_to(outside)
        (inside / "loop").symlink_to(inside)
        (inside / "dangling.png").symlink_to(inside / "nothing.png")
        manifest = data.FolderManifest.scan(inside)
        assert manifest.files == ("a.png", "ok.png", "sub/b.png")
        assert manifest.links_out == 5

    def test_root_may_be_a_link(self, tmp_path):
        write_values(tmp_path / "real", {"a.png": 1})
        (tmp_path / "link").symlink_to(tmp_path / "real")
        assert data.FolderManifest.scan(tmp_path / "link").files == ("a.png",)

    def test_save_and_load(self, tmp_path):
        write_values(tmp_path / "pictures", {"a.png": 1, "b/c.png": 2})
        manifest = data.FolderManifest.scan(tmp_path / "pictures", checksums=True)
        manifest.save(tmp_path / "list.json")
        loaded = data.FolderManifest.load(tmp_path / "list.json", tmp_path / "pictures")
        assert loaded == manifest
        assert len(manifest.checksums[0]) == 64
        assert os.listdir(tmp_path) != [] and not list(tmp_path.glob("*.draft"))

    def test_changes_of_folders_are_seen(self, tmp_path):
        write_values(tmp_path, {"a.png": 1, "b/c.png": 2})
        manifest = data.FolderManifest.scan(tmp_path)
        assert manifest.is_current()
        os.utime(tmp_path / "b", ns=(0, 0))
        assert not manifest.is_current()

    @pytest.mark.parametrize("checksums", [False, True])
    def test_changed_files(self, tmp_path, checksums):
        write_values(tmp_path, {"a.png": 1, "b.png": 2, "c.png": 3, "d.png": 4})
        manifest = data.FolderManifest.scan(tmp_path, checksums=checksums)
        with pytest.warns(DeprecationWarning, match="of a new `scan`") as old:
            assert manifest.changed_files() == []
        assert old[0].filename == __file__
        (tmp_path / "a.png").unlink()
        with open(tmp_path / "b.png", "ab") as file:
            file.write(b"more")
        content = (tmp_path / "c.png").read_bytes()
        (tmp_path / "c.png").write_bytes(content[::-1])
        expected = ["a.png", "b.png", "c.png"] if checksums else ["a.png", "b.png"]
        with pytest.warns(DeprecationWarning):
            assert manifest.changed_files() == expected
        if checksums:
            again = data.FolderManifest.scan(tmp_path, checksums=True)
            before = dict(zip(manifest.files, manifest.checksums, strict=True))
            after = dict(zip(again.files, again.checksums, strict=True))
            different = {name for name in before if after.get(name) != before[name]}
            assert different == set(expected)

    def test_load_lists_a_folder_once(self, tmp_path, monkeypatch):
        pictures, listing = tmp_path / "pictures", tmp_path / "list.json"
        write_values(pictures, {"a.png": 1, "b.png": 2})
        assert values(data.load(pictures, manifest=listing)) == [1, 2]
        with monkeypatch.context() as patch:
            patch.setattr(folder_manifest, "_walk", None)
            assert values(data.load(pictures, manifest=listing)) == [1, 2]
        write_values(pictures, {"c.png": 3})
        os.utime(pictures, ns=(0, 0))
        assert values(data.load(pictures, manifest=listing)) == [1, 2, 3]

    @pytest.mark.parametrize("place", [".", "b"])
    def test_a_manifest_within_its_folder(self, place, tmp_path, monkeypatch):
        """Saving it changes the time stamp of the folder that it is in."""
        listing = tmp_path / place / "list.json"
        write_values(tmp_path, {"a.png": 1, "b/c.png": 2})
        assert values(data.load(tmp_path, manifest=listing)) == [1, 2]
        with monkeypatch.context() as patch:
            patch.setattr(folder_manifest, "_walk", None)
            assert values(data.load(tmp_path, manifest=listing)) == [1, 2]
        write_values(tmp_path / place, {"d.png": 3})
        assert set(values(data.load(tmp_path, manifest=listing))) == {1, 2, 3}
        (tmp_path / place / "d.png").rename(tmp_path / place / "e.png")
        assert set(values(data.load(tmp_path, manifest=listing))) == {1, 2, 3}
        write_values(tmp_path / place / "new", {"f.png": 4})
        assert set(values(data.load(tmp_path, manifest=listing))) == {1, 2, 3, 4}

    def test_another_file_is_not_a_manifest(self, tmp_path):
        write_values(tmp_path / "pictures", {"a.png": 1})
        for content in ("not json", "[]", '{"format": 99}', '{"format": 1}'):
            (tmp_path / "list.json").write_text(content)
            with pytest.raises(ValueError, match="not a manifest"):
                data.load(tmp_path / "pictures", manifest=tmp_path / "list.json")


class FolderSourceTest(TestCase):
    def test_order_is_that_of_the_names(self, tmp_path):
        names = [f"{index:03}.png" for index in range(60)]
        write_values(tmp_path, {name: index for index, name in enumerate(names)})
        dataset = data.load(tmp_path)
        assert values(dataset) == list(range(60))
        assert len(dataset) == 60
        assert dataset.element_spec.shape == (None, None, 1)

    def test_class_folders(self, tmp_path):
        write_values(tmp_path, {"dog/x/a.png": 1, "cat/b.png": 2, "dog/c.png": 3})
        pairs = [
            (int(x[0, 0, 0]), int(y))
            for x, y in arrays(data.load(tmp_path, labels=True))
        ]
        assert pairs == [(2, 0), (3, 1), (1, 1)]
        assert values(data.load(tmp_path)) == [2, 3, 1]

    def test_class_names_fix_the_numbers(self, tmp_path):
        write_values(tmp_path, {"dog/a.png": 1, "cat/b.png": 2})
        names = ["ant", "dog", "cat"]
        dataset = data.load(tmp_path, labels=True, class_names=names)
        assert dataset.class_names == names
        pairs = arrays(dataset)
        assert [int(label) for _, label in pairs] == [2, 1]
        with pytest.raises(ValueError, match=r"class_names.*Received: 'cat'"):
            data.load(tmp_path, labels=True, class_names=["dog", "ant"])

    def test_splits(self, tmp_path):
        write_values(tmp_path, {"train/a.png": 1, "test/b.png": 2})
        assert values(data.load(tmp_path)) == [1]
        assert values(data.load(tmp_path, "test")) == [2]
        with pytest.raises(ValueError, match="no sub-folder 'valid'"):
            data.load(tmp_path, "valid")

    def test_label_errors(self, tmp_path):
        write_values(tmp_path, {"a/a.png": 1})
        with pytest.raises(ValueError, match=r"at least two classes.*class a"):
            data.load(tmp_path, labels=True)
        write_values(tmp_path, {"b.png": 2})
        with pytest.raises(ValueError, match=r"1 images directly in .*'b\.png'"):
            data.load(tmp_path, labels=True)

    def test_empty_folder(self, tmp_path):
        (tmp_path / "notes.txt").write_text("")
        with pytest.raises(ValueError, match=r"holds no images \(.png"):
            data.load(tmp_path)
        (tmp_path / "away").symlink_to("/")
        with pytest.raises(ValueError, match="1 symbolic links"):
            data.load(tmp_path)

    def test_image_size(self, tmp_path):
        write(tmp_path / "a.png", np.full((20, 30, 3), 77, np.uint8))
        write(tmp_path / "b.png", noise((8, 8, 3)))
        dataset = data.load(tmp_path, image_size=(4, 6))
        assert dataset.element_spec.shape == (4, 6, 3)
        first, _ = arrays(dataset)
        assert first.dtype == np.uint8 and (first == 77).all()

    def test_grey_and_colour_only_on_request(self, tmp_path):
        grey = noise((5, 4, 1))
        write(tmp_path / "a.png", grey)
        (image,) = arrays(data.load(tmp_path, channels=3))
        np.testing.assert_array_equal(image, np.repeat(grey, 3, -1))
        with pytest.raises(ValueError, match="has 1 channels where 5"):
            data.load(tmp_path, channels=5)

    def test_deep_grey_among_colour(self, tmp_path):
        write(tmp_path / "a.png", np.full((4, 4, 3), 7, "uint8"))
        write(tmp_path / "b.png", np.full((4, 4, 1), 257 * 9, "uint16"))
        for image, value in zip(
            arrays(data.load(tmp_path, channels=3)), (7, 9), strict=True
        ):
            np.testing.assert_array_equal(image, np.full((4, 4, 3), value))
