"""DINO: a student foretells the sharpened, centred output of a momentum teacher."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, positive, probability
from keras_tc2.deprecation import old_arguments, old_attribute
from keras_tc2.objectives.centring import Centring
from keras_tc2.objectives.cross_entropy import cross_view_entropy
from keras_tc2.objectives.inputs import check_number, check_views_of_targets
from keras_tc2.objectives.momentum_objective import MomentumObjective
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.prototypes import Prototypes
from keras_tc2.precision import at_least_float32


def dino(
    student_outputs: Tensor,
    teacher_outputs: Tensor,
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> Tensor:
    """Cross-entropy of the student's and the teacher's distributions.

    Equations 2 and 3 of [1], averaged over all pairs of a global view x, which the
    teacher sees, and another view x', global or local, which the student sees:

        H(P_t(x), P_s(x')) = −sum_k P_t(x)^(k) log P_s(x')^(k),
        P = softmax(outputs / temperature).

    Args:
        student_outputs: list of float tensors `(batch, dim)`, one a view; the global
            views first.
        teacher_outputs: list of float tensors `(batch, dim)`, centred, one a global
            view; no gradient flows into them.
        student_temperature: float > 0.
        teacher_temperature: float > 0. Below the student's: it sharpens.

    Returns:
        Scalar tensor, nats.

    Raises:
        ValueError: if there are fewer than two views, or not all are of one shape.

    References:
        - [1] Caron et al., 2021, arXiv 2104.14294, equations 1 to 3
    """
    check_views_of_targets(
        student_outputs, teacher_outputs, names=("student_outputs", "teacher_outputs")
    )
    check_number("student_temperature", student_temperature)
    check_number("teacher_temperature", teacher_temperature)
    teachers = [
        ops.softmax(
            at_least_float32(ops.stop_gradient(outputs)) / teacher_temperature, axis=-1
        )
        for outputs in teacher_outputs
    ]
    log_students = [
        ops.log_softmax(at_least_float32(outputs) / student_temperature, axis=-1)
        for outputs in student_outputs
    ]
    return cross_view_entropy(teachers, log_students)


@keras.saving.register_keras_serializable(package="keras_tc2")
class DINO(MomentumObjective):
    """Objective of DINO [1]; see `dino`. Two views or more.

    Prototypes as the head's last layer, normalised and without bias (the layers
    before it are the projector), a momentum teacher of encoder, projector and head,
    and centring of its outputs. The centre is the mean over all replicas, always.
    Prototypes train from the first step; the code of [1] freezes them for an epoch.

    Args:
        output_dim: int >= 1. Number of prototypes. Defaults to `1024`; [1] has 65536
            for ImageNet.
        student_temperature: float > 0. Defaults to `0.1`.
        teacher_temperature: float > 0. Defaults to `0.04`.
        center_momentum: float in [0, 1]. Defaults to `0.9`.
        momentum: float in [0, 1], or a function of the step such as
            `optimizers.MomentumSchedule`: of the teacher. [1] raises it to 1 over
            the run. Defaults to `0.996`.
        gather: bool. See `Objective`; the loss is the same. Defaults to `False`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    objective = tc2.objectives.DINO(output_dim=64)
    model = tc2.SSLPretrainer(encoder, objective=objective)
    ```

    References:
        - [1] Caron et al., 2021, arXiv 2104.14294
    """

    needs = Needs(target="momentum", target_head=True, max_views=None)

    @old_arguments(centre_momentum="center_momentum")
    def __init__(
        self,
        output_dim: int = 1024,
        *,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
        momentum: float | Callable[[Tensor], Tensor] = 0.996,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, **kwargs)
        self.output_dim = integer("output_dim", output_dim)
        self.student_temperature = positive("student_temperature", student_temperature)
        self.teacher_temperature = positive("teacher_temperature", teacher_temperature)
        self.center_momentum = probability("center_momentum", center_momentum)

    centre_momentum = old_attribute("centre_momentum", "center_momentum")

    def make_head(self, embedding_dim: int, image_shape: Shape) -> keras.Layer | None:
        """The prototypes."""
        return Prototypes(self.output_dim, name="prototypes")

    def make_target_normalization(self) -> keras.Layer | None:
        """The centring."""
        return Centring(self.center_momentum, name="centring")

    def compute_loss(self, *student_outputs: Tensor, targets: Any) -> Tensor:
        """`dino` of student and teacher."""
        return dino(
            student_outputs,
            targets,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
        )

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "output_dim": self.output_dim,
            "student_temperature": self.student_temperature,
            "teacher_temperature": self.teacher_temperature,
            "center_momentum": self.center_momentum,
            **super().get_config(),
        }
