"""The examples beside a few of their images."""

import json
import shutil

import pyarrow.parquet
import pytest

from tests.scripts import ROOT

NUM_IMAGES = {"train": 200, "test": 100}


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """A folder with the scripts as they are, and the first images of every split."""
    folder = tmp_path_factory.mktemp("examples")
    for script in (ROOT / "examples").rglob("*.py"):
        copy = folder / script.relative_to(ROOT / "examples")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(script, copy)
    for dataset in (ROOT / "examples" / "data").glob("*/1.0.0"):
        shrunken = folder / "data" / dataset.parent.name / dataset.name
        shutil.copytree(dataset, shrunken)
        info = json.loads((dataset / "dataset_info.json").read_text())
        for split in info["splits"]:
            number = NUM_IMAGES[split["name"]]
            split["shardLengths"] = [str(number)]
            (path,) = shrunken.glob(f"*-{split['name']}.parquet*")
            images = pyarrow.parquet.read_table(path)
            pyarrow.parquet.write_table(images.slice(0, number), path)
        (shrunken / "dataset_info.json").write_text(json.dumps(info))
    return folder
