"""Assigning and pairing tasks, the inner loop and its derivatives."""

from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.inner_loop import adapt
from keras_tc2.bilevel.pairing import partners
from keras_tc2.bilevel.proximal import Hypergradient, proximal_hypergradient
from keras_tc2.bilevel.task_assignment import (
    BlockAssignment,
    ClusterAssignment,
    GivenAssignment,
    TaskAssignment,
)
from keras_tc2.bilevel.task_conflict import TaskConflict
from keras_tc2.bilevel.transfer import (
    mean_transfer_losses,
    split_tasks,
    task_of_each,
    transfer_losses,
)
from keras_tc2.deprecation import old_names

__all__ = [
    "BlockAssignment",
    "ClusterAssignment",
    "GivenAssignment",
    "Hypergradient",
    "TaskAssignment",
    "TaskConflict",
    "adapt",
    "mean_transfer_losses",
    "partners",
    "proximal_hypergradient",
    "split_tasks",
    "task_of_each",
    "transfer_losses",
    "value_and_gradients",
]


def __dir__() -> list[str]:
    return __all__


_PROXIMAL = "keras_tc2.bilevel.deprecated", "`proximal_hypergradient`"
_ADAPT = "keras_tc2.bilevel.deprecated", "`value_and_gradients` through `adapt`"
_TRANSFER = "keras_tc2.bilevel.transfer"
_ASSIGNMENT = "keras_tc2.bilevel.task_assignment"

__getattr__ = old_names(
    __name__,
    {
        "SOLVERS": ("keras_tc2.bilevel.proximal", "the name of a solver"),
        "checked_order": (_ASSIGNMENT, "`TaskAssignment.order`"),
        "conjugate_gradient": _PROXIMAL,
        "finite_difference": _PROXIMAL,
        "first_order": _PROXIMAL,
        "get_task_assignment": (_ASSIGNMENT, "the class of the assignment"),
        "mean_off_diagonal": (_TRANSFER, "a mean of your own"),
        "neumann": _PROXIMAL,
        "pairwise_cosines": (_TRANSFER, "`TC2Pretrainer.diagnose` or `TaskConflict`"),
        "unrolled": _ADAPT,
    },
)
