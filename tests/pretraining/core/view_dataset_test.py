"""`fit` on what users make of `data.two_views` before they give it to `fit`."""

import warnings

import keras
import numpy as np
import pytest

from keras_tc2 import augment, callbacks, data, recipes
from keras_tc2.layers import ProjectionHead
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import replicas, tiny
from tests.test_case import TestCase

IMAGES = np.random.default_rng(0).integers(0, 256, (32, *tiny.IMAGE_SHAPE), "uint8")
NUM_STEPS = 6  # Two epochs of three batches, whoever counts them.
MADE = {
    "as it is": (lambda views: views.take(3), {"epochs": 2}),
    "prefetched": (lambda views: views.take(3).prefetch(1), {"epochs": 2}),
    "repeated": (
        lambda views: views.take(3).repeat(),
        {"epochs": 2, "steps_per_epoch": 3},
    ),
    "repeated, taken": (lambda views: views.take(3).repeat().take(6), {"epochs": 1}),
}


def new_views():
    flips = [augment.RandomHorizontalFlip(), augment.RandomVerticalFlip()]
    return data.two_views(IMAGES, batch_size=8, augmentation=flips, seed=3)


def new_ssl():
    return SSLPretrainer(
        tiny.encoder(), objective="nt_xent", projector=ProjectionHead(4)
    )


def new_tc2():
    return TC2Pretrainer(
        tiny.encoder(),
        objective="nt_xent",
        projector=ProjectionHead(4),
        num_tasks=2,
        **recipes.block_tasks(),
    )


def trained(made, strategy=None, **arguments):
    keras.utils.set_random_seed(1)
    make, lengths = MADE[made]
    with (strategy or replicas.strategy(1)).scope():
        # Only replicas can tear tasks apart.
        model = (new_tc2 if strategy else new_ssl)()
        model.compile(keras.optimizers.SGD(0.1))
    model.fit(make(new_views()), verbose=0, **lengths, **arguments)
    assert int(model.optimizer.iterations.numpy()) == NUM_STEPS
    return model.get_weights()


def assert_same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def alike(number, strategy=None):
    """Models of the same weights."""
    with (strategy or replicas.strategy(1)).scope():
        models = [new_ssl() for _ in range(number)]
        for model in models:
            model.compile(keras.optimizers.SGD(0.1))
            model.set_weights(models[0].get_weights())
    return models


class Stop(Exception):
    pass


