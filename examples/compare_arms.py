"""The arms of `compare.py`: each is a few arguments of a pretrainer."""

import dataclasses

from keras_tc2 import recipes

# Their gradients are tens of times NT-Xent's, and VICReg's covariance term is quartic:
# without a bound its inner step diverged at every learning rate that was of use.
INNER_CLIPNORMS = {"barlow_twins": 1.0, "vicreg": 1.0}


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way of training an encoder.

    Args:
        label: str, its name in tables.
        method: `"none"`, `"supervised"`, `"ssl"` or `"tc2"`.
        task_views: bool. Whether each task's part of a batch has its own recipe.
        more_steps: float. Steps, as a multiple of `--steps`.
        arguments: dict, arguments of `TC2Pretrainer`. Defaults may change, so all that
            this arm is about stand here.
        domains: bool. Whether the batch is a block of each source of `--pretrain_on`,
            in place of all sources mixed.
    """

    label: str
    method: str
    task_views: bool = False
    more_steps: float = 1.0
    arguments: dict = dataclasses.field(default_factory=dict)
    domains: bool = False


def tc2_arm(label, *, task_views=True, domains=False, **arguments):
    """An arm that differs from the whole method in these arguments."""
    arguments = {"inner_clipnorm": None, **recipes.full_method(), **arguments}
    return Arm(label, "tc2", task_views, arguments=arguments, domains=domains)


def domain_arm(label, **arguments):
    """The same, with domains for tasks, and one recipe."""
    return tc2_arm(label, task_views=False, domains=True, **arguments)


def cluster_arm(label, **arguments):
    """The same, with tasks that are clusters."""
    return tc2_arm(label, task_assignment="cluster", **arguments)


ARMS = {
    "base": Arm("base SSL", "ssl"),
    "base_task_views": Arm("base SSL, task views", "ssl", True),
    "tasks_only": tc2_arm(
        "tasks, no calibration, no inner step", calibration="none", num_inner_steps=0
    ),
    # On this encoder a TC² step takes 1.3 to 1.5 of base SSL's without the making of
    # views, and about 1.2 with it.
    "base_equal_compute": Arm("base SSL, 1.25 × the steps", "ssl", more_steps=1.25),
    "base_equal_time": Arm("base SSL, 1.5 × the steps", "ssl", more_steps=1.5),
    "tc2": tc2_arm("TC²"),
    "task_views_equal_compute": Arm(
        "base SSL, task views, 1.25 × the steps", "ssl", True, 1.25
    ),
    "task_views_equal_time": Arm(
        "base SSL, task views, 1.5 × the steps", "ssl", True, 1.5
    ),
    "no_calibration": tc2_arm("inner step, no calibration", calibration="none"),
    "no_inner_step": tc2_arm("calibration, no inner step", num_inner_steps=0),
    "no_task_embedding": tc2_arm("TC² without task embedding", task_embedding=False),
    "first_order": tc2_arm("TC², first order", inner_order=1),
    "encoder_first_order": tc2_arm(
        "TC², encoder scope, first order", inner_scope="encoder", inner_order=1
    ),
    "encoder_scope": tc2_arm("TC², encoder scope", inner_scope="encoder"),
    "base_long": Arm("base SSL, 3 × the steps", "ssl", more_steps=3.0),
    "random": Arm("random encoder", "none"),
    "supervised": Arm("supervised encoder", "supervised"),
}
# What else the arguments allow; for choosing, not for the table.
VARIANTS = {
    "tasks_2": tc2_arm("TC², M = 2", num_tasks=2),
    "tasks_8": tc2_arm("TC², M = 8", num_tasks=8),
    "factors_8": tc2_arm("TC², K = 8", num_factors=8),
    "factors_64": tc2_arm("TC², K = 64", num_factors=64),
    "sparsity_0": tc2_arm("TC², λ = 0", sparsity_weight=0.0),
    "sparsity_0.1": tc2_arm("TC², λ = 0.1", sparsity_weight=0.1),
    "sparsity_1": tc2_arm("TC², λ = 1", sparsity_weight=1.0),
    **{
        f"alpha_{alpha:g}": tc2_arm(f"TC², α = {alpha:g}", inner_learning_rate=alpha)
        for alpha in (0.0001, 0.001, 0.01, 0.05, 0.5, 1.0)
    },
    **{
        f"clip_{norm:g}": tc2_arm(
            f"TC², inner gradient clipped to {norm:g}",
            inner_clipnorm=norm,
            inner_learning_rate=0.2,
        )
        for norm in (0.1, 0.3, 1.0)
    },
    "inner_steps_3": tc2_arm("TC², 3 inner steps", num_inner_steps=3),
    "all_pairs": tc2_arm("TC², all pairs", pairing="all"),
    "transfer_0.3": tc2_arm("TC², transfer weight 0.3", transfer_weight=0.3),
    "transfer_3": tc2_arm("TC², transfer weight 3", transfer_weight=3.0),
    "no_base": tc2_arm("TC² without base term", base_weight=0.0),
    "no_base_no_calibration": tc2_arm(
        "inner step, no calibration, no base term", base_weight=0.0, calibration="none"
    ),
    "no_base_no_inner_step": tc2_arm(
        "calibration, no inner step, no base term", base_weight=0.0, num_inner_steps=0
    ),
    "no_base_tasks_only": tc2_arm(
        "tasks, no calibration, no inner step, no base term",
        base_weight=0.0,
        calibration="none",
        num_inner_steps=0,
    ),
    "shared_factors": tc2_arm("TC², shared factors", factors_from_batch=False),
    "weights_per_task": tc2_arm("TC², one W a task", weights_per="task"),
    "alternating": tc2_arm("TC², θ and φ in turns", alternating=True),
    # All that is known of MetaCRL and has a counterpart here.
    "near_metacrl": tc2_arm(
        "TC², near MetaCRL",
        factors_from_batch=False,
        calibrated_part="features",
        weights_per="task",
        calibration="gate",
        alternating=True,
    ),
    "calibrated_features": tc2_arm(
        "TC², calibrated features", calibrated_part="features"
    ),
    "calibrated_base": tc2_arm("TC², calibrated base term", calibrate_base=True),
    "gate": tc2_arm("TC², gate", calibration="gate"),
    "projection": tc2_arm("TC², projection", calibration="projection"),
    "base_domains": Arm("base SSL, domains in equal parts", "ssl", domains=True),
    "domains": domain_arm("TC², domains"),
    "domains_tasks_only": domain_arm(
        "domain tasks, no calibration, no inner step",
        calibration="none",
        num_inner_steps=0,
    ),
    "domains_no_calibration": domain_arm(
        "inner step on domains, no calibration", calibration="none"
    ),
    "domains_no_inner_step": domain_arm(
        "calibration on domains, no inner step", num_inner_steps=0
    ),
    "random_tasks_only": tc2_arm(
        "random tasks, one recipe, no calibration, no inner step",
        task_views=False,
        calibration="none",
        num_inner_steps=0,
    ),
    "random_tasks": tc2_arm("TC², random tasks, one recipe", task_views=False),
    "clusters": cluster_arm("TC², clusters, one recipe", task_views=False),
    "clusters_task_views": cluster_arm("TC², clusters, task views"),
    "clusters_first_order": cluster_arm("TC², clusters, first order", inner_order=1),
    "clusters_8": cluster_arm("TC², clusters, M = 8", num_tasks=8),
    "clusters_factors_64": cluster_arm("TC², clusters, K = 64", num_factors=64),
    "clusters_gate": cluster_arm("TC², clusters, gate", calibration="gate"),
    "clusters_gate_8": cluster_arm(
        "TC², clusters, gate, M = 8", calibration="gate", num_tasks=8
    ),
    "clusters_transfer_3": cluster_arm(
        "TC², clusters, transfer weight 3", transfer_weight=3.0
    ),
    "clusters_no_base": cluster_arm("TC², clusters, no base term", base_weight=0.0),
    "clusters_no_calibration": cluster_arm(
        "TC², clusters, no calibration", calibration="none"
    ),
    "clusters_no_inner_step": cluster_arm(
        "TC², clusters, no inner step", num_inner_steps=0
    ),
    "clusters_alpha_0.05": cluster_arm(
        "TC², clusters, α = 0.05", inner_learning_rate=0.05
    ),
    "clusters_tasks_only": cluster_arm(
        "cluster tasks, no calibration, no inner step",
        calibration="none",
        num_inner_steps=0,
    ),
}
ALL_ARMS = {**ARMS, **VARIANTS}


def described(arm, objective):
    """What the arm is for an objective, in JSON values."""
    arguments = arm.arguments
    unbounded = arguments.get("inner_clipnorm") is None
    if arguments.get("num_inner_steps") and unbounded and objective in INNER_CLIPNORMS:
        arguments = {**arguments, "inner_clipnorm": INNER_CLIPNORMS[objective]}
    record = {**dataclasses.asdict(arm), "arguments": arguments}
    if not arm.domains:
        # Runs from before there were domains do not name them.
        del record["domains"]
    return record
