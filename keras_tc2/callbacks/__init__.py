"""Keras callbacks: what to watch, and keep, while pre-training."""

from keras_tc2.callbacks.collapse_guard import CollapseGuard
from keras_tc2.callbacks.online_probe import OnlineProbe

__all__ = ["CollapseGuard", "OnlineProbe"]
