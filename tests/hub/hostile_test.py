"""Repositories made to harm: each gives its error, runs nothing, writes nowhere."""

import json
import os
import pickle
import resource
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_tc2 import encoders, hub
from keras_tc2.encoders import from_pretrained
from keras_tc2.hub.files import sha256
from tests.test_case import TestCase

KERNEL = "layers/functional/layers/conv2d/vars/0"

EVIL = "import pathlib; pathlib.Path({!r}).write_text('ran')"


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The files of an honest encoder: name to bytes."""
    folder = tmp_path_factory.mktemp("honest")
    encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
    encoder.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A folder to work in, with a document in it; must look the same afterwards."""
    house = tmp_path / "house"
    (house / "documents").mkdir(parents=True)
    (house / "documents" / "diary.txt").write_text("mine")
    monkeypatch.chdir(house)
    before, path, modules = _snapshot(house), list(sys.path), set(sys.modules)
    yield house
    assert _snapshot(house) == before
    assert sys.path == path
    assert not [name for name in set(sys.modules) - modules if "evil" in name]


@pytest.fixture
def load(server, honest, house, tmp_path):
    """Publishes the honest files with changes, and loads them from the Hub."""

    def load(files=None, *, config=None, only=None):
        marker = house / "ran.txt"
        evil = EVIL.format(str(marker)).encode()
        content = dict(honest if only is None else {}, **(only or {}))
        content |= {"evil.py": evil, "keras_nlp.py": evil, "sitecustomize.py": evil}
        content |= files or {}
        if config is not None:
            changed = {**json.loads(content["config.json"]), **config}
            content["config.json"] = json.dumps(changed).encode()
        server.add("evil/repo", content)
        try:
            return from_pretrained("evil/repo")
        finally:
            assert not marker.exists(), "code of the repository ran"
            fetched = {p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()}
            assert not [name for name in fetched if name.endswith((".py", ".keras"))]

    return load


def _snapshot(folder):
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def edited(honest, tmp_path, edit):
    """The honest weights after `edit(file)`, and the config with their checksum."""
    path = tmp_path / "edited.h5"
    path.write_bytes(honest["model.weights.h5"])
    with h5py.File(path, "r+") as file:
        edit(file)
    return {
        "files": {"model.weights.h5": path.read_bytes()},
        "config": {"weights_sha256": sha256(path)},
    }


class HonestTest(TestCase):
    def test_the_corpus_starts_from_something_that_loads(self, load):
        assert load().feature_dim == 4


class CodeTest(TestCase):
    def test_pickle(self, load, house):
        class Evil:
            def __reduce__(self):
                return exec, (EVIL.format(str(house / "ran.txt")),)

        with pytest.raises(hub.NotAnEncoderError, match="PyTorch model"):
            load(only={"pytorch_model.bin": pickle.dumps(Evil())})

    def test_lambda_layer(self, load, tmp_path):
        inputs = keras.Input((8, 8, 1))
        outputs = keras.layers.Lambda(lambda x: x)(inputs)
        path = tmp_path / "evil.keras"
        keras.Model(inputs, outputs).save(path)
        with pytest.raises(hub.NotAnEncoderError, match="Keras model"):
            load(only={"model.keras": path.read_bytes()})

    def test_keras_file_beside_an_honest_encoder_is_not_fetched(self, load, tmp_path):
        path = tmp_path / "evil.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../evil.txt", "out")
        assert load({"model.keras": path.read_bytes()}).feature_dim == 4

    @pytest.mark.parametrize(
        "config",
        [
            {"module": "keras_nlp", "class_name": "Evil", "registered_name": "x>Evil"},
            {"auto_map": {"AutoModel": "evil.Model"}},
            {"custom_objects": {"relu": "evil.relu"}},
        ],
    )
    def test_configs_that_name_classes(self, load, config):
        with pytest.raises(hub.ConfigError, match="unknown keys"):
            load(config=config)

    @pytest.mark.parametrize(
        "builder",
        ["evil", "keras_nlp.models.Evil", "os.system", "../evil", "__import__", ""],
    )
    def test_builders_that_are_not_registered(self, load, builder):
        with pytest.raises(hub.ConfigError, match="Unknown encoder"):
            load(config={"builder": builder})

    @pytest.mark.parametrize(
        "value",
        [
            {"module": "keras_nlp", "class_name": "Evil", "config": {}},
            [{"class_name": "__lambda__", "config": {"value": "evil"}}],
            {"class_name": "Lambda", "config": {"function": "evil"}},
        ],
    )
    @pytest.mark.parametrize("key", ["widths", "batch_norm_momentum"])
    def test_arguments_that_are_objects(self, load, key, value):
        with pytest.raises(hub.ConfigError, match=f"`{key}`"):
            load(config={"arguments": {key: value}})

    def test_objects_in_other_places(self, load):
        evil = {"module": "evil", "class_name": "Evil"}
        for key in ("builder", "input_size", "channels", "value_range"):
            with pytest.raises(hub.ConfigError, match=r"must be"):
                load(config={key: evil})
        with pytest.raises(hub.ConfigError, match="`preprocessing`"):
            load(config={"preprocessing": evil})


