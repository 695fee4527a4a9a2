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


def compiles_on_views(model):
    """Whether XLA gets the step from its views on, not the making of them.

    An augmentation may be anything, and XLA would draw other numbers from a seed. Under
    a strategy a part of a step cannot be compiled: there XLA gets the whole.
    """
    return (
        model.jit_compile
        and model.augmentation is not None
        and not model.under_strategy
    )


def make_train_function(model, make):
    """Sets the train function of a model, and says what happens if XLA cannot compile.

    If the model `may_run_without_xla`, XLA is asked before the first batch is drawn;
    the step then runs without it, with a warning. Else the first step raises
    `ValueError`.

    Args:
        model: a `TrainingStep`.
        make: callable `(force)`, Keras's, that sets the train function.
    """
    jit_compile = model.jit_compile
    # What Keras compiles is the whole step.
    model.jit_compile = jit_compile and not compiles_on_views(model)
    make(force=True)
    model.jit_compile = jit_compile
    if not jit_compile:
        return
    compiled = _explained(model.train_function)
    chosen = [] if model.may_run_without_xla else [compiled]

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
                chosen.append(_without_xla(model, make))
        return chosen[0](iterator)

    model.train_function = train_function


def obstacle(model, specs):
    """Why XLA cannot compile a training step, or `None`. Traces it; runs nothing.

    Args:
        model: a `TrainingStep`.
        specs: nest of `tf.TensorSpec`s, of a batch.
    """
    train_step = model.train_step
    if compiles_on_views(model):
        train_step = model.train_step_on_views
        made = tf.function(model.with_views).get_concrete_function(specs)
        specs = tf.nest.map_structure(
            lambda x: None if x is None else tf.TensorSpec(x.shape, x.dtype),
            made.structured_outputs,
        )
    # A batch without task ids holds `None` for them.
    leaves = tf.nest.flatten(specs)
    parts = [leaf for leaf in leaves if leaf is not None]

    @tf.function(jit_compile=True)
    def step(*parts):
        parts = iter(parts)
        filled = [None if leaf is None else next(parts) for leaf in leaves]
        data = tf.nest.pack_sequence_as(specs, filled)
        return model.distribute_strategy.run(train_step, (data,))

    # What is raised here is no matter of XLA.
    step.get_concrete_function(*parts)
    try:
        step.experimental_get_compiler_ir(*parts)(stage="hlo")
    except (tf.errors.OpError, TypeError, ValueError) as error:
        return _reason(error)
    return None


def _without_xla(model, make):
    present, model.jit_compile = model.train_function, False
    make(force=True)
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
    """The operations at fault, if the error names them, else its first own line."""
    operations = re.findall(r"No registered '(\w+)' OpKernel for XLA", str(error))
    if operations:
        return "it knows no " + ", ".join(f"`{name}`" for name in sorted({*operations}))
    lines = (line.strip().rstrip(".") for line in str(error).splitlines())
    around = ("Graph execution error", "Detected at node", "File ", "Stack trace")
    return next(
        (line for line in lines if line and not line.startswith(around)),
        type(error).__name__,
    )
