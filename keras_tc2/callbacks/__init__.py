"""Keras callbacks: what to watch, and keep, while pre-training."""

from keras_tc2.callbacks.collapse_guard import CollapseGuard
from keras_tc2.callbacks.embedding_plot import EmbeddingPlot
from keras_tc2.callbacks.online_probe import OnlineProbe
from keras_tc2.callbacks.push_to_hub import PushToHub
from keras_tc2.callbacks.resumable_checkpoint import ResumableCheckpoint
from keras_tc2.callbacks.step_timer import StepTimer
from keras_tc2.callbacks.task_conflict_monitor import TaskConflictMonitor
from keras_tc2.callbacks.training_report import TrainingReport

__all__ = [
    "CollapseGuard",
    "EmbeddingPlot",
    "OnlineProbe",
    "PushToHub",
    "ResumableCheckpoint",
    "StepTimer",
    "TaskConflictMonitor",
    "TrainingReport",
]


def __dir__() -> list[str]:
    return __all__
