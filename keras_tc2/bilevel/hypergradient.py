"""What every hypergradient method shares: its result, and the products it is made of.

For an inner problem θ*(u) = argmin_θ G(θ, u) and an outer loss F(θ, u), the
hypergradient is, by the implicit function theorem at θ = θ*(u),

    dF/du = ∂F/∂u − (∂²G/∂u∂θ) H⁻¹ ∂F/∂θ,    H = ∂²G/∂θ².

The methods differ in how they get x = H⁻¹ ∂F/∂θ. All have one signature:
`method(inner_loss, outer_loss, inner, outer, *, options...) -> Hypergradient`, with
`inner_loss(inner, outer)` and `outer_loss(inner, outer)` functions of two lists.
"""

import dataclasses
import typing

import tensorflow as tf

from keras_tc2.bilevel.gradients import value_and_gradients


@dataclasses.dataclass(frozen=True)
class Hypergradient:
    """The result of a hypergradient method.

    Attributes:
        gradients: list of tensors aligned with `outer`: dF/du.
        outer_loss: scalar tensor, F where it was evaluated.
        residual: scalar tensor ‖H x − g‖ / ‖g‖ of the linear system, NaN where none
            is solved or measured.
        fallback: bool scalar tensor. Whether a guard stopped the solver and x = g / c
            was used in place of its solution.
    """

    gradients: list
    outer_loss: typing.Any
    residual: typing.Any
    fallback: typing.Any


def tensors_of(variables):
    """The current values of tensors or Keras variables."""
    return [tf.convert_to_tensor(getattr(v, "value", v)) for v in variables]


def outer_gradients(outer_loss, inner, outer):
    """`(F, ∂F/∂θ, ∂F/∂u)`."""
    count = len(inner)
    value, gradients = value_and_gradients(
        lambda both: outer_loss(both[:count], both[count:]), [*inner, *outer]
    )
    return value, gradients[:count], gradients[count:]


def mixed_product(inner_loss, inner, outer, vectors):
    """∂/∂u ⟨∇_θ G(θ, u), v⟩, a list of tensors aligned with `outer`."""
    count = len(inner)

    def product(outer):
        _, gradients = value_and_gradients(
            lambda both: inner_loss(both[:count], both[count:]), [*inner, *outer]
        )
        return dot(gradients[:count], vectors)

    return value_and_gradients(product, outer)[1]


def dot(a, b):
    """⟨a, b⟩ over lists of tensors, a scalar."""
    return tf.add_n([tf.reduce_sum(x * y) for x, y in zip(a, b, strict=True)])


def norm(a):
    """‖a‖ over a list of tensors, a scalar."""
    return tf.sqrt(dot(a, a))


def combine(a, scale, b):
    """a + scale · b over lists of tensors."""
    return [x + scale * y for x, y in zip(a, b, strict=True)]
