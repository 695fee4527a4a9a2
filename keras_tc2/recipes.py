"""Settings of `TC2Pretrainer` that have a name, and the runs that speak for each.

Each function returns keyword arguments: `TC2Pretrainer(encoder, objective="nt_xent",
**recipes.full_method())`. Further arguments are added beside them.

| the data | the setting | the run that says so |
|---|---|---|
| one domain | `cluster_tasks()` | `confirmation`, `longer_again`, `larger` |
| few images | `cluster_tasks()` | `few_images` |
| recipes that ask for opposite things | `block_tasks()` | `contradicting` |
| recipes that shall be tasks | `block_tasks()` | `small_encoder` |
| several domains | mixed, not as tasks | `domains` |
| to study the published method | `full_method()` | all of these |

The runs are folders of `benchmarks/transfer/`; differences are in points of transfer
score with 95 % intervals. With domains as tasks, emoji of four artists, neither tasks
nor calibration nor inner step are shown to help, and a gain of one point is ruled out.
"""

from typing import Any

__all__ = ["block_tasks", "cluster_tasks", "full_method"]


def __dir__() -> list[str]:
    return __all__


def cluster_tasks() -> dict[str, Any]:
    """Tasks that are clusters of similar images, and nothing else of the method.

    The best established setting, and what `TC2Pretrainer` does by default: +0.78 ± 0.41
    over base SSL, +0.66 ± 0.38 at equal time, twenty fresh seeds
    (`benchmarks/transfer/confirmation`). With VICReg +1.00 ± 0.71 and +0.91 ± 0.72, ten
    seeds (`benchmarks/transfer/small_encoder`). Each block of the batch had its own
    view recipe (`augment.simclr_tasks`). After ten times the steps, where training has
    converged, +0.84 ± 0.25, and +0.78 ± 0.31 over base SSL with 1.5 times the steps,
    twenty other seeds (`benchmarks/transfer/longer_again`). Of 1,000 images
    +0.66 ± 0.40, +0.71 ± 0.39 over base SSL with the same task views, and +0.38 ± 0.47,
    not shown, over base SSL with 1.5 times the steps (`benchmarks/transfer/few_images`,
    twenty others). After 2,000 steps of a ResNet-18 of width 16 +1.49 ± 0.57, and
    +1.47 ± 0.44 over base SSL with the same task views, fifteen others
    (`benchmarks/transfer/larger`).

    Returns:
        dict of arguments of `TC2Pretrainer`.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.TC2Pretrainer(
        encoder, objective="nt_xent", **tc2.recipes.cluster_tasks()
    )
    assert model.calibrator is None
    ```
    """
    return {"task_assignment": "cluster", "calibration": "none", "num_inner_steps": 0}


def block_tasks() -> dict[str, Any]:
    """Tasks that are blocks of the batch, without calibration and inner step.

    For batches whose order makes the tasks: a view recipe or a domain for each block.
    Not shown to differ from base SSL (`benchmarks/transfer/confirmation`), and cluster
    tasks are above it (+0.68 ± 0.30, twenty seeds): it is the control of what tasks
    alone bring. Where recipes contradict each other, blocks with a recipe each are
    +2.80 ± 0.43 over base SSL with one recipe of all, and so is base SSL on these
    blocks, +3.06 ± 0.50 (`benchmarks/transfer/contradicting`, twenty seeds). Domains as
    tasks are -0.47 ± 0.36 against random tasks, which Holm's correction leaves not
    shown (`benchmarks/transfer/domains`, twenty-four seeds).

    Returns:
        dict of arguments of `TC2Pretrainer`.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.TC2Pretrainer(encoder, objective="vicreg", **tc2.recipes.block_tasks())
    assert model.calibrator is None
    ```
    """
    return {"task_assignment": "blocks", "calibration": "none", "num_inner_steps": 0}


def full_method(*, task_assignment: Any = "blocks") -> dict[str, Any]:
    """All of Task Conflict Calibration: tasks, calibration, inner step, second order.

    Not shown to add to its tasks: with blocks +0.27 ± 0.40 over base SSL and
    +0.16 ± 0.31 over `block_tasks`; with clusters -0.24 ± 0.28 against `cluster_tasks`
    (`benchmarks/transfer/confirmation`, twenty fresh seeds, 200 steps of a convnet);
    after 2,000 steps -0.10 ± 0.33 over `block_tasks`
    (`benchmarks/transfer/longer_again`, twenty others), of 1,000 images -0.09 ± 0.40
    (`benchmarks/transfer/few_images`, twenty others); after 2,000 steps of a ResNet-18
    +0.15 ± 0.55 over base SSL with the same views (`benchmarks/transfer/larger`,
    fifteen others); where tasks contradict each other +0.32 ± 0.35 over `block_tasks`
    (`benchmarks/transfer/contradicting`, twenty seeds, 600 steps), and where they are
    domains +0.41 ± 0.41 (`benchmarks/transfer/domains`, twenty-four seeds). The inner
    steps of these runs were not clipped (`inner_clipnorm=None`).

    Args:
        task_assignment: as for `TC2Pretrainer`. Defaults to `"blocks"`.

    Returns:
        dict of arguments of `TC2Pretrainer`.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.TC2Pretrainer(
        encoder, objective="nt_xent", num_factors=16, **tc2.recipes.full_method()
    )
    assert model.factor_extractor.num_factors == 16
    ```
    """
    return {
        "task_assignment": task_assignment,
        "calibration": "residual",
        "num_inner_steps": 1,
    }
