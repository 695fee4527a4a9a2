"""The stages of `settings.yaml`: what each asks, and whether it can see the answer."""

import dataclasses
import datetime
import pathlib

import numpy as np
import yaml
from scipy import stats

SETTINGS = pathlib.Path(__file__).resolve().parent / "settings.yaml"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage, as it was written before its runs.

    Args:
        name: str.
        written: date on which it was written.
        question: str.
        flags: dict, flags of `examples/compare.py` beside arms and seeds.
        seeds: list of ints.
        arms: list of names of `examples/compare_arms.py`.
        claims: list of pairs of arms; the first is claimed to be above the second.
        deviation: float > 0, points: the deviation over seeds of a paired difference.
        smallest_effect: float > 0, points.
        level: float in (0, 1), of the two-sided tests.
        power: float in (0, 1), below which the stage is not run.
        data: name of a script of this folder that writes the data sets which the flags
            name, or `None` if they are there. Defaults to `None`.

    Raises:
        ValueError: if there are fewer than two seeds, no claims, a name twice, or a
            claim about an arm that the stage does not run.
    """

    name: str
    written: datetime.date
    question: str
    flags: dict
    seeds: list
    arms: list
    claims: list
    deviation: float
    smallest_effect: float
    level: float
    power: float
    data: str | None = None

    def __post_init__(self):
        """Checks that the stage makes sense."""
        if len(self.seeds) < 2 or not self.claims:
            raise ValueError(
                f"Stage {self.name} needs two seeds or more, and claims. Received: "
                f"seeds={self.seeds}, claims={self.claims}"
            )
        for key in ("seeds", "arms"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"Stage {self.name} names some {key} twice: {values}")
        of_no_arm = [c for c in self.claims if len({*c} & {*self.arms}) != 2]
        if of_no_arm:
            raise ValueError(
                f"Claims of stage {self.name} must be about two of its arms "
                f"{self.arms}. Received: {of_no_arm}"
            )

    @property
    def objective(self):
        """The base objective of its runs."""
        (objective,) = self.flags.get("objectives", ["nt_xent"])
        return objective

    @property
    def arguments(self):
        """What `examples/compare.py` is given, but its output folder."""
        flags = {**self.flags, "arms": self.arms, "seeds": self.seeds}
        return [
            f"--{name}={','.join(map(str, np.atleast_1d(value)))}"
            for name, value in flags.items()
        ]

    def power_at(self, level):
        """The power of one of its claims if the smallest effect is there."""
        return paired_power(
            self.smallest_effect, self.deviation, len(self.seeds), level
        )

    def check_power(self):
        """Raises `ValueError` if the stage could not see what it looks for."""
        reached = self.power_at(self.level)
        # SciPy gives NaN for an effect of many deviations.
        if not reached >= self.power:
            raise ValueError(
                f"Stage {self.name} would see {self.smallest_effect:g} points with a "
                f"power of {reached:.2f}, below {self.power:g}: {len(self.seeds)} "
                f"seeds, deviation {self.deviation:g}, level {self.level:g}. Give it "
                f"{self.seeds_needed()} seeds."
            )

    def seeds_needed(self):
        """The fewest seeds whose power is enough."""
        number = 2
        while (
            paired_power(self.smallest_effect, self.deviation, number, self.level)
            < self.power
        ):
            number += 1
        return number


def read_stages(path=SETTINGS):
    """`{name: Stage}`; what a stage does not say is said for all."""
    settings = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
    stages = settings.pop("stages")
    return {
        name: Stage(name=name, **{**settings, **stage})
        for name, stage in stages.items()
    }


def paired_power(effect, deviation, number, level):
    """The power of a two-sided t test of paired differences, noncentral t.

    Args:
        effect: float, the true mean difference.
        deviation: float > 0, of the differences.
        number: int >= 2, of pairs.
        level: float in (0, 1).
    """
    freedom = number - 1
    critical = stats.t.ppf(1 - level / 2, freedom)
    shift = effect / deviation * np.sqrt(number)
    above = stats.nct.sf(critical, freedom, shift)
    return float(above + stats.nct.cdf(-critical, freedom, shift))
