"""The claims of `benchmarks/transfer`: power, Holm's correction, and made-up runs."""

import dataclasses
import json
import pathlib
import sys

import numpy as np
import pytest
from scipy import stats

from tests.scripts import ROOT, run
from tests.test_case import TestCase

SCRIPTS = [str(ROOT / "benchmarks" / "transfer"), str(ROOT / "examples")]


@pytest.fixture(scope="module")
def scripts():
    """The modules `claims` and `stages`."""
    paths, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = SCRIPTS
    import claims
    import stages

    yield claims, stages
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if str(pathlib.Path(path).parent) in SCRIPTS:
            del sys.modules[name]


@pytest.fixture
def stage(scripts):
    """A stage of three arms and three claims."""
    return scripts[1].Stage(
        name="made_up",
        written="2026-11-28",
        question="Which?",
        flags={
            "steps": 2,
            "objectives": ["nt_xent"],
            "transfer_to": ["a/b.h5"],
            "pretrain_on": ["c.h5", "d.h5"],
        },
        seeds=[3, 4, 5, 6],
        arms=["base", "tc2", "gate"],
        claims=[["tc2", "base"], ["gate", "base"], ["gate", "tc2"]],
        deviation=1.0,
        smallest_effect=1.0,
        level=0.05,
        power=0.2,
    )


def write_runs(folder, scores, *, failed=(), steps=2):
    """Records as `compare.py` writes them, of `{arm: {seed: accuracy}}`."""
    (folder / "runs").mkdir(parents=True)
    settings = {"steps": steps, "transfer": ["b"], "in_domain": "c+d"}
    (folder / "settings.json").write_text(json.dumps(settings))
    for arm, of_seed in scores.items():
        for seed, accuracy in of_seed.items():
            record = {"objective": "nt_xent", "arm": arm, "seed": seed, "label": arm}
            if (arm, seed) in failed:
                record["failure"] = "NaN at step 1"
            else:
                half = accuracy / 100
                record["scores"] = {"b": {"knn": half - 0.1, "linear": half + 0.1}}
            path = folder / "runs" / f"nt_xent-{arm}-{seed}.json"
            path.write_text(json.dumps(record))


def draw(seeds=(3, 4, 5, 6)):
    """Scores whose arms differ by about 5 and by nothing."""
    rng = np.random.default_rng(0)
    base = {seed: 60 + 10 * rng.random() for seed in seeds}
    return {
        "base": base,
        "tc2": {seed: base[seed] + 5 + rng.random() for seed in seeds},
        "gate": {seed: base[seed] + rng.normal() for seed in seeds},
    }


class PowerTest(TestCase):
    @pytest.mark.parametrize(
        ("effect", "number", "level"), [(1.0, 10, 0.05), (0.7, 6, 0.01), (0.0, 8, 0.05)]
    )
    def test_against_simulation(self, scripts, effect, number, level):
        rng = np.random.default_rng(0)
        draws = rng.normal(effect, 0.9, (40_000, number))
        p_values = stats.ttest_1samp(draws, 0.0, axis=1).pvalue
        power = scripts[1].paired_power(effect, 0.9, number, level)
        # Four standard errors of a share of 40,000.
        self.assert_close(power, np.mean(p_values < level), rtol=0, atol=0.01)

    def test_a_stage_that_sees_too_little_is_refused(self, scripts, stage):
        stage.check_power()
        stage = dataclasses.replace(stage, power=0.8)
        with pytest.raises(ValueError, match=r"below 0.8: 4 seeds.*Give it 10 seeds"):
            stage.check_power()
        power = scripts[1].paired_power
        assert power(1.0, 1.0, 9, 0.05) < 0.8 <= power(1.0, 1.0, 10, 0.05)

    @pytest.mark.parametrize(
        "change",
        [
            {"seeds": [3]},
            {"claims": []},
            {"claims": [["tc2", "projection"]]},
            {"claims": [["tc2", "tc2"]]},
            {"seeds": [3, 3]},
            {"arms": ["base", "tc2", "gate", "tc2"]},
        ],
    )
    def test_a_stage_that_makes_no_sense_is_refused(self, stage, change):
        with pytest.raises(ValueError, match="made_up"):
            dataclasses.replace(stage, **change)

    def test_every_written_stage_is_sound_and_can_be_run(self, scripts):
        result = run("benchmarks/transfer/evidence.py", "--stages=none", fails=True)
        import compare_arms

        for name, stage in scripts[1].read_stages().items():
            assert set(stage.arms) <= set(compare_arms.ALL_ARMS)
            stage.check_power()
            assert f"'{name}'" in result.stderr


