"""Stage 1, the inner loop: adapting fast weights to one task."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_tc2.annotations import Tensor
from keras_tc2.bilevel.gradients import value_and_gradients


def adapt(
    loss: Callable[[Sequence[Tensor]], Tensor],
    weights: Sequence[Tensor],
    *,
    learning_rate: float,
    num_steps: int,
    order: int,
    clipnorm: float | None = None,
) -> tuple[Sequence[Tensor], Any, Any]:
    """Gradient descent on a task, as a differentiable function of the start.

    θ_s = θ − α g with g = ∇ℓ(T_s; θ), or g · c / ‖g‖ where its norm over all weights is
    above c, `num_steps` times. Second order: the result carries its
    exact derivative. First order: the gradients count as constants, so that the
    derivative of θ_s by θ is the identity.

    Args:
        loss: callable from a list of weights to the scalar loss of the task.
        weights: list of tensors, θ; float32 or wider.
        learning_rate: float, α.
        num_steps: int >= 0.
        order: `1` or `2`.
        clipnorm: float > 0, c, or `None` for no bound. Defaults to `None`.

    Returns:
        `(fast_weights, inner_loss, gradients)`: the adapted weights, and the loss and
        its (unclipped) gradients before the first step (`None`, `None` if there is
        none).

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import bilevel

    def outer_loss(start):
        fast_weights, _, _ = bilevel.adapt(
            lambda weights: tf.reduce_sum(weights[0] ** 2),
            start,
            learning_rate=0.1,
            num_steps=1,
            order=2,
        )
        return tf.reduce_sum(fast_weights[0])  # 0.8 of the start

    loss, gradients = bilevel.value_and_gradients(outer_loss, [tf.ones(2)])
    print(gradients)  # 0.8, through the step
    ```
    """
    first_loss = first_gradients = None
    for _ in range(num_steps):
        value, gradients = value_and_gradients(loss, weights)
        if order == 1:
            gradients = [ops.stop_gradient(gradient) for gradient in gradients]
        if first_gradients is None:
            first_loss, first_gradients = value, gradients
        if clipnorm is not None:
            gradients = _clipped(gradients, clipnorm)
        weights = [
            weight - learning_rate * gradient
            for weight, gradient in zip(weights, gradients, strict=True)
        ]
    return weights, first_loss, first_gradients


def _clipped(gradients, clipnorm):
    squared_norm = sum(ops.sum(ops.square(gradient)) for gradient in gradients)
    # Bounded before the root, whose derivative at zero is infinite.
    factor = clipnorm * ops.rsqrt(ops.maximum(squared_norm, clipnorm**2))
    return [gradient * factor for gradient in gradients]
