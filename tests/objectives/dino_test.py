import keras
import numpy as np
import pytest

from keras_tc2.objectives import DINO, dino
from keras_tc2.objectives.centring import Centring
from tests.objectives import loss_checks
from tests.test_case import TestCase

SETTING = {"student_temperature": 0.5, "teacher_temperature": 0.2}


def reference(students, teachers, student_temperature, teacher_temperature):
    """Equation 3 for each pair of views, their mean."""
    losses = []
    for x, teacher in enumerate(teachers):
        shares = np.exp(loss_checks.log_softmax(teacher / teacher_temperature))
        for other, student in enumerate(students):
            if other != x:
                log_shares = loss_checks.log_softmax(student / student_temperature)
                losses.append(-np.mean(np.sum(shares * log_shares, axis=1)))
    return np.mean(losses)


class CentringTest(TestCase):
    def test_keeps_float32_under_half_precision(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        outputs = np.array([[0.7, 0.701]], "float32")
        np.testing.assert_array_equal(Centring(0.9)(outputs), outputs)


class DINOTest(TestCase):
    @pytest.mark.parametrize("num_views", [2, 5])
    def test_golden_values(self, num_views):
        *students, t1, t2 = loss_checks.arrays(num_views + 2)
        loss = dino(students, [t1, t2], **SETTING)
        self.assert_close(loss, reference(students, [t1, t2], **SETTING), rtol=1e-9)

    def test_uniform_teacher_and_student(self):
        flat = np.zeros((3, 8))
        self.assert_close(dino([flat, flat], [flat, flat], **SETTING), np.log(8))

    def test_invariances(self):
        s1, s2, local, t1, t2 = loss_checks.arrays(5)
        loss = dino([s1, s2, local], [t1, t2], **SETTING)
        order = np.random.default_rng(1).permutation(6)
        permuted = [x[order] for x in (s1, s2, local, t1, t2)]
        self.assert_close(dino(permuted[:3], permuted[3:], **SETTING), loss)
        self.assert_close(dino([s2, s1, local], [t2, t1], **SETTING), loss)
        # A softmax does not see an offset of an image.
        self.assert_close(dino([s1 + 3, s2, local], [t1, t2 - 2], **SETTING), loss)
        crossed = dino([s2, s1, local], [t1, t2], **SETTING)
        assert abs(float(crossed - loss)) > 1e-3

    def test_gradients(self, float64):
        s1, s2, t1, t2 = loss_checks.arrays(4)
        loss_checks.check_gradients(
            self, lambda a, b: dino([a, b], [t1, t2], **SETTING), [s1, s2]
        )
        loss_checks.assert_no_gradient(
            lambda a, b: dino([s1, s2], [a, b], **SETTING), [t1, t2]
        )

    def test_extremes_are_finite(self):
        objective = DINO(5, student_temperature=0.01, teacher_temperature=0.01)
        loss_checks.assert_finite(objective, num_targets=2)

    def test_config(self):
        arguments = {
            "output_dim": 7,
            "student_temperature": 0.2,
            "teacher_temperature": 0.1,
            "center_momentum": 0.5,
            "momentum": 0.5,
            "gather": True,
        }
        self.run_config_test(DINO, arguments)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"output_dim": 0},
            {"student_temperature": 0},
            {"teacher_temperature": -1},
            {"center_momentum": 2},
        ],
    )
    def test_refuses(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            DINO(**arguments)
