"""The momentum target: the moving average of a network, which gives targets."""

import keras
from keras import ops

from keras_tc2.compat import learned_variables
from keras_tc2.pretraining.core.forward import call_layers


class MomentumTarget(keras.layers.Layer):
    """Holds the moving average ξ of learned weights θ, and calls the network with it.

        ξ ← m ξ + (1 − m) θ

    after every applied update. It starts as a copy of the weights at the time of
    construction. What is frozen is its own average, and has one for when it is not.
    Statistics are not averaged: in training the target normalises by those of its own
    batch, and at inference it uses the moving statistics of the online network.

    Args:
        network: list of built layers, called in turn. They stay the online ones; they
            are not layers of this one.
        momentum: float in [0, 1], or callable from the number of updates to one.

    Call arguments:
        x: input of the first layer.
        training: bool.

    Returns:
        Output of the last layer under the averaged weights.
    """

    def __init__(self, network, momentum, **kwargs):
        super().__init__(autocast=False, **kwargs)
        # In a function, since Keras would take layers in a list as sub-layers.
        self._network = lambda: network
        self._momentum = momentum if callable(momentum) else lambda step: momentum
        online = [v for layer in network for v in learned_variables(layer)]
        self._online = lambda: online
        self.averages = [self._copy(variable) for variable in online]
        self.built = True

    def _copy(self, variable):
        # A thousandth of a bfloat16 is lost when it is added.
        half = variable.dtype in ("float16", "bfloat16")
        return self.add_weight(
            shape=variable.shape,
            dtype="float32" if half else variable.dtype,
            initializer=lambda shape, dtype: ops.cast(variable, dtype),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=variable.name,
        )

    def call(self, x, training=False):
        """The network's output under the averaged weights."""
        average_of = {
            id(variable): average
            for variable, average in zip(self._online(), self.averages, strict=True)
        }
        # What a layer was given after construction is its own average.
        weights = [
            ops.cast(average_of.get(id(variable), variable), variable.dtype)
            for variable in self._trained()
        ]
        return call_layers(self._network(), weights, x, training=training)

    def _trained(self):
        """The trainable weights of the network, of now."""
        return [v for layer in self._network() for v in layer.trainable_variables]

    @property
    def averages_of_trained(self):
        """List of the averages of what is not frozen now."""
        trained = {id(variable) for variable in self._trained()}
        pairs = zip(self._online(), self.averages, strict=True)
        return [average for variable, average in pairs if id(variable) in trained]

    def load_own_variables(self, store):
        """As of a layer; a file of 0.1 holds the averages of what was not frozen."""
        saved = len(store.keys())
        if saved == len(self.averages) or saved != len(self.averages_of_trained):
            super().load_own_variables(store)
            return
        for variable, average in zip(self._online(), self.averages, strict=True):
            average.assign(variable)
        for position, average in enumerate(self.averages_of_trained):
            average.assign(store[str(position)])

    def update(self, step, applied):
        """Moves the averages towards the weights.

        Args:
            step: int scalar tensor, the number of updates before this one.
            applied: bool scalar tensor. Whether there was an update; if not, nothing
                moves.
        """
        momentum = self._momentum(step)
        trained = {id(variable) for variable in self._trained()}
        for variable, average in zip(self._online(), self.averages, strict=True):
            rate = ops.cast(1 - momentum, average.dtype)
            weight = ops.cast(variable, average.dtype)
            moved = average + rate * (weight - average)
            now = moved if id(variable) in trained else weight
            average.assign(ops.where(applied, now, average))
