"""What the library uses of Keras and TensorFlow that is not their public interface.

Each use stands here alone, and `tests/compat_test.py` holds what it relies on, so that
an upgrade that renames or empties one is seen at once.
"""


def overrides(cls, name):
    """Decorator of a method that a private hook of `cls` is replaced by.

    Raises:
        AttributeError: when the class is made, if `cls` has no such hook any more: the
            method would never be called, without a word.
    """

    def decorator(method):
        if not hasattr(cls, name) or method.__name__ != name:
            raise AttributeError(
                f"{cls.__module__}.{cls.__name__} has no `{name}` in this version: "
                "keras_tc2 must be upgraded, or Keras and TensorFlow held at the "
                "versions that its setup.cfg names."
            )
        return method

    return decorator


def all_layers(model):
    """Every layer of a model at any depth, itself included, in the order of Keras.

    Args:
        model: a `keras.Model` or layer.

    Returns:
        List of layers.
    """
    return list(model._flatten_layers())


def learned_variables(layer):
    """The weights of a layer that train unless it, or a part of it, is frozen.

    Args:
        layer: built `keras.Layer`.

    Returns:
        List of variables, in the order of `layer.variables`.
    """
    learned = {id(v) for each in all_layers(layer) for v in each._trainable_variables}
    return [variable for variable in layer.variables if id(variable) in learned]


def change_class(thing, cls):
    """Makes an object one of another class that has the same attributes.

    Args:
        thing: a layer, whose subclass or base `cls` is, or an iterator of `tf.data`.
        cls: class.
    """
    thing.__class__ = cls


def variable_index(optimizer, variable):
    """The place of a variable among those that a Keras optimizer was built on."""
    return optimizer._get_variable_index(variable)


def adam_moments(optimizer, variable):
    """The two moments that Keras's Adam keeps of a variable, as `tf.Variable`s."""
    index = variable_index(optimizer, variable)
    return optimizer._momentums[index].value, optimizer._velocities[index].value


def set_epochs_done(model, number):
    """Lets the history of a model's `fit` say that epochs were made before."""
    model.history.epoch = list(range(number))


def variant_tensor(dataset):
    """The tensor that stands for a `tf.data.Dataset`."""
    return dataset._variant_tensor


def call_for_each_replica(strategy, function, arguments):
    """Calls a function on each replica, from where all of them are seen.

    What `Strategy.run` does, which TensorFlow does not allow within `merge_call`.

    Args:
        strategy: `tf.distribute.Strategy`.
        function: callable.
        arguments: tuple, nests of values a replica.
    """
    return strategy.extended.call_for_each_replica(function, args=arguments)
