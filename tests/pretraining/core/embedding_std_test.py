"""`embedding_std` in the logs, and the guard that reads it as the README uses it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import SSLPretrainer, TC2Pretrainer
from keras_tc2.callbacks import CollapseGuard
from keras_tc2.pretraining import Batch
from keras_tc2.pretraining.core.embedding_std import EmbeddingStd, relative_std
from keras_tc2.transfer.features import geometry
from tests import replicas, tiny
from tests.objectives import loss_checks
from tests.test_case import TestCase

both = pytest.mark.parametrize("kind", [SSLPretrainer, TC2Pretrainer])


def pretrainer(kind, learning_rate=0.0):
    arguments = {"num_tasks": 2} if kind is TC2Pretrainer else {}
    model = kind(tiny.encoder(), objective="nt_xent", **arguments)
    model.compile(keras.optimizers.SGD(learning_rate))
    return model


def fit(model, **kwargs):
    data = tf.data.Dataset.from_tensors(tiny.views()).repeat(2)
    return model.fit(data, verbose=0, **kwargs).history


class RelativeStdTest(TestCase):
    def test_is_that_of_geometry(self):
        (embeddings,) = loss_checks.arrays(1, batch=9, dtype="float32")
        expected = geometry.relative_std(embeddings)
        self.assert_close(relative_std(embeddings), expected, rtol=1e-5)
        assert float(relative_std(0 * embeddings)) == 0
        self.assert_close(relative_std(0 * embeddings + 3), 0, atol=1e-6)

    def test_replicas_see_the_images_of_all(self):
        """Halves that each have collapsed, to unlike points, have not together."""
        (spread,) = loss_checks.arrays(1, batch=8, dtype="float32")
        apart = np.repeat(np.eye(5, dtype="float32")[:2], 4, axis=0)
        strategy = replicas.strategy(2)
        for embeddings in (spread, apart, 0 * spread + 1):
            parts = replicas.per_replica(strategy, [embeddings[:4], embeddings[4:]])
            results = strategy.run(lambda x: relative_std(x), args=(parts,))
            for result in strategy.experimental_local_results(results):
                expected = geometry.relative_std(embeddings)
                # Between replicas it is a difference of squares in float32.
                self.assert_close(result, expected, rtol=1e-4, atol=2e-3)

    def test_mean_of_the_steps_that_count(self):
        metric = EmbeddingStd()
        assert np.isnan(metric.result())
        first, second, third = loss_checks.arrays(3, dtype="float32")
        metric.update_state(first, True)
        metric.update_state(np.nan * second, False)
        metric.update_state(third, True)
        expected = np.mean([geometry.relative_std(z) for z in (first, third)])
        self.assert_close(metric.result(), expected, rtol=1e-5)
        metric.reset_state()
        metric.update_state(first[:1], True)
        assert np.isnan(metric.result())


class LogsTest(TestCase):
    @both
    def test_logged_and_validated(self, kind):
        model = pretrainer(kind)
        history = fit(model, validation_data=tf.data.Dataset.from_tensors(tiny.views()))
        with keras.StatelessScope():
            _, (embeddings, _) = model.compute_losses(Batch(tiny.views()))
        expected = geometry.relative_std(np.asarray(embeddings))
        self.assert_close(history["embedding_std"], [expected], rtol=1e-4)
        assert 0 < history["val_embedding_std"][0] <= 1

    @both
    def test_the_guard_of_the_readme_sees_a_collapse(self, kind, recwarn):
        guard = CollapseGuard()
        fit(pretrainer(kind), callbacks=[guard])
        assert guard.reason is None
        model = pretrainer(kind)
        for variable in model.projector.trainable_variables:
            variable.assign(0 * variable)
        fit(model, callbacks=[guard])
        assert "almost the same" in guard.reason
        assert [w for w in recwarn if "almost the same" in str(w.message)]
