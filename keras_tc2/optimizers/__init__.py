"""What self-supervised learning needs of optimizers and Keras lacks.

The usual schedule of the learning rate, a linear warm-up and then a cosine to zero, is
Keras's own: `keras.optimizers.schedules.CosineDecay(0.0, decay_steps, warmup_target=
peak, warmup_steps=warmup_steps)`, where `decay_steps` counts from the end of the
warm-up, so a run of N steps has `decay_steps = N - warmup_steps`.
"""

from keras_tc2.optimizers.fused_adam import FusedAdam, FusedAdamW
from keras_tc2.optimizers.lars import LARS
from keras_tc2.optimizers.momentum_schedule import MomentumSchedule
from keras_tc2.optimizers.partwise import Partwise

__all__ = ["LARS", "FusedAdam", "FusedAdamW", "MomentumSchedule", "Partwise"]


def __dir__() -> list[str]:
    return __all__