class SizeTest(TestCase):
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"arguments": {"widths": [10**9]}}, "widths"),
            ({"arguments": {"widths": [4] * 10**4}}, "widths"),
            ({"arguments": {"widths": [[[[4]]]]}}, "widths"),
            ({"arguments": {"widths": [-1]}}, "widths"),
            ({"arguments": {"widths": [1e308]}}, "widths"),
            ({"arguments": {"widths": "4" * 10**5}}, "widths"),
            ({"arguments": {"batch_norm_momentum": 10**400}}, "batch_norm_momentum"),
            ({"input_size": [10**9, 10**9]}, "height"),
            ({"channels": 10**9}, "channels"),
            ({"builder": "vit_tiny", "arguments": {"depth": 10**9}}, "depth"),
            (
                {
                    "builder": "vit_tiny",
                    "input_size": [4096, 4096],
                    "arguments": {"patch_size": 1},
                },
                "tokens",
            ),
            ({"builder": "resnet50", "arguments": {"width": 10**6}}, "width"),
            (
                {
                    "builder": "efficientnet_v2_b0",
                    "arguments": {"width_multiplier": 1e9},
                },
                "width_multiplier",
            ),
        ],
    )
    def test_configs_that_ask_for_too_much(self, load, config, message):
        with pytest.raises(hub.ConfigError, match=message):
            load(config=config)

    @pytest.mark.parametrize(
        "config",
        [
            {"arguments": {"widths": [8192] * 64}},
            {"builder": "resnet18", "arguments": {"width": 256}},
            {"builder": "vit_tiny", "arguments": {"dim": 8190, "depth": 12}},
        ],
        ids=["convnet", "resnet", "vit"],
    )
    def test_shape_bombs_take_no_memory(self, load, config):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(hub.WeightsError, match=r"bytes, but .* parameters"):
            load(config=config)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 500_000, f"{grown} KiB were taken"

    def test_huge_json(self, load):
        with pytest.raises(hub.UnsafeFileError, match="bytes"):
            load({"config.json": b" " * (2 << 20)})

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"a":' * 100_000,
            '{"library": "keras_tc2", "format_version": 1' + "0" * 5000 + "}",
            '{"library": "keras_tc2", "x": NaN}',
            '{"library": "keras_tc2", "x": Infinity}',
            '{"library": "keras_tc2"',
            "",
            "\xff\xfe",
        ],
        ids=["lists", "dicts", "digits", "nan", "infinity", "cut", "empty", "bytes"],
    )
    def test_json_that_breaks_readers(self, load, text):
        with pytest.raises(hub.ConfigError, match="not a JSON file"):
            load({"config.json": text.encode("latin-1")})

    @pytest.mark.parametrize("text", ["[]", "3", '"keras_tc2"', "null", "{}"])
    def test_json_of_other_kinds(self, load, text):
        with pytest.raises(hub.NotAnEncoderError, match="another library"):
            load(only={"config.json": text.encode()})

    def test_infinite_numbers(self, load, honest):
        text = (
            honest["config.json"]
            .decode()
            .replace('"value_range": null', '"value_range": [0, 1e999]')
        )
        with pytest.raises(hub.ConfigError, match="value_range"):
            load({"config.json": text.encode()})

    def test_newer_format(self, load):
        with pytest.raises(hub.ConfigError, match=r"version 3.*pip install --upgrade"):
            load(config={"format_version": 3})


