"""Assigning and pairing tasks, the inner loop and its derivatives."""

from keras_tc2.bilevel.conjugate_gradient import conjugate_gradient
from keras_tc2.bilevel.finite_difference import finite_difference
from keras_tc2.bilevel.first_order import first_order
from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.hypergradient import Hypergradient
from keras_tc2.bilevel.inner_loop import adapt
from keras_tc2.bilevel.neumann import neumann
from keras_tc2.bilevel.pairing import partners
from keras_tc2.bilevel.proximal import SOLVERS, proximal_hypergradient
from keras_tc2.bilevel.task_assignment import (
    BlockAssignment,
    ClusterAssignment,
    GivenAssignment,
    TaskAssignment,
    checked_order,
    get_task_assignment,
)
from keras_tc2.bilevel.task_conflict import TaskConflict
from keras_tc2.bilevel.transfer import (
    mean_off_diagonal,
    mean_transfer_losses,
    pairwise_cosines,
    split_tasks,
    task_of_each,
    transfer_losses,
)
from keras_tc2.bilevel.unrolled import unrolled

__all__ = [
    "SOLVERS",
    "BlockAssignment",
    "ClusterAssignment",
    "GivenAssignment",
    "Hypergradient",
    "TaskAssignment",
    "TaskConflict",
    "adapt",
    "checked_order",
    "conjugate_gradient",
    "finite_difference",
    "first_order",
    "get_task_assignment",
    "mean_off_diagonal",
    "mean_transfer_losses",
    "neumann",
    "pairwise_cosines",
    "partners",
    "proximal_hypergradient",
    "split_tasks",
    "task_of_each",
    "transfer_losses",
    "unrolled",
    "value_and_gradients",
]


def __dir__() -> list[str]:
    return __all__