class ViewDatasetTest(TestCase):
    @pytest.mark.parametrize("made", list(MADE)[1:])
    def test_the_same_steps(self, made):
        assert_same(trained(made), trained("as it is"))

    def test_replicas_get_whole_tasks(self):
        expected = trained("as it is", replicas.mirrored(2))
        for made in ("prefetched", "repeated, taken"):
            assert_same(trained(made, replicas.mirrored(2)), expected)

    @pytest.mark.parametrize("made", ["repeated", "repeated, taken"])
    def test_is_resumed_at_once(self, made, tmp_path):
        checkpoint = callbacks.ResumableCheckpoint(tmp_path, every_steps=1)

        def stop(batch, logs):
            if batch == 1:
                raise Stop

        stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        with pytest.raises(Stop):
            trained(made, callbacks=[checkpoint, stopper])
        resumed = trained(made, callbacks=[callbacks.ResumableCheckpoint(tmp_path)])
        assert_same(resumed, trained(made))

    @pytest.mark.parametrize(
        ("loop", "num_replicas"),
        [("steps", 1), ("initial_epoch", 1), ("take", 1), ("epochs", 1), ("epochs", 2)],
    )
    def test_fit_in_a_loop_goes_on(self, loop, num_replicas):
        strategy = replicas.strategy(num_replicas)
        views = new_views().take(3)
        lengths = {} if loop == "epochs" else {"steps_per_epoch": 2}
        once, *several = alike(3, strategy)
        once.fit(views, epochs=3, verbose=0, **lengths)
        for model in several:  # Each begins with the first batch.
            for epoch in range(3):
                if loop == "initial_epoch":
                    lengths |= {"initial_epoch": epoch, "epochs": epoch + 1}
                given = views.take(3) if loop == "take" else views
                model.fit(given, verbose=0, **lengths)
            assert_same(model.get_weights(), once.get_weights())

    @pytest.mark.parametrize("steps", [3, 2])
    def test_whole_epochs_go_on_after_steps(self, steps):
        once, model = alike(2)
        views = new_views().take(3)
        once.fit(views, steps_per_epoch=1, epochs=steps + 6, verbose=0)
        model.fit(views, steps_per_epoch=steps, verbose=0)
        model.fit(views, verbose=0)
        model.evaluate(views, verbose=0)
        model.fit(views, verbose=0)
        assert_same(model.get_weights(), once.get_weights())

    def test_an_epoch_counter_of_the_user_is_left_alone(self):
        counter = data.EpochCounter(5)
        views = data.two_views(IMAGES, batch_size=8, epoch_counter=counter)
        (model,) = alike(1)
        model.fit(views, epochs=2, verbose=0)
        assert counter.epoch == 7
        model.fit(views, verbose=0)
        assert counter.epoch == 8

    def test_a_last_execution_that_is_shorter(self):
        once, model = alike(2)
        views = new_views().take(3)
        once.fit(views, epochs=2, verbose=0)
        model.compile(keras.optimizers.SGD(0.1), steps_per_execution=2)
        for _ in range(2):
            model.fit(views, verbose=0)
        assert model.optimizer.iterations == NUM_STEPS
        # A loop in the graph, whose kernels may add in another order.
        for one, other in zip(model.get_weights(), once.get_weights(), strict=True):
            self.assert_close(one, other, rtol=1e-4, atol=1e-6)

    def test_a_pass_that_was_stopped_is_left_where_executions_do_not_divide_it(self):
        once, model = alike(2)
        views = new_views().take(3)
        once.fit(views, steps_per_epoch=2, verbose=0)
        once.fit(views, initial_epoch=1, epochs=2, verbose=0)
        model.compile(keras.optimizers.SGD(0.1), steps_per_execution=2)

        def stop(batch, logs):
            model.stop_training = True

        stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        model.fit(views, verbose=0, callbacks=[stopper])
        model.fit(views, verbose=0)
        assert model.optimizer.iterations == 5
        for one, other in zip(model.get_weights(), once.get_weights(), strict=True):
            self.assert_close(one, other, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("key", ["x", "validation_data"])
    def test_replicas_want_whole_executions(self, key):
        (model,) = alike(1, replicas.mirrored(2))
        model.compile("sgd", steps_per_execution=2)
        given = {"x": new_views(), "validation_data": new_views()}
        given[key] = given[key].take(3)
        with pytest.raises(ValueError, match=f"3 batches of `{key}` are no multiple"):
            model.fit(**given, verbose=0)
        assert model.optimizer.iterations == 0

    @pytest.mark.parametrize("steps", [1, None])
    def test_initial_epoch_of_a_new_model(self, steps):
        first, second = alike(2)
        views = new_views().take(3)
        skipped = 2 * (steps or 3)
        first.fit(views.repeat().skip(skipped), steps_per_epoch=steps or 3, verbose=0)
        arguments = {"initial_epoch": 2, "epochs": 3, "steps_per_epoch": steps}
        second.fit(views, verbose=0, **arguments)
        assert_same(second.get_weights(), first.get_weights())

    def test_goes_on_after_an_interruption(self):
        once, model = alike(2)
        views = new_views()
        once.fit(views, epochs=1, steps_per_epoch=3, verbose=0)

        def stop(batch, logs):
            raise Stop

        stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        with pytest.raises(Stop):
            model.fit(views, steps_per_epoch=3, verbose=0, callbacks=[stopper])
        model.fit(views, steps_per_epoch=2, verbose=0)
        assert_same(model.get_weights(), once.get_weights())

    def test_a_plain_dataset_is_said_to_be_divided(self):
        with replicas.mirrored(2).scope():
            model = new_tc2()
        with pytest.warns(UserWarning, match="Keras divides each batch"):
            model.check_data(new_views().map(lambda *views: views))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.check_data(new_views().repeat().prefetch(1))
