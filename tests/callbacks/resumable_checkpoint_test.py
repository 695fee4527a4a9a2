"""Runs that are killed, terminated, starved of disk or damaged, and go on."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading

import keras
import ml_dtypes
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_tc2 import augment, data, objectives
from keras_tc2.callbacks import ResumableCheckpoint
from keras_tc2.callbacks.checkpoint_file import (
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)
from keras_tc2.callbacks.run_state import variables
from keras_tc2.pretraining import SSLPretrainer
from keras_tc2.pretraining.core import run_data
from tests import tiny
from tests.callbacks import resumable_run
from tests.callbacks.resumable_run import EPOCHS, STEPS, new_model, new_views, train
from tests.data.pictures import noise
from tests.test_case import TestCase


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder with all checkpoints of an uninterrupted run; its state and history."""
    folder = tmp_path_factory.mktemp("finished")
    model = train(folder, every_steps=3, keep=100)
    return folder, resumable_run.state(model), model.history.history


def copied(finished, folder, last_step):
    """The folder of a run that was killed after a step."""
    for path in finished[0].glob("step_*.npz"):
        if int(path.stem.split("_")[1]) <= last_step:
            shutil.copy(path, folder)
    return folder


def assert_same_state(model, expected):
    actual = resumable_run.state(model)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


class Stop(Exception):
    """What a test ends a run with."""


class At(keras.callbacks.Callback):
    """Calls a function once so many steps of this process are done."""

    def __init__(self, step, function):
        super().__init__()
        self.left, self.function = step, function

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.function()


def stop():
    raise Stop


