import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers import TaskCalibrator
from tests.test_case import TestCase

TASKS = np.array([0, 0, 0, 1, 1, 1], "int32")
DEFAULTS = {
    "num_factors": 3,
    "factors_from_batch": True,
    "calibration": "residual",
    "nonnegative_weights": False,
    "task_embedding": True,
    "weights_per": "sample",
}


def embeddings(dtype="float64"):
    return np.random.default_rng(0).normal(size=(6, 5)).astype(dtype)


def randomised(calibrator):
    """Moves every weight off its start, where some gradients are zero."""
    calibrator.build((None, 5))
    rng = np.random.default_rng(1)
    for variable in calibrator.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    return calibrator


class TaskCalibratorTest(TestCase):
    def test_layer(self, tmp_path):
        arguments = {
            "num_tasks": 2,
            "num_factors": 3,
            "factors_from_batch": False,
            "calibration": "projection",
            "hidden_dim": 4,
            "nonnegative_weights": True,
            "task_embedding": False,
            "weights_per": "sample",
        }
        inputs = {"embeddings": embeddings("float32"), "tasks": TASKS}
        self.run_layer_test(TaskCalibrator, arguments, inputs, tmp_path)
        arguments |= {"calibration": "gate", "nonnegative_weights": False}
        arguments |= {"weights_per": "task"}
        self.run_layer_test(TaskCalibrator, arguments, inputs, tmp_path)

    @pytest.mark.parametrize("calibration", ["residual", "gate"])
    def test_starts_as_the_identity(self, calibration):
        z = embeddings("float32")
        calibrator = TaskCalibrator(2, **{**DEFAULTS, "calibration": calibration})
        outputs = calibrator(z, TASKS)
        self.assert_close(outputs["calibrated"], z)
        assert float(outputs["sparsity"]) == 0

    @pytest.mark.parametrize("calibration", ["residual", "projection", "gate"])
    def test_values_against_numpy(self, float64, calibration):
        z = embeddings()
        calibrator = randomised(
            TaskCalibrator(2, **{**DEFAULTS, "calibration": calibration})
        )
        outputs = {k: np.asarray(v) for k, v in calibrator(z, TASKS).items()}
        factors = np.asarray(calibrator.factor_extractor(z))
        shifted = z + np.asarray(calibrator.task_embeddings)[TASKS]
        weights = np.asarray(calibrator.weight_extractor(shifted, factors))
        mix = weights @ factors
        calibrated = {
            "residual": z + mix,
            "projection": mix,
            "gate": z * 2 / (1 + np.exp(-mix)),
        }[calibration]
        replaced = mix if calibration == "projection" else z @ factors.T @ factors
        self.assert_close(outputs["factors"], factors)
        self.assert_close(outputs["weights"], weights)
        self.assert_close(outputs["calibrated"], calibrated)
        self.assert_close(
            outputs["reconstruction"], np.sum((z - replaced) ** 2) / np.sum(z**2)
        )
        gram_error = factors @ factors.T - np.eye(3)
        self.assert_close(outputs["orthogonality"], np.sum(gram_error**2) / 3)
        self.assert_close(outputs["sparsity"], np.mean(np.abs(weights)))

    def test_one_task_index_serves_a_whole_task(self, float64):
        z = embeddings()
        calibrator = randomised(TaskCalibrator(2, **DEFAULTS))
        factors = calibrator.factors(z)
        both = calibrator.calibrate(factors, z, TASKS)
        self.assert_close(calibrator.calibrate(factors, z[3:], 1), both[3:])
        other = calibrator.calibrate(factors, z[3:], 0)
        assert np.max(np.abs(np.asarray(other) - both[3:])) > 1e-3

    def test_one_weight_vector_a_task(self, float64):
        z = embeddings()
        layer = TaskCalibrator(3, **{**DEFAULTS, "weights_per": "task"})
        calibrator = randomised(layer)
        # Of the third task there is no image.
        tasks = np.array([1, 0, 0, 1, 1, 0])
        factors = calibrator.factors(z)
        weights = np.asarray(calibrator.weights_on(factors, z, tasks))
        for task in (0, 1):
            own = z[tasks == task]
            table = np.asarray(calibrator.task_embeddings)
            mean = own.mean(axis=0) + table[task]
            expected = np.asarray(calibrator.weight_extractor(mean[None], factors))
            self.assert_close(weights[tasks == task], np.repeat(expected, 3, axis=0))
            alone = calibrator.weights_on(factors, own, task)
            self.assert_close(alone, weights[tasks == task])

    @pytest.mark.parametrize(
        "arguments",
        [
            *({"calibration": name} for name in ("residual", "projection", "gate")),
            {"weights_per": "task"},
            {"factors_from_batch": False},
        ],
    )
    def test_gradients(self, float64, arguments):
        z = embeddings()
        calibrator = randomised(TaskCalibrator(2, **{**DEFAULTS, **arguments}))
        target = np.random.default_rng(2).normal(size=z.shape)

        def loss():
            outputs = calibrator(z, TASKS)
            return (
                tf.reduce_sum(outputs["calibrated"] * target)
                + 2 * outputs["reconstruction"]
                + 3 * outputs["orthogonality"]
                + 5 * outputs["sparsity"]
            )

        with tf.GradientTape() as tape:
            value = loss()
        variables = calibrator.trainable_variables
        gradients = tape.gradient(value, [v.value for v in variables])
        self.check_gradients(loss, variables, gradients)

    @pytest.mark.parametrize("calibration", ["residual", "projection"])
    def test_regularizers_pass_no_gradient_to_embeddings(self, calibration):
        calibrator = TaskCalibrator(2, **{**DEFAULTS, "calibration": calibration})
        z = tf.constant(embeddings("float32"))
        factors, weights = z[:3], z[:, :3]
        with tf.GradientTape() as tape:
            tape.watch(z)
            parts = calibrator.regularizers(
                tf.stop_gradient(factors), z, tf.stop_gradient(weights)
            )
            total = sum(parts.values())
        assert tape.gradient(total, z) is None

    def test_half_precision_stays_inside(self):
        keras.config.set_dtype_policy("mixed_float16")
        calibrator = TaskCalibrator(2, **DEFAULTS)
        outputs = calibrator(embeddings("float16"), TASKS)
        assert {o.dtype for o in outputs.values()} == {tf.float32}

    def test_refuses(self):
        with pytest.raises(ValueError, match="'residual', 'projection', 'gate'"):
            TaskCalibrator(2, **{**DEFAULTS, "calibration": "mixing"})
        with pytest.raises(ValueError, match='only with `calibration="projection"`'):
            TaskCalibrator(2, **{**DEFAULTS, "nonnegative_weights": True})
        arguments = {"calibration": "projection", "weights_per": "task"}
        with pytest.raises(ValueError, match="one calibrated embedding"):
            TaskCalibrator(2, **{**DEFAULTS, **arguments})


class TaskEmbeddingsTest(TestCase):
    def test_start_as_noise_of_one_half(self):
        layer = TaskCalibrator(40, **DEFAULTS)
        layer.build((None, 50))
        noise = np.asarray(layer.task_embeddings)
        # Of 2,000 draws: the standard error of the deviation is 0.008.
        self.assert_close(noise.std(), 0.5, atol=0.05)
        self.assert_close(noise.mean(), 0.0, atol=0.06)
