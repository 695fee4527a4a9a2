"""The worker processes of a run."""


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
