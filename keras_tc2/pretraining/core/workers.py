"""The worker processes of a run."""

from keras import ops


def workers(strategy):
    """How many worker processes a strategy has, and whether this one is the chief.

    Returns:
        `(count, is_chief)`; `(1, True)` without several workers.
    """
    resolver = getattr(strategy, "cluster_resolver", None)
    cluster = resolver.cluster_spec().as_dict() if resolver is not None else {}
    count = len(cluster.get("chief", [])) + len(cluster.get("worker", []))
    if count < 2:
        return 1, True
    if resolver.task_type == "chief":
        return count, True
    return count, "chief" not in cluster and resolver.task_id == 0


def reducible(logs, strategy):
    """What a step returns, as Keras can reduce it over workers.

    Keras averages the logs of several workers over their first axis.
    """
    if workers(strategy)[0] == 1:
        return logs
    return {name: ops.reshape(value, (1,)) for name, value in logs.items()}