class WeightsTest(TestCase):
    @pytest.mark.parametrize("target", ["/etc/passwd", "diary.h5"])
    def test_external_link(self, load, honest, tmp_path, target):
        def edit(file):
            del file[KERNEL]
            file[KERNEL] = h5py.ExternalLink(target, "/secret")

        with pytest.raises(hub.UnsafeFileError, match="ExternalLink"):
            load(**edited(honest, tmp_path, edit))

    def test_soft_link(self, load, honest, tmp_path):
        def edit(file):
            del file[KERNEL]
            file[KERNEL] = h5py.SoftLink("/layers")

        with pytest.raises(hub.UnsafeFileError, match="SoftLink"):
            load(**edited(honest, tmp_path, edit))

    def test_values_kept_in_another_file(self, load, honest, house, tmp_path):
        def edit(file):
            del file[KERNEL]
            diary = str(house / "documents" / "diary.txt")
            file.create_dataset(
                KERNEL, (3, 3, 1, 4), "float32", external=[(diary, 0, 144)]
            )

        with pytest.raises(hub.UnsafeFileError, match="in another file"):
            load(**edited(honest, tmp_path, edit))

    def test_virtual_values(self, load, honest, tmp_path):
        def edit(file):
            del file[KERNEL]
            layout = h5py.VirtualLayout((3, 3, 1, 4), "float32")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 3, 1, 4))
            file.create_virtual_dataset(KERNEL, layout)

        with pytest.raises(hub.UnsafeFileError, match="in another file"):
            load(**edited(honest, tmp_path, edit))

    def test_groups_in_a_circle(self, load, honest, tmp_path):
        def edit(file):
            file["layers/functional/again"] = file["layers"]

        with pytest.raises(hub.UnsafeFileError, match="circle"):
            load(**edited(honest, tmp_path, edit))

    def test_values_that_are_objects(self, load, honest, tmp_path):
        def edit(file):
            del file[KERNEL]
            file[KERNEL] = "text"

        with pytest.raises(hub.UnsafeFileError, match="no plain tensor"):
            load(**edited(honest, tmp_path, edit))

    def test_a_huge_tensor_without_values(self, load, honest, tmp_path):
        def edit(file):
            del file[KERNEL]
            file.create_dataset(KERNEL, (10**6, 10**6), "float32", chunks=(1, 1024))

        with pytest.raises(hub.WeightsError, match=r"has \(1000000, 1000000\)"):
            load(**edited(honest, tmp_path, edit))

    def test_nan(self, load, honest, tmp_path):
        def edit(file):
            file[KERNEL][0] = np.nan

        with pytest.raises(hub.WeightsError, match="NaN"):
            load(**edited(honest, tmp_path, edit))

    def test_renamed_tensor(self, load, honest, tmp_path):
        def edit(file):
            file.move(KERNEL, "layers/functional/layers/conv2d/vars/../../evil")

        with pytest.raises(hub.WeightsError, match="missing"):
            load(**edited(honest, tmp_path, edit))

    def test_other_values_under_the_old_checksum(self, load, honest, tmp_path):
        def edit(file):
            file[KERNEL][0] += 1

        with pytest.raises(hub.WeightsError, match="checksum"):
            load(edited(honest, tmp_path, edit)["files"])

    @pytest.mark.parametrize("keep", [0, 8, 100, 2000])
    def test_truncated(self, load, honest, keep):
        with pytest.raises(hub.WeightsError, match="truncated"):
            load({"model.weights.h5": honest["model.weights.h5"][:keep]})

    def test_another_file_under_the_name(self, load):
        with pytest.raises(hub.WeightsError, match="truncated"):
            load({"model.weights.h5": pickle.dumps(list(range(9999)))})


class PathTest(TestCase):
    def test_names_that_lead_out_are_not_fetched(self, load, tmp_path):
        names = ["../../evil.txt", "../config.json", "/tmp/evil.txt", "a/../../b.txt"]
        assert load({name: b"out" for name in names}).feature_dim == 4
        assert not list(tmp_path.rglob("evil.txt"))

    def test_a_link_as_git_stores_it(self, load):
        with pytest.raises(hub.ConfigError, match="not a JSON file"):
            load({"config.json": b"../../../../etc/passwd"})

    @pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
    def test_links_out_of_a_folder(self, honest, house, tmp_path, name):
        folder = tmp_path / "folder"
        folder.mkdir()
        for file, content in honest.items():
            (folder / file).write_bytes(content)
        assert from_pretrained(folder).feature_dim == 4
        (folder / name).rename(tmp_path / "elsewhere")
        (folder / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(hub.UnsafeFileError, match="leads out of its folder"):
            from_pretrained(folder)

    def test_links_within_a_folder(self, honest, tmp_path):
        for file, content in honest.items():
            (tmp_path / f"real_{file}").write_bytes(content)
            (tmp_path / file).symlink_to(f"real_{file}")
        assert from_pretrained(tmp_path).feature_dim == 4

    @pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
    def test_names_that_are_no_files(self, honest, tmp_path, name, make):
        for file, content in honest.items():
            (tmp_path / file).write_bytes(content)
        (tmp_path / name).unlink()
        make(tmp_path / name)
        with pytest.raises(hub.UnsafeFileError, match="not a regular file"):
            from_pretrained(tmp_path)
