"""Views that a pretrainer makes itself, against those of `data.two_views`."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, callbacks, data, hub, recipes
from keras_tc2.layers import ProjectionHead
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from keras_tc2.pretraining.core import plain_parts, saved_parts
from keras_tc2.pretraining.core.device_views import placed_views
from tests import replicas, tiny
from tests.pretraining.bissl import tiny_bissl
from tests.pretraining.core.saved_parts_test import publish, scrambled, tc2
from tests.test_case import TestCase

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 9, 9, 2), "uint8")
SIZE = tiny.IMAGE_SHAPE[0]


def recipe(flips=True):
    """Every kind of operation that images of two channels know."""
    return augment.Pipeline(
        [
            augment.RandomResizedCrop(SIZE, area_range=(0.3, 1.0)),
            *([augment.RandomHorizontalFlip()] if flips else []),
            augment.RandomColorJitter(brightness=0.4, contrast=0.4, probability=0.8),
            augment.RandomGaussianBlur(probability=0.5),
            augment.RandomChannelGain(gain=0.1),
        ]
    )


AUGMENTATIONS = {
    "layer": recipe,
    "views": lambda: augment.Views([recipe(), recipe(flips=False)]),
    "tasks": lambda: [recipe(), augment.RandomResizedCrop(SIZE)],
}


def new_model(kind, augmentation=None, **arguments):
    keras.utils.set_random_seed(1)
    if kind == "ssl":
        arguments |= {"objective": "nt_xent"}
        model = SSLPretrainer(
            tiny.encoder(),
            projector=ProjectionHead(4),
            augmentation=augmentation,
            **arguments,
        )
    elif kind == "tc2":
        arguments = {
            **recipes.full_method(),
            "objective": "nt_xent",
            "num_tasks": 2,
            "num_factors": 3,
            **arguments,
        }
        model = TC2Pretrainer(
            tiny.encoder(),
            projector=ProjectionHead(4),
            augmentation=augmentation,
            **arguments,
        )
    else:
        model = tiny_bissl.trainer(augmentation=augmentation, **arguments)
    # Not where gradients of the calibrator are zero, and the same on both sides.
    tiny.move_off_the_start(model.trainable_variables)
    return model


def fit(model, dataset, **arguments):
    if hasattr(model, "downstream"):
        model.compile(
            keras.optimizers.SGD(0.05),
            upper_optimizer=keras.optimizers.SGD(0.05),
            head_optimizer=keras.optimizers.SGD(0.05),
        )
        images, labels = tiny_bissl.labelled()
        labelled = tf.data.Dataset.from_tensors((images, labels)).repeat()
        dataset = tf.data.Dataset.zip((dataset.repeat(), labelled))
        arguments["steps_per_epoch"] = 4
    else:
        model.compile(keras.optimizers.SGD(0.05))
    return model.fit(dataset, epochs=2, verbose=0, **arguments)


def assert_same(model, other, **tolerance):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


class DeviceViewsTest(TestCase):
    @pytest.mark.parametrize("kind", list(AUGMENTATIONS))
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_views_are_those_of_two_views_to_the_bit(self, kind, dtype):
        images = IMAGES.astype(dtype)
        images = images / np.float32(255) if dtype == "float32" else images
        augmentation = AUGMENTATIONS[kind]()
        expected = data.two_views(
            images, batch_size=8, augmentation=augmentation, seed=3
        )
        batches = data.batches(images, batch_size=8, seed=3)
        assert len(batches) == len(expected) == 3
        as_read = {"uint16": "float32"}.get(dtype, dtype)
        assert batches.element_spec[0].dtype.name == as_read
        make = tf.function(new_model("ssl", augmentation).batch_of)
        seen = []
        for views, batch in zip(expected, batches, strict=True):
            made, task_ids = make(batch)
            assert task_ids is None
            for view, other in zip(views, made, strict=True):
                np.testing.assert_array_equal(view, other)
            seen.append(made[0])
        assert np.ptp(np.stack(seen), axis=0).max() > 0

    @pytest.mark.parametrize(
        ("kind", "made_by"), [("ssl", "views"), ("tc2", "tasks"), ("bissl", "layer")]
    )
    def test_training_is_that_on_two_views(self, kind, made_by):
        augmentation = AUGMENTATIONS[made_by]()
        plain, own = new_model(kind), new_model(kind, augmentation)
        assert len(own.weights) == len(plain.weights)
        views = data.two_views(IMAGES, batch_size=8, augmentation=augmentation)
        expected = fit(plain, views).history
        found = fit(own, data.batches(IMAGES, batch_size=8)).history
        assert_same(own, plain)
        for key, values in expected.items():
            self.assert_close(found[key], values, rtol=1e-4)

    def test_validation_data(self):
        augmentation = recipe()
        plain, own = new_model("tc2"), new_model("tc2", augmentation)
        views = data.two_views(IMAGES, batch_size=8, augmentation=augmentation)
        batches = data.batches(IMAGES, batch_size=8)
        expected = fit(plain, views, validation_data=views.take(2)).history
        found = fit(own, batches, validation_data=batches.take(2)).history
        self.assert_close(found["val_loss"], expected["val_loss"], rtol=1e-4)

    @pytest.mark.parametrize(
        "num_replicas", [2, pytest.param(4, marks=pytest.mark.slow)]
    )
    def test_each_replica_has_its_own_blocks_and_seeds(self, num_replicas):
        augmentation = AUGMENTATIONS["tasks"]()
        models = []
        for own in (None, augmentation):
            with replicas.mirrored(num_replicas).scope():
                model = new_model("tc2", own, **recipes.block_tasks())
                model.compile(keras.optimizers.SGD(0.1))
            models.append(model)
        plain, own = models
        batch_size = 4 * num_replicas
        views = data.two_views(IMAGES, batch_size=batch_size, augmentation=augmentation)
        plain.fit(views, epochs=2, verbose=0)
        own.fit(data.batches(IMAGES, batch_size=batch_size), epochs=2, verbose=0)
        assert_same(own, plain)

    def test_is_resumed(self, tmp_path):
        def stop(batch, logs):
            if batch == 1:
                raise InterruptedError

        def train(*others):
            model = new_model("tc2", AUGMENTATIONS["views"]())
            fit(model, data.batches(IMAGES, batch_size=8), callbacks=list(others))
            return model

        def checkpoint():
            return callbacks.ResumableCheckpoint(tmp_path, every_steps=1)

        with pytest.raises(InterruptedError):
            train(checkpoint(), keras.callbacks.LambdaCallback(on_train_batch_end=stop))
        assert_same(train(checkpoint()), train(), rtol=0, atol=0)

    def test_multi_crop(self):
        crops = [augment.RandomResizedCrop(side) for side in (SIZE, SIZE, 4, 4, 4)]
        model = new_model("ssl", augment.Views(crops))
        views, _ = model.batch_of(next(iter(data.batches(IMAGES, batch_size=8))))
        assert [view.shape[1] for view in views] == [SIZE, SIZE, 4, 4, 4]
        objective = {"objective": "swav"}
        plain = SSLPretrainer(tiny.encoder(), projector=ProjectionHead(4), **objective)
        own = SSLPretrainer(
            tiny.encoder(),
            projector=ProjectionHead(4),
            augmentation=augment.Views(crops),
            **objective,
        )
        own.set_weights(plain.get_weights())
        views = data.multi_views(
            IMAGES, batch_size=8, augmentation=augment.Views(crops)
        )
        fit(plain, views)
        fit(own, data.batches(IMAGES, batch_size=8))
        assert_same(own, plain)

    def test_task_ids_come_with_the_images(self):
        augmentation = recipe()
        ids = tf.constant([0, 1] * 4)
        own = new_model("tc2", augmentation, task_assignment="given")
        plain = new_model("tc2", task_assignment="given")
        batches = data.batches(IMAGES, batch_size=8)
        views = data.two_views(IMAGES, batch_size=8, augmentation=augmentation)
        fit(own, batches.map(lambda images, seed: (images, seed, ids)))
        fit(plain, views.map(lambda view_1, view_2: (view_1, view_2, ids)))
        assert_same(own, plain)

    def test_ready_views_stay(self):
        model = new_model("ssl", recipe())
        views = tuple(map(tf.constant, tiny.views()))
        assert model.batch_of(views).views is views

    def test_a_function_of_the_user(self):
        model = new_model("ssl", lambda images: images[:, :SIZE, :SIZE] * 0.5)
        batch = next(iter(data.batches(IMAGES, batch_size=8, shuffle=False)))
        view_1, view_2 = model.batch_of(batch).views
        self.assert_close(view_1, IMAGES[:8, :SIZE, :SIZE] / 510)
        self.assert_close(view_2, view_1)

    def test_what_looks_at_batches_takes_them(self):
        augmentation = recipe()
        own, plain = new_model("tc2", augmentation), new_model("tc2")
        batches = data.batches(IMAGES, batch_size=8)
        views = data.two_views(IMAGES, batch_size=8, augmentation=augmentation)
        unwatched = fit(new_model("tc2", augmentation), batches).history
        batches = data.batches(IMAGES, batch_size=8)
        found, expected = (
            model.value_and_gradients(*callbacks.held_batch.held_batch(of))
            for model, of in ((own, batches), (plain, views))
        )
        self.assert_close(found[0]["loss"], expected[0]["loss"])
        for a, b in zip(found[1], expected[1], strict=True):
            self.assert_close(a, b, rtol=1e-4)
        own_conflict, conflict = (
            model.conflict(list(of), num_bootstraps=20)
            for model, of in (
                (own, data.batches(IMAGES, batch_size=8)),
                (
                    plain,
                    data.two_views(IMAGES, batch_size=8, augmentation=augmentation),
                ),
            )
        )
        self.assert_close(own_conflict.between, conflict.between, rtol=1e-3)
        watched = fit(
            own,
            batches,
            callbacks=[
                callbacks.CollapseGuard(batches),
                callbacks.TaskConflictMonitor(batches, num_batches=2),
            ],
        ).history
        assert watched["loss"] == unwatched["loss"]
        assert {"embedding_rank", "conflict_cosine"} <= set(watched)


class PlacedViewsTest(TestCase):
    def test_both_places_make_the_same_views(self):
        options = {"batch_size": 8, "seed": 3}
        ready, none = placed_views(IMAGES, recipe(), place="input", **options)
        images, augmentation = placed_views(IMAGES, recipe(), place="device", **options)
        assert none is None
        model = new_model("tc2", augmentation)
        for views, batch in zip(ready, images, strict=True):
            for a, b in zip(views, model.batch_of(batch).views, strict=True):
                np.testing.assert_array_equal(a, b)

    def test_the_device_where_there_is_a_gpu(self):
        _, augmentation = placed_views(
            IMAGES, recipe(), place="auto", batch_size=8, seed=3
        )
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        assert (augmentation is not None) == has_gpu

    def test_another_place(self):
        with pytest.raises(ValueError, match="`views` must be one of 'auto', 'device'"):
            placed_views(IMAGES, recipe(), place="moon", batch_size=8, seed=3)


CLASSES = saved_parts.AUGMENTATIONS
NESTED = saved_parts.AUGMENTATION_PARTS


def described(augmentation):
    return plain_parts.described(augmentation, CLASSES, only="these", nested=NESTED)


def made(description):
    return plain_parts.made("augmentation", description, CLASSES, nested=NESTED)


class SavedAugmentationTest(TestCase):
    @pytest.mark.parametrize("kind", list(AUGMENTATIONS))
    def test_keras_file(self, kind, tmp_path):
        model = new_model("tc2", AUGMENTATIONS[kind]())
        fit(model, data.batches(IMAGES, batch_size=8))
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        batch = next(iter(data.batches(IMAGES, batch_size=8, seed=9)))
        for a, b in zip(
            *(x.batch_of(batch).views for x in (model, again)), strict=True
        ):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("several", [False, True])
    def test_published_folder(self, several, tmp_path):
        every = [
            augment.Views([augment.simclr(image_size=8, channels=1)] * 2),
            augment.multi_crop(image_size=8, local_size=4, num_local=1, channels=1),
            augment.satellite(image_size=8, channels=1),
        ]
        augmentation = every[:1] * 2 if several else every[1]
        model = scrambled(tc2(augmentation=augmentation))
        again = TC2Pretrainer.from_pretrained(publish(model, tmp_path))
        images = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 1), "uint8")
        batch = next(iter(data.batches(images, batch_size=8)))
        for a, b in zip(
            *(x.batch_of(batch).views for x in (model, again)), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        for one in every:
            description = described(one)
            again = made(json.loads(json.dumps(description)))
            assert described(again) == description

    def test_what_could_run_code_is_not_published(self, tmp_path):
        model = tc2(augmentation=keras.layers.RandomFlip())
        with pytest.raises(ValueError, match="Only augmentations of the library"):
            publish(model, tmp_path)

    @pytest.mark.parametrize(
        "description",
        [
            {"name": "Lambda", "arguments": {}},
            {"name": "Pipeline", "arguments": {"layers": [{"name": "os.system"}]}},
            {"name": "Pipeline", "arguments": {"layers": {"class_name": "Lambda"}}},
            {"name": "RandomSolarize", "arguments": {"probability": {"a": 1}}},
            {"name": ["Pipeline"], "arguments": {}},
            {"name": "Pipeline", "arguments": [], "module": "os"},
            "simclr",
            [[[[[[[[[[]]]]]]]]]],
        ],
    )
    def test_hostile_configs_are_refused(self, description, tmp_path):
        with pytest.raises(hub.ConfigError):
            made(description)
        folder = publish(tc2(), tmp_path)
        path = folder / "pretrainer" / "config.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "augmentation": description}))
        with pytest.raises(hub.ConfigError):
            TC2Pretrainer.from_pretrained(folder)


class ErrorsTest(TestCase):
    def test_images_without_an_augmentation(self):
        with pytest.raises(ValueError, match="no `augmentation` to make views with"):
            fit(new_model("ssl"), data.batches(IMAGES, batch_size=8))

    def test_integers_without_a_seed(self):
        images = tf.data.Dataset.from_tensor_slices(IMAGES).batch(8)
        with pytest.raises(ValueError, match=r"data\.batches.*without a seed"):
            fit(new_model("ssl", recipe()), images)

    def test_blocks_that_are_not_the_tasks(self):
        three = [recipe() for _ in range(3)]
        with pytest.raises(ValueError, match="come in 3 blocks"):
            new_model("tc2", three, **recipes.block_tasks())
        new_model("tc2", three, **recipes.cluster_tasks())

    def test_a_batch_without_equal_blocks(self):
        three = [recipe() for _ in range(3)]
        with pytest.raises(ValueError, match="number of recipes, 3"):
            fit(new_model("ssl", three), data.batches(IMAGES, batch_size=8))
        with replicas.mirrored(2).scope():
            model = new_model("ssl", [*three, recipe()])
        with pytest.raises(ValueError, match="2 replicas must get an equal block"):
            model.check_data(data.batches(IMAGES, batch_size=12))
        model.check_data(data.batches(IMAGES, batch_size=24))

    def test_a_stream_of_unknown_length_on_replicas(self):
        stream = tf.data.Dataset.from_tensor_slices(IMAGES).filter(lambda _: True)
        with replicas.mirrored(2).scope():
            model = new_model("ssl", recipe())
        with pytest.raises(ValueError, match="Keras would divide the seed"):
            model.check_data(data.batches(stream, batch_size=8))

    def test_not_an_augmentation(self):
        with pytest.raises(ValueError, match="`augmentation` must be None, a layer"):
            new_model("ssl", "simclr")
