"""Whether XLA compiles a step, and what is said when it cannot."""

import re
import warnings

import tensorflow as tf


def check_jit_compile(jit_compile, strategy):
    """Raises `ValueError` for a `jit_compile` that could not be followed."""
    if jit_compile not in (True, False, "auto"):
        raise ValueError(
            '`jit_compile` must be `True`, `False` or "auto". Received: '
            f"jit_compile={jit_compile!r}"
        )
    replicas = strategy.num_replicas_in_sync
    if jit_compile is True and replicas > 1:
        raise ValueError(
            "XLA compiles a step for one device, and this strategy has "
            f"{replicas} replicas: give `compile(jit_compile=False)`. Received: "
            "jit_compile=True"
        )


def pays(strategy):
    """Whether XLA is expected to pay: on one replica that is a GPU."""
    return strategy.num_replicas_in_sync == 1 and bool(
        tf.config.list_physical_devices("GPU")
    )


def guarded(model, make_train_function):
    """The train function of a model that XLA compiles, and what to do if it cannot.

    Args:
        model: a `TrainingStep` with its train function.
        make_train_function: callable `(force)` that makes that function anew.

    Returns:
        Train function: from an iterator to logs. If the model `may_run_without_xla`, it
        asks XLA before it draws the first batch, warns, and runs without.

    Raises:
        ValueError: from a call, if XLA cannot compile the step but must.
    """
    compiled = _explained(model.train_function)
    if not model.may_run_without_xla:
        return compiled
    chosen = []

    def train_function(iterator):
        if not chosen:
            specs = getattr(iterator, "element_spec", None)
            found = None if specs is None else obstacle(model, specs)
            if found is None:
                chosen.append(compiled)
            else:
                warnings.warn(
                    f"XLA cannot compile this step, which runs without it: {found}. "
                    "`compile(jit_compile=False)` spares the attempt.",
                    stacklevel=2,
                )
                chosen.append(_without_xla(model, make_train_function))
        return chosen[0](iterator)

    return train_function


def obstacle(model, specs):
    """Why XLA cannot compile a training step, or `None`. Traces it; runs nothing.

    Args:
        model: a `TrainingStep`.
        specs: nest of `tf.TensorSpec`s, of a batch.
    """

    @tf.function(jit_compile=True)
    def step(*parts):
        data = tf.nest.pack_sequence_as(specs, parts)
        return model.distribute_strategy.run(model.train_step, (data,))

    parts = tf.nest.flatten(specs)
    # What is raised here is no matter of XLA.
    step.get_concrete_function(*parts)
    try:
        step.experimental_get_compiler_ir(*parts)(stage="hlo")
    except (tf.errors.OpError, TypeError, ValueError) as error:
        return _reason(error)
    return None


def _without_xla(model, make_train_function):
    present, model.jit_compile = model.train_function, False
    make_train_function(force=True)
    without, model.train_function = model.train_function, present
    return without


def _explained(function):
    """The function, with an error of XLA's compiler in words."""

    def call(iterator):
        try:
            return function(iterator)
        except tf.errors.InvalidArgumentError as error:
            if "tf2xla conversion failed" not in str(error):
                raise
            raise ValueError(
                f"XLA cannot compile this step: {_reason(error)}. Give "
                "`compile(jit_compile=False)`, or let the objective, the networks and "
                "the metrics do without that. No weight was changed. Received: "
                "jit_compile=True"
            ) from error

    return call


def _reason(error):
    """The operations at fault, if the error names them, else its first line."""
    operations = re.findall(r"No registered '(\w+)' OpKernel for XLA", str(error))
    if operations:
        return "it knows no " + ", ".join(f"`{name}`" for name in sorted({*operations}))
    return str(error).strip().splitlines()[0].rstrip(".")