class HolmTest(TestCase):
    def test_against_the_step_down_procedure(self, scripts):
        """At every level, what is rejected is what the procedure rejects."""
        rng = np.random.default_rng(0)
        for _ in range(20):
            p_values = [*(0.1 * rng.random(6)), 0.9, 0.9]
            adjusted = scripts[0].holm(p_values)
            for level in (0.01, 0.05, 0.2, 0.95):
                rejected = set()
                for rank, i in enumerate(np.argsort(p_values)):
                    if p_values[i] > level / (len(p_values) - rank):
                        break
                    rejected.add(i)
                assert rejected == {i for i, p in enumerate(adjusted) if p <= level}

    def test_by_hand(self, scripts):
        adjusted = scripts[0].holm([0.01, 0.04, 0.03, 0.005])
        self.assert_close(adjusted, [0.03, 0.06, 0.06, 0.02])
        # A claim without runs takes its share of the level all the same.
        adjusted = scripts[0].holm([0.01, None])
        assert adjusted == [0.02, None]


class ClaimsTest(TestCase):
    def test_of_all_runs(self, scripts, stage, tmp_path):
        scores = draw()
        # Of another stage, in the same folder.
        scores["base"][9] = 0.0
        scores["projection"] = {3: 0.0}
        write_runs(tmp_path, scores)
        found = scripts[0].evaluate(stage, tmp_path)
        assert found["complete"] and not found["missing"]
        for claim in found["claims"]:
            first, second = (
                [scores[arm][seed] for seed in stage.seeds]
                for arm in (claim["first"], claim["second"])
            )
            test = stats.ttest_rel(first, second)
            low, high = test.confidence_interval(0.95)
            self.assert_close(claim["difference"], (low + high) / 2)
            self.assert_close(claim["half_interval"], (high - low) / 2)
            self.assert_close(claim["p_value"], test.pvalue)
        verdicts = [claim["verdict"] for claim in found["claims"]]
        assert verdicts == ["shown", "not shown", "the opposite is shown"]

    def test_of_some_runs(self, scripts, stage, tmp_path):
        scores = draw()
        del scores["gate"][6], scores["tc2"][5], scores["tc2"][6]
        write_runs(tmp_path, scores, failed=[("base", 4)])
        scripts[0].write(stage, tmp_path)
        found = json.loads((tmp_path / "claims.json").read_text())
        assert found["missing"] == {"tc2": [5, 6], "gate": [6]}
        assert found["failed"] == {"base": {"4": "NaN at step 1"}}
        pairs = [claim["paired_seeds"] for claim in found["claims"]]
        assert pairs == [[3], [3, 5], [3, 4]]
        assert found["claims"][0]["p_value"] is None
        assert {claim["verdict"] for claim in found["claims"]} == {"runs missing"}
        table = (tmp_path / "claims.md").read_text()
        assert "- Failed: base, seed 4: NaN at step 1" in table
        assert "- Missing: tc2, seeds 5, 6" in table
        assert "| gate − base | 2 |" in table

    def test_runs_of_other_settings_are_refused(self, scripts, stage, tmp_path):
        write_runs(tmp_path, draw(), steps=3)
        with pytest.raises(ValueError, match="runs with steps=2; these have 3"):
            scripts[0].evaluate(stage, tmp_path)

    def test_script(self):
        result = run("benchmarks/transfer/claims.py", "longer")
        assert "7 claims, 10 seeds, 8 arms, 80 runs" in result.stdout
        result = run("benchmarks/transfer/claims.py", "sooner", fails=True)
        assert "Received: ['sooner']" in result.stdout + result.stderr
