"""Which phase of BiSSL a step of training is in."""

import dataclasses
import enum

from keras_tc2.checks import integer


class Phase(enum.IntEnum):
    """The kinds of step of `BiSSLTrainer`; their numbers are what is logged."""

    WARM_UP = 0
    LOWER = 1
    UPPER = 2


@dataclasses.dataclass(frozen=True)
class Phases:
    """The order of steps: a warm-up of the head, then alternations without an end.

    Args:
        warmup_steps: int >= 0.
        num_alternations: int >= 1. How many a whole run has.
        lower_steps: int >= 1. Lower steps, which begin an alternation.
        upper_steps: int >= 1. Upper steps, which end it.
    """

    warmup_steps: int
    num_alternations: int
    lower_steps: int
    upper_steps: int

    def __post_init__(self):
        """Checks the numbers."""
        integer("warmup_steps", self.warmup_steps, at_least=0)
        for name in ("num_alternations", "lower_steps", "upper_steps"):
            integer(name, getattr(self, name))

    @property
    def num_steps(self):
        """Steps of a whole run."""
        return self.warmup_steps + self.num_alternations * self.steps_per_alternation

    @property
    def steps_per_alternation(self):
        """Lower and upper steps together."""
        return self.lower_steps + self.upper_steps

    def phase(self, step):
        """The `Phase` of a step, counted from 0."""
        if step < self.warmup_steps:
            return Phase.WARM_UP
        place = (step - self.warmup_steps) % self.steps_per_alternation
        return Phase.LOWER if place < self.lower_steps else Phase.UPPER

    def describe(self, step):
        """Where a step is, in words: `"lower 3/20 of alternation 2/500"`."""
        if step < self.warmup_steps:
            return f"head warm-up {step + 1}/{self.warmup_steps}"
        alternation, place = divmod(
            step - self.warmup_steps, self.steps_per_alternation
        )
        if place < self.lower_steps:
            where = f"lower {place + 1}/{self.lower_steps}"
        else:
            where = f"upper {place - self.lower_steps + 1}/{self.upper_steps}"
        return f"{where} of alternation {alternation + 1}/{self.num_alternations}"
