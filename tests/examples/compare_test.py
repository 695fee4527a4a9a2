"""The paired ablation, shrunken: what is done is kept, what differs is refused."""

import concurrent.futures
import json
import os
import runpy
import shutil
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from tests.scripts import ROOT, run
from tests.test_case import TestCase


def compare(folder, output_dir, *flags, fails=False):
    """How the example ended, on the files of `made_up_data`."""
    return run(
        "examples/compare.py",
        "--arms=base,tc2",
        f"--pretrain_on={folder / 'clothes.h5'}",
        f"--transfer_to={folder / 'letters.h5'}",
        f"--output_dir={output_dir}",
        "--steps=2",
        "--batch_size=8",
        *flags,
        fails=fails,
    )


def made_up_data(folder):
    """Two small datasets whose classes differ in brightness."""
    rng = np.random.default_rng(0)
    for name in ("clothes", "letters"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            for split in ("train", "test"):
                labels = np.arange(40) % 2
                images = (
                    rng.integers(0, 150, (40, 8, 8, 1))
                    + 60 * labels[:, None, None, None]
                )
                file[f"{split}/image"] = images.astype("uint8")
                file[f"{split}/label"] = labels


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Data, output folder, and what the run of two arms and two seeds printed."""
    folder = tmp_path_factory.mktemp("compare")
    made_up_data(folder)
    result = compare(folder, folder / "both", "--seeds=0,1")
    return folder, result.stdout


class CompareTest(TestCase):
    def test_table_results_and_picture(self, first_run):
        folder, printed = first_run
        table = (folder / "both" / "table.md").read_text()
        assert table in printed
        assert "| base SSL | 2 |" in table and "| TC² | 2 |" in table
        results = json.loads((folder / "both" / "results.json").read_text())
        assert len(results["runs"]) == 4
        mean = {}
        for record in results["runs"]:
            accuracies = record["scores"]["letters"]
            score = 50 * (accuracies["knn"] + accuracies["linear"])
            mean[record["arm"]] = mean.get(record["arm"], 0) + score / 2
        difference = f"{mean['tc2'] - mean['base']:+.2f} ±"
        lines = table.replace("**", "").splitlines()
        (row,) = [line for line in lines if line.startswith("| TC² | 2")]
        assert difference in row
        controls = lines.index("|  | − base SSL |")
        assert lines[controls + 2].startswith(f"| TC² | {difference}")
        assert (folder / "both" / "ablation.png").stat().st_size > 5_000

    def test_resumes_and_equals_a_fresh_process(self, first_run):
        """Seed 1 after seed 0 reuses a compiled model; alone it does not."""
        folder, _ = first_run
        shutil.copytree(folder / "both", folder / "again")
        runs = folder / "again" / "runs"
        before = (runs / "nt_xent-tc2-0.json").stat().st_mtime_ns
        old = json.loads((runs / "nt_xent-tc2-1.json").read_text())
        (runs / "nt_xent-tc2-1.json").unlink()
        result = compare(folder, folder / "again", "--seeds=0,1")
        made = [line for line in result.stdout.splitlines() if line[:7] == "nt_xent"]
        assert len(made) == 1 and made[0].startswith("nt_xent tc2 1 ")
        assert (runs / "nt_xent-tc2-0.json").stat().st_mtime_ns == before
        new = json.loads((runs / "nt_xent-tc2-1.json").read_text())
        assert new["losses"]["loss"] == pytest.approx(old["losses"]["loss"], rel=1e-5)
        assert new["scores"] == old["scores"]

    def test_processes_that_share_a_folder_do_not_lose_files(self, tmp_path):
        write = runpy.run_path(str(ROOT / "examples" / "run_folder.py"))["write"]
        texts = [str(number) * 100_000 for number in range(8)]
        path = tmp_path / "settings.json"
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda text: write(path, text), texts * 20))
        assert path.read_text() in texts
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("before", "now"), [({}, {"recipes": "x"}), ({"recipes": "x"}, {})]
    )
    def test_what_only_one_side_names_is_another_setting(self, before, now, tmp_path):
        check_settings = runpy.run_path(str(ROOT / "examples" / "run_folder.py"))[
            "check_settings"
        ]
        check_settings(tmp_path, {"steps": 2, **before})
        kept = (tmp_path / "settings.json").read_text()
        with pytest.raises(ValueError, match="other settings"):
            check_settings(tmp_path, {"steps": 2, **now})
        assert (tmp_path / "settings.json").read_text() == kept
        check_settings(tmp_path, {"steps": 2, **before})

    def test_names_of_sources(self):
        named = runpy.run_path(str(ROOT / "examples" / "run_folder.py"))["named"]

        def last(path):
            return path.split("/")[-1]

        paths = ["a/x", "b/y", "a/x"]
        assert named(paths, last, ("z",)) == {"x": "a/x", "y": "b/y"}
        with pytest.raises(ValueError, match="a/x and b/x are both 'x'"):
            named(["a/x", "b/x"], last)
        with pytest.raises(ValueError, match="an arm of the script and b/z are both"):
            named(["a/x", "b/z"], last, ("z",))

    def test_parts_of_a_folder_hold_every_class(self, tmp_path):
        load = runpy.run_path(str(ROOT / "examples" / "few_labels.py"))["load"]
        # Their files are listed in another order: "dogs old/0.png" before "dogs/0.png".
        for label, name in enumerate(("cats", "dogs", "dogs old")):
            (tmp_path / name).mkdir()
            for number in range(10):
                image = np.full((4, 4, 1), 10 * label + number, "uint8")
                keras.utils.save_img(
                    tmp_path / name / f"{number}.png", image, scale=False
                )
        images, labels = load(tmp_path, "train")
        assert set(labels[:15]) == set(labels[-6:]) == {0, 1, 2}
        np.testing.assert_array_equal(images[:, 0, 0, 0] // 10, labels)
        self.assert_close(np.sort(images[:, 0, 0, 0]), np.arange(30))

    def test_other_data_stay_in_their_order(self, tmp_path):
        made_up_data(tmp_path)
        load = runpy.run_path(str(ROOT / "examples" / "few_labels.py"))["load"]
        with h5py.File(tmp_path / "letters.h5") as file:
            images, labels = load(tmp_path / "letters.h5", "test")
            np.testing.assert_array_equal(images, file["test/image"])
            np.testing.assert_array_equal(labels, file["test/label"])
        for name in ("digits_28px", "fashion_mnist_subset", "mnist_subset"):
            data = ROOT / "examples" / "data"
            for split in ("train", "test"):
                pairs = tc2.data.load(name, split, labels=True, data_dir=data)
                _, labels = load(name, split)
                expected = tc2.data.as_arrays(pairs.map(lambda image, label: label))
                np.testing.assert_array_equal(labels, expected)

    @pytest.mark.slow(reason="three processes; the settings are tested above")
    def test_other_recipes_are_other_settings(self, first_run):
        folder, _ = first_run
        flags = ["--recipes=contradicting", "--arms=tasks_only", "--seeds=0"]
        compare(folder, folder / "contradicting", *flags)
        other = json.loads((folder / "contradicting" / "settings.json").read_text())
        assert other.pop("recipes") == "contradicting"
        assert other == json.loads((folder / "both" / "settings.json").read_text())
        result = compare(folder, folder / "both", *flags, fails=True)
        assert "'recipes': 'contradicting'" in result.stderr
        result = compare(folder, folder / "contradicting", *flags[1:], fails=True)
        assert "now {'recipes': None}" in result.stderr

    @pytest.mark.slow(reason="two processes for one argument")
    def test_pretrains_on_the_first_images(self, first_run):
        folder, _ = first_run
        (folder / "few").mkdir()
        for name, kept in (("clothes", 8), ("letters", 40)):
            with (
                h5py.File(folder / f"{name}.h5") as file,
                h5py.File(folder / "few" / f"{name}.h5", "w") as few,
            ):
                for key in ("image", "label"):
                    few[f"train/{key}"] = file[f"train/{key}"][:kept]
                    few[f"test/{key}"] = file[f"test/{key}"][:]
        flags = ["--arms=base", "--seeds=0"]
        compare(folder / "few", folder / "of_few", *flags)
        compare(folder, folder / "first", *flags, "--pretrain_images=8")
        settings = json.loads((folder / "first" / "settings.json").read_text())
        assert settings["pretrain_images"] == 8
        assert settings["data"]["clothes"]["labelled_images"] == 40
        runs = [
            json.loads((folder / name / "runs" / "nt_xent-base-0.json").read_text())
            for name in ("of_few", "first", "both")
        ]
        losses = [run["losses"]["loss"] for run in runs]
        assert losses[0] == losses[1] != losses[2]
        assert runs[0]["scores"]["letters"] == runs[1]["scores"]["letters"]

    def test_trains_in_bfloat16(self, first_run):
        folder, _ = first_run
        flags = ["--precision=mixed_bfloat16", "--arms=base", "--seeds=0"]
        compare(folder, folder / "bfloat16", *flags)
        other = json.loads((folder / "bfloat16" / "settings.json").read_text())
        assert other["precision"] == "mixed_bfloat16"
        table = (folder / "bfloat16" / "table.md").read_text()
        assert "images of clothes, precision mixed_bfloat16, Adam" in table
        losses = [
            json.loads((folder / name / "runs" / "nt_xent-base-0.json").read_text())[
                "losses"
            ]["loss"]
            for name in ("both", "bfloat16")
        ]
        assert 1e-6 < abs(losses[1] / losses[0] - 1) < 0.05

    @pytest.mark.slow(reason="traces the whole method in two processes")
    def test_a_second_optimizer_starts_anew_with_each_seed(self, first_run):
        folder, _ = first_run
        compare(folder, folder / "reused", "--arms=alternating", "--seeds=0,1")
        compare(folder, folder / "fresh", "--arms=alternating", "--seeds=1")
        reused, fresh = (
            json.loads((folder / name / "runs/nt_xent-alternating-1.json").read_text())
            for name in ("reused", "fresh")
        )
        for name, loss in fresh["losses"].items():
            assert reused["losses"][name] == pytest.approx(loss, rel=1e-5), name
        assert reused["scores"] == fresh["scores"]

    def test_without_base_all_are_compared_with_the_first_arm(self, first_run):
        """On the records of the run, its base called by another name."""
        folder, _ = first_run
        shutil.copytree(folder / "both", folder / "no_base")
        runs = folder / "no_base" / "runs"
        for path in runs.glob("nt_xent-base-*.json"):
            record = json.loads(path.read_text()) | {"arm": "tasks_only"}
            (runs / path.name.replace("base", "tasks_only")).write_text(
                json.dumps(record)
            )
            path.unlink()
        script = "import sys, compare_report; compare_report.write_all(sys.argv[1])"
        subprocess.run(
            [sys.executable, "-c", script, folder / "no_base"],
            cwd=ROOT / "examples",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        with_base, without = (
            (folder / name / "table.md").read_text() for name in ("both", "no_base")
        )
        for table in (with_base, without):
            assert "| − base SSL |" in table
        (row,) = [x for x in without.splitlines() if x.startswith("| TC² | 2 |")]
        (other,) = [x for x in with_base.splitlines() if x.startswith("| TC² | 2 |")]
        assert row.split("|")[4] == other.split("|")[4] and "±" in row

    def test_says_that_all_runs_failed(self, first_run):
        folder, _ = first_run
        flags = ["--learning_rate=1e30", "--arms=base", "--seeds=0"]
        compare(folder, folder / "failed", *flags)
        table = (folder / "failed" / "table.md").read_text()
        assert "No run finished." in table
        assert "- Failed: base SSL, seed 0: Training stopped" in table

    def test_refuses_two_sources_of_one_name(self, tmp_path):
        flags = ["--transfer_to=clothes.h5"]
        result = compare(tmp_path, tmp_path / "runs", *flags, fails=True)
        both = f"['{tmp_path / 'clothes.h5'}'] and ['clothes.h5'] are both 'clothes'"
        assert both in result.stderr

    def test_refuses_other_settings(self, first_run):
        folder, _ = first_run
        result = compare(folder, folder / "both", "--steps=3", fails=True)
        assert "holds runs with other settings: {'steps': 2}" in result.stderr
