"""Push and fetch with the stock client over real HTTP."""

import os
import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from keras_tc2 import encoders, hub
from keras_tc2.encoders import Encoder, from_pretrained
from tests.hub.conftest import TOKEN
from tests.test_case import TestCase


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


@pytest.fixture(scope="module")
def encoder():
    return encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])


@pytest.fixture(scope="module")
def large_encoder():
    """Its weights, 1.2 MB, go by the upload for large files."""
    return encoders.create("convnet", input_shape=(8, 8, 3), widths=[64, 384])


class Part:
    """Stands for a pretrainer: it writes its parts where it is told."""

    def save_pretrainer_parts(self, folder, *, encoder_sha256):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.weights.h5").write_bytes(b"weights")


class PushTest(TestCase):
    def test_push_then_fetch_gives_the_same_features(self, server, encoder):
        url = encoder.push_to_hub("me/enc", token=TOKEN)
        sha = server.repositories["me/enc"].resolve("main")
        assert url == f"{server.url}/me/enc/commit/{sha}"
        assert set(server.files("me/enc")) == {
            ".gitattributes",
            "README.md",
            "config.json",
            "model.weights.h5",
        }
        x = images(2, 8, 8, 1)
        np.testing.assert_array_equal(from_pretrained("me/enc")(x), encoder(x))
        same = Encoder.from_pretrained("me/enc", local_files_only=True, trainable=False)
        np.testing.assert_array_equal(same(x), encoder(x))
        assert not same.trainable_variables

    def test_one_commit(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN, commit_message="First")
        assert len(server.repositories["me/enc"].commits) == 2
        commits = [path for _, path in server.requests if "/commit/" in path]
        assert len(commits) == 1

    def test_large_files_and_a_fresh_process(self, server, large_encoder, tmp_path):
        large_encoder.push_to_hub("me/large", token=TOKEN)
        assert server.objects, "nothing went by the upload for large files"
        x = images(2, 8, 8, 3)
        np.save(tmp_path / "x.npy", x)
        script = """
            import sys
            import numpy as np
            from keras_tc2.encoders import from_pretrained

            x = np.load(sys.argv[1] + "/x.npy")
            features = from_pretrained("me/large").predict(x, verbose=0)
            np.save(sys.argv[1] + "/features.npy", features)
        """
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
            check=True,
            env={
                **os.environ,
                "PYTHONPATH": os.getcwd(),
                "HF_ENDPOINT": server.url,
                "HF_HOME": str(tmp_path / "home"),
                "HF_HUB_DISABLE_XET": "1",
                "CUDA_VISIBLE_DEVICES": "",
            },
        )
        features = np.load(tmp_path / "features.npy")
        expected = large_encoder.predict(x, verbose=0)
        # That process has no GPU; this one may, and sums in another order there.
        self.assert_close(features, expected, rtol=1e-5)

    def test_private(self, server, encoder):
        encoder.push_to_hub("me/secret", token=TOKEN, private=True)
        assert server.repositories["me/secret"].private
        assert from_pretrained("me/secret", token=TOKEN).feature_dim == 4

    def test_branch(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN, branch="v2")
        assert "config.json" in server.files("me/enc", "v2")
        assert "config.json" not in server.files("me/enc", "main")
        assert from_pretrained("me/enc", revision="v2").feature_dim == 4

    def test_tag_and_commit(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        repository = server.repositories["me/enc"]
        first = repository.resolve("main")
        repository.refs["v1"] = first
        wider = encoders.create("convnet", input_shape=(8, 8, 1), widths=[6])
        wider.push_to_hub("me/enc", token=TOKEN)
        assert from_pretrained("me/enc").feature_dim == 6
        assert from_pretrained("me/enc", revision="v1").feature_dim == 4
        assert from_pretrained("me/enc", revision=first).feature_dim == 4

    def test_pull_request(self, server, encoder):
        url = encoder.push_to_hub("me/enc", token=TOKEN, create_pr=True)
        assert url == f"{server.url}/me/enc/discussions/1"
        assert "config.json" not in server.files("me/enc")
        assert "config.json" in server.files("me/enc", "refs/pr/1")

    def test_dry_run_is_exactly_what_a_push_sends(
        self, server, encoder, tmp_path, monkeypatch
    ):
        picture = tmp_path / "curves.png"
        picture.write_bytes(b"picture")
        options = {
            "license": "apache-2.0",
            "pictures": [picture],
            "include_pretrainer": Part(),
        }
        folder = encoder.push_to_hub("me/enc", dry_run=tmp_path / "dry", **options)
        assert server.requests == []
        encoder.push_to_hub("me/enc", token=TOKEN, **options)
        sent = server.files("me/enc")
        folder = pathlib.Path(folder)
        written = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert set(written) == {
            "README.md",
            "config.json",
            "model.weights.h5",
            "pictures/curves.png",
            "pretrainer/config.json",
            "pretrainer/model.weights.h5",
        }
        assert set(sent) - {".gitattributes"} == set(written)
        # HDF5 files hold times, so weights and their checksum differ by run.
        varying = {"model.weights.h5", "config.json"}
        for name in set(written) - varying:
            assert sent[name] == written[name], name

    def test_dry_run_into_a_full_folder(self, encoder, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(ValueError, match="empty or new folder"):
            encoder.push_to_hub("me/enc", dry_run=tmp_path)

    def test_what_a_later_push_lacks_is_deleted(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN, include_pretrainer=Part())
        assert "pretrainer/config.json" in server.files("me/enc")
        server.files("me/enc")["notes.txt"] = b"by hand"
        encoder.push_to_hub("me/enc", token=TOKEN)
        assert "pretrainer/config.json" not in server.files("me/enc")
        assert server.files("me/enc")["notes.txt"] == b"by hand"

    def test_safetensors(self, server, encoder):
        safetensors = pytest.importorskip("safetensors.numpy")
        encoder.push_to_hub("me/enc", token=TOKEN, safetensors=True)
        tensors = safetensors.load(server.files("me/enc")["model.safetensors"])
        assert len(tensors) == len(encoder.network.variables)
        kernel = tensors["stage1_conv.kernel"]
        np.testing.assert_array_equal(kernel, encoder.network.variables[0])

    def test_safetensors_missing(self, encoder, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "safetensors", None)
        monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
        with pytest.raises(
            ImportError, match=r"pip install 'keras-tc2\[safetensors\]'"
        ):
            encoder.push_to_hub("me/enc", safetensors=True, dry_run=tmp_path / "dry")

    def test_nothing_that_is_no_pretrainer(self, encoder, tmp_path):
        with pytest.raises(ValueError, match="`include_pretrainer` must be"):
            encoder.push_to_hub("me/e", include_pretrainer=True, dry_run=tmp_path / "d")

    def test_pictures_of_one_name(self, encoder, tmp_path):
        pictures = [tmp_path / name / "curve.png" for name in "abc"]
        for picture in pictures:
            picture.parent.mkdir()
            picture.write_text(picture.parent.name)
        dry = tmp_path / "dry"
        encoder.push_to_hub("me/e", pictures=pictures, dry_run=dry)
        card = (dry / "README.md").read_text()
        names = ["curve.png", "curve_2.png", "curve_3.png"]
        for name, content in zip(names, "abc", strict=True):
            assert (dry / "pictures" / name).read_text() == content
            assert f"(pictures/{name})" in card

    def test_missing_picture(self, encoder, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no picture a\.png"):
            encoder.push_to_hub("me/e", pictures=["a.png"], dry_run=tmp_path / "d")
        with pytest.raises(ValueError, match=r"list of paths, \['a\.png'\]"):
            encoder.push_to_hub("me/e", pictures="a.png", dry_run=tmp_path / "d")

    def test_wrapped_model(self, server):
        inputs = keras.Input((8, 8, 1))
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
        with pytest.raises(ValueError, match="register"):
            Encoder.wrap(model).push_to_hub("me/enc", token=TOKEN)
        assert server.requests == []


class CardTest(TestCase):
    def test_card_edited_by_hand_stays(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        edited = server.files("me/enc")["README.md"] + b"\nMy own words.\n"
        server.files("me/enc")["README.md"] = edited
        encoder.push_to_hub("me/enc", token=TOKEN, license="mit")
        assert server.files("me/enc")["README.md"] == edited
        encoder.push_to_hub("me/enc", token=TOKEN, license="mit", overwrite_card=True)
        assert b"license: mit" in server.files("me/enc")["README.md"]

    def test_card_of_an_earlier_push_is_renewed(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        encoder.push_to_hub("me/enc", token=TOKEN, license="mit")
        assert b"license: mit" in server.files("me/enc")["README.md"]


class FailedPushTest(TestCase):
    @pytest.mark.parametrize(
        ("route", "failure"),
        [
            ("preupload", 500),
            ("lfs", "cut"),
            ("upload", 403),
            ("commit", 409),
            ("commit", "cut"),
        ],
    )
    def test_leaves_the_repository_as_it_was(
        self, server, encoder, large_encoder, route, failure, monkeypatch
    ):
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        encoder.push_to_hub("me/enc", token=TOKEN)
        before = dict(server.repositories["me/enc"].commits)
        refs = dict(server.repositories["me/enc"].refs)
        server.fail[route] = failure
        with pytest.raises(hub.HubError) as error:
            large_encoder.push_to_hub("me/enc", token=TOKEN)
        assert TOKEN not in str(error.value)
        assert server.repositories["me/enc"].commits == before
        assert server.repositories["me/enc"].refs == refs
        server.fail.clear()
        large_encoder.push_to_hub("me/enc", token=TOKEN)
        assert from_pretrained("me/enc").feature_dim == 384

    def test_someone_else_commits_meanwhile(self, server, encoder, monkeypatch):
        encoder.push_to_hub("me/enc", token=TOKEN)
        repository = server.repositories["me/enc"]
        from huggingface_hub import HfApi

        commit = HfApi.create_commit

        def late(self, *arguments, **keywords):
            files = {**server.files("me/enc"), "other.txt": b"other"}
            repository.commit("main", files, message="other")
            return commit(self, *arguments, **keywords)

        monkeypatch.setattr(HfApi, "create_commit", late)
        with pytest.raises(hub.HubError, match="someone else at the same time"):
            encoder.push_to_hub("me/enc", token=TOKEN, license="mit")
        assert b"license: mit" not in server.files("me/enc")["README.md"]

    @pytest.mark.parametrize(
        ("repo_id", "token", "message"),
        [
            ("you/enc", TOKEN, "token may not do this.*token="),
            (
                "me/enc",
                "hf_wrongwrongwrongwrongwrongwrongwrong",
                "does not know the token.*hf auth login",
            ),
            ("me/enc", False, "does not know the token|token may not"),
            ("a/b/c", TOKEN, "namespace/name"),
        ],
    )
    def test_refusals(self, server, encoder, repo_id, token, message):
        with pytest.raises((hub.HubError, ValueError), match=message) as error:
            encoder.push_to_hub(repo_id, token=token)
        assert "hf_wrong" not in str(error.value)
        assert server.repositories == {}


class FetchErrorsTest(TestCase):
    def test_not_found(self, server):
        with pytest.raises(hub.HubError, match=r"no repository 'me/none'.*private"):
            from_pretrained("me/none")

    def test_private_without_token(self, server, encoder):
        encoder.push_to_hub("me/secret", token=TOKEN, private=True)
        with pytest.raises(hub.HubError, match=r"'me/secret'.*private.*token="):
            from_pretrained("me/secret")

    def test_bad_token(self, server, encoder):
        encoder.push_to_hub("me/secret", token=TOKEN, private=True)
        with pytest.raises(hub.HubError, match="does not know the token") as error:
            from_pretrained("me/secret", token="hf_wrongwrongwrongwrongwrongwrongwrong")
        assert "hf_wrong" not in str(error.value)

    def test_gated(self, server, encoder):
        encoder.push_to_hub("me/gated", token=TOKEN)
        server.repositories["me/gated"].gated = True
        with pytest.raises(hub.HubError, match=r"gated.*Ask for access.*me/gated"):
            from_pretrained("me/gated")

    def test_revision_not_found(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        with pytest.raises(hub.HubError, match="no branch, tag or commit 'v9'"):
            from_pretrained("me/enc", revision="v9")

    def test_weights_not_found(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        del server.files("me/enc")["model.weights.h5"]
        with pytest.raises(FileNotFoundError, match=r"no model\.weights\.h5"):
            from_pretrained("me/enc")

    def test_folder_not_found(self):
        with pytest.raises(FileNotFoundError, match="save_pretrained"):
            from_pretrained("./nothing/here")

    def test_no_repository_name(self, server):
        with pytest.raises(ValueError, match="namespace/name"):
            from_pretrained("two words")
        assert server.requests == []

    @pytest.mark.parametrize(
        ("names", "looks_like"),
        [
            (["pytorch_model.bin", "config.json"], "PyTorch model"),
            (["model.safetensors"], "PyTorch model"),
            (["encoder.keras"], "Keras model"),
            (["metadata.json", "model.weights.h5"], "Keras model"),
            (["saved_model.pb"], "SavedModel"),
            (["README.md"], "empty repository"),
            (["config.json"], "config.json of another library"),
            (["data.csv"], r"a folder of \.gitattributes, data\.csv"),
        ],
    )
    def test_other_repositories(self, server, names, looks_like):
        server.add("me/other", {name: b"{}" for name in names})
        with pytest.raises(hub.NotAnEncoderError, match=looks_like):
            from_pretrained("me/other")

    def test_huge_files_are_not_fetched(self, server, encoder, monkeypatch):
        encoder.push_to_hub("me/enc", token=TOKEN)
        server.files("me/enc")["config.json"] = b" " * (2 << 20)
        server.requests.clear()
        with pytest.raises(hub.UnsafeFileError, match=r"config\.json.*2097152 bytes"):
            from_pretrained("me/enc")
        assert not [path for verb, path in server.requests if "objects" in path]


class CacheTest(TestCase):
    def test_offline(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        x = images(2, 8, 8, 1)
        from_pretrained("me/enc")
        server.requests.clear()
        reloaded = from_pretrained("me/enc", local_files_only=True)
        np.testing.assert_array_equal(reloaded(x), encoder(x))
        assert server.requests == []

    def test_offline_and_not_cached(self, server):
        with pytest.raises(hub.HubError, match=r"not in the cache.*local_files_only"):
            from_pretrained("me/enc", local_files_only=True)

    def test_own_cache_folder(self, server, encoder, tmp_path):
        encoder.push_to_hub("me/enc", token=TOKEN)
        from_pretrained("me/enc", cache_dir=tmp_path / "own")
        assert (tmp_path / "own" / "models--me--enc").is_dir()
        assert not (tmp_path / "cache").exists()

    def test_a_second_load_fetches_nothing(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        from_pretrained("me/enc")
        server.requests.clear()
        from_pretrained("me/enc")
        assert not [
            path
            for verb, path in server.requests
            if verb == "GET" and "/resolve/" in path
        ]
        from_pretrained("me/enc", force_download=True)
        assert [
            path
            for verb, path in server.requests
            if verb == "GET" and "/resolve/" in path
        ]

    def test_files_of_one_commit_only(self, server, encoder):
        encoder.push_to_hub("me/enc", token=TOKEN)
        server.requests.clear()
        from_pretrained("me/enc")
        sha = server.repositories["me/enc"].resolve("main")
        resolved = [path for _, path in server.requests if "/resolve/" in path]
        assert resolved
        assert all(f"/resolve/{sha}/" in path for path in resolved)

    def test_the_snapshot_folder_itself_loads(self, server, encoder, tmp_path):
        encoder.push_to_hub("me/enc", token=TOKEN)
        from_pretrained("me/enc")
        snapshots = tmp_path / "cache" / "models--me--enc" / "snapshots"
        (snapshot,) = snapshots.iterdir()
        assert from_pretrained(snapshot).feature_dim == 4


class TokenTest(TestCase):
    def test_no_token_is_written_or_logged(
        self, server, encoder, tmp_path, caplog, capfd
    ):
        caplog.set_level("DEBUG")
        encoder.training_record = {"command": f"python pretrain.py --token={TOKEN}"}
        try:
            encoder.push_to_hub("me/enc", token=TOKEN)
        finally:
            encoder.training_record = None
        from_pretrained("me/enc", token=TOKEN)
        for name, content in server.files("me/enc").items():
            assert TOKEN.encode() not in content, name
        assert b"--token=hf_***" in server.files("me/enc")["README.md"]
        assert TOKEN not in caplog.text
        assert TOKEN not in "".join(capfd.readouterr())
        for path in (tmp_path / "cache").rglob("*"):
            if path.is_file():
                assert TOKEN.encode() not in path.read_bytes(), path