class ResumeTest(TestCase):
    def test_goes_on_in_the_middle_of_an_epoch(self, finished, tmp_path):
        folder = copied(finished, tmp_path, 6)
        batches = []

        class Count(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                batches.append(batch)

        model = train(folder, every_steps=3, more_callbacks=[Count()])
        assert batches == [0, 1, 2, 3, *range(STEPS), *range(STEPS)]
        assert_same_state(model, finished[1])
        assert model.history.history == finished[2]
        assert model.history.epoch == list(range(EPOCHS))
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["step_0000000018.npz", "step_0000000020.npz"]

    def test_saves_every_so_many_steps_and_the_end(self, finished):
        steps = [int(p.stem.split("_")[1]) for p in sorted(finished[0].iterdir())]
        assert steps == [3, 6, 9, 12, 15, 18, 20]

    def test_a_finished_run_is_not_trained_again(self, finished, tmp_path):
        model = train(copied(finished, tmp_path, 20), more_callbacks=[At(1, stop)])
        assert_same_state(model, finished[1])
        assert model.history.history == finished[2]
        assert model.history.epoch == list(range(EPOCHS))

    @pytest.mark.parametrize("source", ["stream", "repeated"])
    def test_other_kinds_of_data(self, source, tmp_path):
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        arguments = {"kind": "ssl", "source": source, "every_steps": 4}
        expected = train(whole, **arguments)
        with pytest.raises(Stop):
            train(killed, **arguments, more_callbacks=[At(10, stop)])
        assert ResumableCheckpoint(killed).newest().name == "step_0000000008.npz"
        assert_same_state(train(killed, **arguments), resumable_run.state(expected))

    def test_saves_once_an_epoch_by_default(self, tmp_path):
        with pytest.raises(Stop):
            train(tmp_path, kind="ssl", keep=9, more_callbacks=[At(12, stop)])
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["step_0000000005.npz", "step_0000000010.npz"]

    def test_everything_that_changes_is_held(self):
        model = new_model()
        named = variables(model)
        held = {id(v) for v in named.values()}
        parts = [*model.variables, *model.optimizer.variables]
        parts += model.calibrator_optimizer.variables
        parts += [v for metric in model.metrics for v in metric.variables]
        assert {id(v) for v in parts} == held
        assert any("seed" in name for name in named)
        assert any("cosine_similarity" in name for name in named)
        assert list(named) == list(variables(new_model()))


class KillTest(TestCase):
    """Real processes, killed with SIGKILL."""

    def start(self, folder, result, **options):
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.callbacks.resumable_run",
                str(folder),
                str(result),
                json.dumps({"every_steps": 2, **options}),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def kill_at(self, process, line):
        for printed in process.stdout:
            if printed.strip() == line:
                break
        else:
            raise AssertionError(f"the run ended before it printed {line!r}")
        process.kill()
        process.communicate()

    @pytest.mark.parametrize(
        ("kind", "num_kills"),
        [
            ("ssl", 1),
            # One process more, which dies at an easier moment, or the compiling of TC².
            pytest.param("ssl", 2, marks=pytest.mark.slow),
            pytest.param("tc2", 2, marks=pytest.mark.slow),
        ],
    )
    def test_killed_runs_end_like_one_that_was_not(self, kind, num_kills, tmp_path):
        folder = tmp_path / "run"
        whole = self.start(tmp_path / "whole", tmp_path / "whole.npz", kind=kind)
        options = {"kind": kind, "seconds": 0.05}
        during_save = self.start(folder, tmp_path / "a", **options, stall_save=3)
        self.kill_at(during_save, "saving")
        assert len(list(folder.glob(".*unfinished*"))) == 1
        assert ResumableCheckpoint(folder).newest().name == "step_0000000004.npz"
        if num_kills == 2:
            process = self.start(folder, tmp_path / "a", **options)
            assert process.stdout.readline().strip() == "step 5"
            # Somewhere in the next steps, or between, or in a save.
            threading.Event().wait(np.random.default_rng().uniform(0, 0.4))
            process.kill()
            process.communicate()
        last = self.start(folder, tmp_path / "killed.npz", kind=kind)
        steps, _ = last.communicate()
        if num_kills == 1:
            assert steps.splitlines()[0] == "step 5"
        whole.communicate()
        assert not list(folder.glob(".*unfinished*"))
        with (
            np.load(tmp_path / "whole.npz") as expected,
            np.load(tmp_path / "killed.npz") as actual,
        ):
            assert sorted(expected.files) == sorted(actual.files)
            for name in expected.files:
                np.testing.assert_array_equal(actual[name], expected[name])


class TerminationTest(TestCase):
    def test_sigterm_saves_and_exits(self, tmp_path, capsys):
        whole, folder = tmp_path / "whole", tmp_path / "run"
        expected = train(whole, kind="ssl")

        def terminate():
            os.kill(os.getpid(), signal.SIGTERM)

        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as exit_info:
            train(folder, kind="ssl", more_callbacks=[At(7, terminate)])
        assert exit_info.value.code == 143
        assert signal.getsignal(signal.SIGTERM) == before
        newest = ResumableCheckpoint(folder).newest()
        assert newest.name == "step_0000000007.npz"
        assert f"stopped after step 7. The newest checkpoint is {newest}" in (
            capsys.readouterr().err
        )
        assert_same_state(train(folder, kind="ssl"), resumable_run.state(expected))

    def test_sigterm_while_other_callbacks_end_the_training(self, tmp_path):
        def terminate(logs):
            os.kill(os.getpid(), signal.SIGTERM)

        last = keras.callbacks.LambdaCallback(on_train_end=terminate)
        with pytest.raises(SystemExit) as exit_info:
            train(tmp_path, kind="ssl", more_callbacks=[last])
        assert exit_info.value.code == 143


class DamageTest(TestCase):
    def test_a_truncated_newest_falls_back_and_says_so(self, finished, tmp_path):
        folder = copied(finished, tmp_path, 15)
        newest = ResumableCheckpoint(folder).newest()
        os.truncate(newest, newest.stat().st_size // 2)
        with pytest.warns(UserWarning, match=r"step_0000000015.npz is damaged"):
            model = train(folder, every_steps=3)
        assert_same_state(model, finished[1])
        assert newest.with_suffix(".damaged").exists()

    def test_every_altered_byte_is_noticed(self, tmp_path):
        path = tmp_path / "step_1.npz"
        arrays = {"a": np.arange(8.0), "b": np.ones((2, 2), ml_dtypes.bfloat16)}
        write_checkpoint(path, {"step": 1}, arrays)
        manifest, read = read_checkpoint(path)
        assert manifest == {"step": 1}
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            np.testing.assert_array_equal(read[name], array)
        content = path.read_bytes()
        start = content.index(arrays["a"].tobytes())
        altered = bytearray(content)
        altered[start + 9] ^= 1
        path.write_bytes(altered)
        with pytest.raises(DamagedCheckpointError):
            read_checkpoint(path)
        for length in (0, 10, len(content) // 3, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(DamagedCheckpointError):
                read_checkpoint(path)

    def test_a_wrong_checksum_is_noticed(self, tmp_path):
        path = tmp_path / "step_1.npz"
        write_checkpoint(path, {}, {"a": np.zeros(2)})
        with np.load(path) as file:
            manifest = file["manifest"]
        np.savez(path, a=np.ones(2), manifest=manifest)
        with pytest.raises(DamagedCheckpointError, match="checksum of a"):
            read_checkpoint(path)

    # NumPy 2.0 leaves its archive open when a write fails.
    @pytest.mark.filterwarnings("ignore:Exception ignored in.*ZipFile")
    def test_a_full_disk_leaves_the_old_checkpoint(self, tmp_path):
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)

        def fill():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limit[1]))

        def empty():
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            found.append([path.name for path in tmp_path.iterdir()])

        found = []
        events = [At(3, fill), At(5, empty)]
        with pytest.warns(UserWarning, match=r"after step 4.*step_0000000002.npz"):
            train(tmp_path, kind="ssl", every_steps=2, more_callbacks=events)
        assert found == [["step_0000000002.npz"]]
        read_checkpoint(ResumableCheckpoint(tmp_path).newest())

    # NumPy 2.0 leaves its archive open when a write fails.
    @pytest.mark.filterwarnings("ignore:Exception ignored in.*ZipFile")
    def test_the_end_of_a_run_must_be_saved(self, tmp_path):
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)

        def fill():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limit[1]))

        try:
            with pytest.raises(OSError, match="large"):
                train(tmp_path, kind="ssl", more_callbacks=[At(20, fill)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert ResumableCheckpoint(tmp_path).newest().name == "step_0000000015.npz"


class RefusalTest(TestCase):
    def test_another_model_is_refused_by_the_names_that_differ(
        self, finished, tmp_path
    ):
        folder = copied(finished, tmp_path, 6)
        with pytest.raises(
            ValueError, match=r"step_0000000006.npz is of another run"
        ) as refusal:
            train(folder, model=new_model("ssl"))
        # Another model cannot be allowed.
        assert "allow_changes" not in str(refusal.value)
        model = new_model()
        model.inner_learning_rate = 0.5
        message = (
            "(?s)model/inner_learning_rate: 0.2 in the checkpoint, 0.5 now"
            ".*allow_changes=True"
        )
        with pytest.raises(ValueError, match=message):
            train(folder, model=model)
        model = new_model()
        before = model.get_weights()
        model.compile(keras.optimizers.Adam(0.5))
        with pytest.raises(ValueError, match=r"optimizer 0: .* in the checkpoint"):
            train(folder, model=model)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_arguments_of_an_older_version_are_the_same(self, tmp_path, monkeypatch):
        def run(epochs):
            objective = objectives.DINO(output_dim=4, center_momentum=0.5)
            model = SSLPretrainer(tiny.encoder(), objective=objective)
            model.compile(keras.optimizers.SGD(0.05))
            return model.fit(
                new_views(),
                epochs=epochs,
                callbacks=[ResumableCheckpoint(tmp_path)],
                verbose=0,
            )

        new_config = objectives.DINO.get_config

        def old_config(self):
            config = new_config(self)
            config["centre_momentum"] = config.pop("center_momentum")
            return config

        with monkeypatch.context() as older:
            older.setattr(objectives.DINO, "get_config", old_config)
            run(1)
        assert len(run(2).epoch) == 2

    def test_other_data_are_refused(self, finished, tmp_path):
        folder = copied(finished, tmp_path, 6)
        callback = ResumableCheckpoint(folder)
        with pytest.raises(ValueError, match="data/seed: 5 in the checkpoint, 6 now"):
            new_model().fit(new_views(seed=6), epochs=EPOCHS, callbacks=[callback])
        with pytest.raises(ValueError, match="data/steps_per_epoch: 5 in"):
            new_model().fit(
                new_views(), epochs=EPOCHS, steps_per_epoch=4, callbacks=[callback]
            )

    def test_other_images_or_another_augmentation(self, tmp_path):
        images = np.random.default_rng(0).integers(0, 256, (18, 6, 6, 2), "uint8")
        callback = ResumableCheckpoint(tmp_path)

        def run(epochs, images=images, **changes):
            keras.utils.set_random_seed(epochs)  # Of layers that draw their seed.
            recipes = [
                augment.Pipeline([augment.RandomHorizontalFlip(**changes)]),
                keras.layers.RandomTranslation(0.1, 0.1),
                lambda x: x,
                None,
            ]
            views = data.two_views(images, batch_size=8, augmentation=recipes)
            model = new_model("ssl")
            model.fit(views, epochs=epochs, callbacks=[callback], verbose=0)
            return len(model.history.epoch)

        def describe_as_0_1(dataset, describe=run_data.describe):
            kept = ("batch_size", "blocks", "seed")
            return {key: describe(dataset)[key] for key in kept}

        with pytest.MonkeyPatch.context() as older:
            older.setattr(run_data, "describe", describe_as_0_1)
            run(1)
        assert run(2) == 2
        assert run(3) == 3
        with pytest.raises(ValueError, match="num_images: 18 in the checkpoint, 17"):
            run(4, images[:17])
        changed = r"Pipeline/layers/0/RandomHorizontalFlip/probability: 0.5 .* 0.25 now"
        with pytest.raises(ValueError, match=changed):
            run(4, probability=0.25)

    def test_changes_may_be_allowed(self, finished, tmp_path):
        folder = copied(finished, tmp_path, 20)
        model = new_model()
        model.inner_learning_rate = 0.5
        with pytest.warns(UserWarning, match="inner_learning_rate"):
            train(folder, model=model, allow_changes=True)
        with pytest.raises(ValueError, match="of another run"):
            train(folder, model=new_model("ssl"), allow_changes=True)

    @pytest.mark.parametrize(
        ("batch_sizes", "saved", "done", "at_once"),
        # The last cannot begin between the two steps of an execution.
        [((4, 8), 12, 6, 1), ((8, 4), 6, 12, 1), ((4, 8), 10, 4, 2)],
    )
    def test_another_batch_size(self, batch_sizes, saved, done, at_once, tmp_path):
        images = np.random.default_rng(0).integers(0, 256, (32, 6, 6, 2), "uint8")
        callback = ResumableCheckpoint(tmp_path, every_steps=1, allow_changes=True)

        def run(batch_size, *more_callbacks):
            model = new_model("ssl", steps_per_execution=at_once)
            views = data.two_views(images, batch_size=batch_size)
            callbacks = [callback, *more_callbacks]
            model.fit(views, epochs=3, callbacks=callbacks, verbose=0)
            return model

        def newest():
            return int(callback.newest().stem.split("_")[1])

        before, now = batch_sizes
        with pytest.raises(Stop):
            run(before, At(saved // at_once + 1, stop))
        assert newest() == saved
        with pytest.warns(UserWarning, match="batch_size"), pytest.raises(Stop):
            run(now, At(2, stop))
        # What is newest stays so, with more steps than before or fewer.
        assert newest() == done + at_once
        model = run(now)
        assert newest() == 3 * len(images) // now
        assert model.optimizer.iterations == saved - done + newest()
        assert model.history.epoch == [0, 1, 2]
        assert len(model.history.history["loss"]) == 3

    def test_what_cannot_be_continued(self, tmp_path):
        callback = ResumableCheckpoint(tmp_path)
        model = new_model("ssl")
        with pytest.raises(ValueError, match=r"must be a `tf.data.Dataset`"):
            model.fit(*tiny.views(8), callbacks=[callback])
        with pytest.raises(ValueError, match="the length of its epochs must be known"):
            model.fit(new_views("repeated"), callbacks=[callback])
        model = new_model("ssl", steps_per_execution=2)
        with pytest.raises(ValueError, match="a multiple of `steps_per_execution`"):
            model.fit(new_views(), callbacks=[callback])
        stock = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        stock.compile("sgd", loss="mse")
        with pytest.raises(ValueError, match="`fit` of a keras_tc2 Pretrainer"):
            stock.fit(np.ones((2, 1)), np.ones((2, 1)), callbacks=[callback], verbose=0)

    def test_arguments(self, tmp_path):
        for arguments in ({"every_steps": 0}, {"keep": 0}):
            with pytest.raises(ValueError, match=next(iter(arguments))):
                ResumableCheckpoint(tmp_path, **arguments)


class NonFiniteTest(TestCase):
    def test_the_last_good_checkpoint_is_named(self, tmp_path):
        view_1, view_2 = (np.stack([v] * 8) for v in tiny.views(8))
        view_1[5:, 0] = np.nan
        dataset = tf.data.Dataset.from_tensor_slices((view_1, view_2))
        callback = ResumableCheckpoint(tmp_path, every_steps=3)
        message = r"step 5 of epoch 0.*last good checkpoint is .*step_0000000003.npz"
        with pytest.raises(FloatingPointError, match=message):
            new_model("ssl").fit(dataset, verbose=0, callbacks=[callback])
        # The second run starts from that checkpoint.
        skipped = pytest.warns(UserWarning, match="continue at step 3.*thrown away")
        with skipped, pytest.raises(FloatingPointError, match=message):
            new_model("ssl").fit(dataset, verbose=0, callbacks=[callback])
        _, arrays = read_checkpoint(callback.newest())
        assert all(np.all(np.isfinite(array)) for array in arrays.values())


class SkippedImagesTest(TestCase):
    def test_an_epoch_has_a_length(self, tmp_path, recwarn, capsys):
        for index in range(9):
            path = tmp_path / "images" / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            PIL.Image.fromarray(noise((6, 6, 2), index)).save(path)
        (tmp_path / "images" / "4.png").write_bytes(b"no image")
        images = data.load(
            tmp_path / "images", channels=2, on_error="skip", max_skipped_share=0.2
        )
        views = data.two_views(images, batch_size=4)
        model = new_model("ssl")
        checkpoint = ResumableCheckpoint(tmp_path / "run")
        model.fit(views, epochs=2, callbacks=[checkpoint], verbose=1)
        assert not [w for w in recwarn if "ran out of data" in str(w.message)]
        assert "Unknown" not in capsys.readouterr().out
        assert int(model.optimizer.iterations) == 4
