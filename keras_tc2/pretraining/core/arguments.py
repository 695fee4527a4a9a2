"""Arguments of Keras's `compile` and `fit` that a pretrainer has no use for."""

WITHOUT_LABELS = ("sample_weight", "class_weight", "validation_split")


def check_compile_arguments(arguments):
    """Raises `ValueError` for what `compile` would ignore, or Keras stumble over.

    Args:
        arguments: dict, what `compile` was given besides its own arguments.
    """
    for name in ("loss", "loss_weights", "weighted_metrics"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"A pretrainer's loss is its objective, so `compile` takes no `{name}`:"
                " give the pretrainer another `objective=`, an `objectives.Objective` "
                f"or a function of two embeddings. Received: {name}={arguments[name]!r}"
            )
    steps = arguments.get("steps_per_execution", 1)
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(
            "`steps_per_execution` must be a whole number of at least 1; Keras with "
            f'TensorFlow has no "auto". Received: steps_per_execution={steps!r}'
        )


def check_fit_arguments(arguments):
    """Raises `ValueError` for data that are missing, and for what goes with labels.

    Args:
        arguments: dict of the arguments of `fit`.
    """
    if arguments.get("x") is None:
        raise ValueError(
            "`fit` needs batches of views: give it what `data.two_views` makes."
        )
    for name in WITHOUT_LABELS:
        value = arguments.get(name)
        if value is not None and not (name == "validation_split" and value == 0):
            raise ValueError(
                f"A pretrainer learns without labels, so `fit` takes no `{name}`. Task "
                "ids come with the data, as (view_1, view_2, task_ids); for validation "
                f"give `validation_data`. Received: {name} of type "
                f"{type(value).__name__}"
            )
