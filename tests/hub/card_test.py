import pytest
import yaml

from keras_tc2 import encoders
from keras_tc2.hub.card import card_text, is_generated, write_card
from tests.test_case import TestCase


class Report:
    def to_dict(self):
        rows = [
            {
                "encoder": "a",
                "dataset": "mnist",
                "protocol": "knn",
                "value": 0.91234,
            },
            {"encoder": "a", "dataset": "dtd", "protocol": "linear", "value": 0.5},
            {
                "encoder": "a",
                "dataset": "dsprites",
                "protocol": "clustering",
                "metric": "nmi",
                "value": 0.25,
            },
        ]
        return {"rows": rows}


CONFIG = {
    "builder": "convnet",
    "input_size": [28, 28],
    "channels": 1,
    "feature_dim": 64,
    "versions": {"keras_tc2": "0.1.0", "keras": "3.15.1"},
    "training": {
        "objective": "nt_xent",
        "datasets": ["fashion_mnist"],
        "seed": 3,
        "commit": "abc",
        "command": "python examples/pretrain.py --seed=3",
    },
}


def made(**changes):
    arguments = {
        "config": CONFIG,
        "repo_id": "me/tc2-convnet",
        "license": "apache-2.0",
        "card_data": None,
        "transfer_report": Report(),
        "pictures": ["pictures/loss_curves.png"],
        "weight_files": ["model.weights.h5"],
        **changes,
    }
    config = arguments.pop("config")
    text = card_text(config, **arguments)
    return text, yaml.safe_load(text.split("---\n")[1])


class CardTest(TestCase):
    def test_metadata(self):
        _, data = made()
        assert data["library_name"] == "keras_tc2"
        assert data["pipeline_tag"] == "image-feature-extraction"
        assert data["license"] == "apache-2.0"
        assert data["datasets"] == ["fashion_mnist"]
        assert data["tags"] == [
            "keras",
            "self-supervised-learning",
            "arxiv:2511.13787",
            "nt_xent",
        ]
        results = {
            result["dataset"]["name"]: result["metrics"][0]
            for result in data["model-index"][0]["results"]
        }
        assert results["mnist"]["value"] == 0.9123
        assert results["dtd"]["name"] == "accuracy, linear"
        assert results["dsprites"]["type"] == "nmi"

    def test_the_client_reads_it(self):
        from huggingface_hub import ModelCard

        card = ModelCard(made()[0])
        assert card.data.library_name == "keras_tc2"
        assert len(card.data.eval_results) == 3

    def test_text(self):
        text, _ = made()
        assert 'from_pretrained("me/tc2-convnet")' in text
        assert "python examples/pretrain.py --seed=3" in text
        assert "| accuracy | 91.23 |" in text
        assert "![loss curves](pictures/loss_curves.png)" in text
        for part in ("abc", "keras 3.15.1", "28x28", "64 features"):
            assert part in text

    def test_snippet_runs(self, tmp_path):
        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        encoder.save_pretrained(tmp_path)
        text, _ = made(
            config={**CONFIG, "input_size": [8, 8], "feature_dim": 4},
            repo_id=str(tmp_path),
        )
        snippet = text.split("```python\n")[1].split("```")[0]
        names = {}
        exec(snippet, names)
        assert names["features"].shape == (2, 4)

    def test_own_metadata_is_joined(self):
        _, data = made(
            card_data={"tags": ["mine"], "datasets": ["mnist"], "language": "en"}
        )
        assert data["tags"][-1] == "mine" and "keras" in data["tags"]
        assert data["datasets"] == ["fashion_mnist", "mnist"]
        assert data["language"] == "en"

    def test_one_name_may_stand_alone(self):
        _, data = made(card_data={"tags": "mine", "datasets": "mnist"})
        assert data["tags"][-1] == "mine" and data["tags"][0] == "keras"
        assert data["datasets"] == ["fashion_mnist", "mnist"]

    def test_without_training_record_and_report(self):
        text, data = made(
            config={**CONFIG, "training": None}, transfer_report=None, license=None
        )
        assert "Not recorded" in text
        assert "model-index" not in data and "license" not in data


class WriteCardTest(TestCase):
    def test_notices_a_change_by_hand(self, tmp_path):
        path = tmp_path / "README.md"
        write_card(path, made()[0])
        text = path.read_text()
        assert is_generated(text)
        assert is_generated(text.replace("\n", "\r\n"))
        assert not is_generated(text + "more")
        assert not is_generated(text.replace("apache-2.0", "mit"))
        assert not is_generated("# a card of someone's own\n")

    @pytest.mark.parametrize("text", ["# no metadata\n", "---\na: 1\n---\n# some\n"])
    def test_mark_stands_behind_the_metadata(self, tmp_path, text):
        path = tmp_path / "README.md"
        write_card(path, text)
        assert path.read_text().startswith(text.split("# ")[0])
        assert is_generated(path.read_text())

    def test_tokens_are_left_out(self, tmp_path):
        write_card(
            tmp_path / "README.md", "run --token=hf_abcdefghij0123456789abcdefghij0123"
        )
        assert "abcdefghij" not in (tmp_path / "README.md").read_text()
        write_card(tmp_path / "README.md", "the builder hf_mobilenetv2")
        assert "hf_mobilenetv2" in (tmp_path / "README.md").read_text()
