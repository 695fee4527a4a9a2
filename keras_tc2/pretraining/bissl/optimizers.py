"""The optimizers of BiSSL's authors."""

import keras

from keras_tc2.optimizers import LARS

LOWER_LEARNING_RATE = 1.0
LOWER_WARMUP_STEPS = 200
LOWER_LAST_SHARE = 0.001
# Theirs comes out of a search for each dataset; this is a plain start.
DOWNSTREAM_LEARNING_RATE = 0.01
DOWNSTREAM_MOMENTUM = 0.9


def lower_optimizer(phases):
    """LARS, warmed up linearly for 200 steps, then cosine to 0.001 of its peak."""
    num_steps = phases.num_alternations * phases.lower_steps
    warmup_steps = min(LOWER_WARMUP_STEPS, num_steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=num_steps - warmup_steps,
        alpha=LOWER_LAST_SHARE,
        warmup_target=LOWER_LEARNING_RATE,
        warmup_steps=warmup_steps,
    )
    return LARS(schedule)


def upper_optimizer(phases):
    """SGD with momentum, at the learning rate of the warm-up, then cosine to zero."""
    schedule = keras.optimizers.schedules.CosineDecay(
        DOWNSTREAM_LEARNING_RATE,
        decay_steps=phases.num_alternations * phases.upper_steps,
    )
    return keras.optimizers.SGD(schedule, momentum=DOWNSTREAM_MOMENTUM)


def head_optimizer():
    """SGD with momentum at a constant learning rate."""
    return keras.optimizers.SGD(DOWNSTREAM_LEARNING_RATE, momentum=DOWNSTREAM_MOMENTUM)
