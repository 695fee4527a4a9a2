"""Assigning and pairing tasks, the inner loop and its derivatives."""

from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.inner_loop import adapt
from keras_tc2.bilevel.pairing import partners
from keras_tc2.bilevel.task_assignment import (
    BlockAssignment,
    ClusterAssignment,
    GivenAssignment,
    TaskAssignment,
    get_task_assignment,
)
from keras_tc2.bilevel.transfer import (
    mean_off_diagonal,
    pairwise_cosines,
    split_tasks,
    task_of_each,
    transfer_losses,
)

__all__ = [
    "BlockAssignment",
    "ClusterAssignment",
    "GivenAssignment",
    "TaskAssignment",
    "adapt",
    "get_task_assignment",
    "mean_off_diagonal",
    "pairwise_cosines",
    "partners",
    "split_tasks",
    "task_of_each",
    "transfer_losses",
    "value_and_gradients",
]
