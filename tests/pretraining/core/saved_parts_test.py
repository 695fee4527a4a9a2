import json

import keras
import numpy as np
import pytest

from keras_tc2 import augment, encoders, hub, layers, objectives, optimizers
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from keras_tc2.pretraining.core import momentum_target
from tests import tiny
from tests.hub.conftest import TOKEN, server  # noqa: F401
from tests.test_case import TestCase


def tc2(**arguments):
    encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
    return TC2Pretrainer(
        encoder,
        **{
            "objective": objectives.NTXent(0.3),
            "projector": layers.ProjectionHead(6, hidden_dim=5),
            **tiny.WHOLE_TC2,
            "inner_order": 1,
            "task_assignment": "cluster",
            **arguments,
        },
    )


def scrambled(pretrainer):
    """Every weight away from where it starts."""
    rng = np.random.default_rng(0)
    for variable in pretrainer.trainable_variables:
        variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    return pretrainer


def views():
    rng = np.random.default_rng(0)
    return rng.random((2, 8, 8, 8, 1)).astype("float32")


class Published:
    """What `Encoder.push_to_hub` asks of a pretrainer."""

    def __init__(self, pretrainer):
        self.pretrainer = pretrainer

    def save_pretrainer_parts(self, folder, **options):
        self.pretrainer.save_pretrainer_parts(folder, **options)


def publish(pretrainer, folder):
    pretrainer.encoder.push_to_hub(
        "me/enc", dry_run=folder, include_pretrainer=Published(pretrainer)
    )
    return folder


class SavedPartsTest(TestCase):
    def test_losses_and_gradients_are_identical(self, tmp_path):
        pretrainer = scrambled(tc2())
        reloaded = TC2Pretrainer.from_pretrained(publish(pretrainer, tmp_path))
        expected, gradients = pretrainer.value_and_gradients(*views())
        losses, again = reloaded.value_and_gradients(*views())
        for key, value in expected.items():
            self.assert_close(losses[key], value, atol=0, rtol=0)
        for a, b in zip(again, gradients, strict=True):
            self.assert_close(a, b, atol=0, rtol=0)

    def test_arguments_survive(self, tmp_path):
        pretrainer = tc2(inner_learning_rate=0.7, sparsity_weight=0.5)
        reloaded = TC2Pretrainer.from_pretrained(publish(pretrainer, tmp_path))
        skipped = ("name", "encoder", "projector")
        a, b = (
            {k: v for k, v in p.get_config().items() if k not in skipped}
            for p in (pretrainer, reloaded)
        )
        assert a == b
        assert reloaded.objective.temperature == 0.3
        assert reloaded.projector.hidden_dim == 5

    def test_revision(self, server):  # noqa: F811
        for dim in (3, 5):
            pretrainer = tc2(projector=layers.ProjectionHead(dim))
            pretrainer.encoder.push_to_hub(
                "me/enc", token=TOKEN, include_pretrainer=pretrainer
            )
            repository = server.repositories["me/enc"]
            repository.refs[f"dim-{dim}"] = repository.resolve("main")
        for dim in (3, 5):
            tagged = TC2Pretrainer.from_pretrained("me/enc", revision=f"dim-{dim}")
            assert tagged.projector.output_dim == dim

    def test_that_of_another_encoder_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="holds this encoder"):
            tc2().encoder.push_to_hub(
                "me/enc", dry_run=tmp_path / "dry", include_pretrainer=tc2()
            )

    def test_base_pretrainer(self, tmp_path):
        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        pretrainer = scrambled(SSLPretrainer(encoder, objective="vicreg"))
        reloaded = SSLPretrainer.from_pretrained(publish(pretrainer, tmp_path))
        expected, _ = pretrainer.value_and_gradients(*views())
        losses, _ = reloaded.value_and_gradients(*views())
        self.assert_close(losses["loss"], expected["loss"], atol=0, rtol=0)

    @pytest.mark.parametrize("name", ["byol", "dino", "sim_mim"])
    def test_all_that_an_objective_needs(self, tmp_path, name):
        pretrainer = scrambled(tc2(objective=name))
        for variable in pretrainer.non_trainable_variables:
            variable.assign(variable + 1)
        reloaded = TC2Pretrainer.from_pretrained(publish(pretrainer, tmp_path))
        assert reloaded.momentum_target is not None or name == "sim_mim"
        pairs = zip(reloaded.variables, pretrainer.variables, strict=True)
        for a, b in pairs:
            if "seed" not in b.path:
                self.assert_close(a, b, atol=0, rtol=0)

    def test_a_momentum_target_whatever_is_frozen(self, tmp_path):
        pretrainer = scrambled(tc2(objective="byol"))
        for layer in pretrainer.encoder.network.layers[:2]:
            layer.trainable = False
        pretrainer = TC2Pretrainer(
            pretrainer.encoder, objective="byol", projector=pretrainer.projector
        )
        for average in pretrainer.momentum_target.averages:
            average.assign(average + 1)
        publish(pretrainer, tmp_path)
        for trainable in (True, False):
            again = TC2Pretrainer.from_pretrained(tmp_path, trainable=trainable)
            for a, b in zip(
                again.momentum_target.averages,
                pretrainer.momentum_target.averages,
                strict=True,
            ):
                self.assert_close(a, b, atol=0, rtol=0)

    def test_a_frozen_encoder_of_a_folder_of_0_1(self, tmp_path, monkeypatch):
        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        encoder.trainable = False
        with monkeypatch.context() as patch:
            # Its averages were of what was trainable when it was made.
            patch.setattr(
                momentum_target, "learned_variables", lambda x: x.trainable_variables
            )
            old = scrambled(SSLPretrainer(encoder, objective="byol"))
            for average in old.momentum_target.averages:
                average.assign(average + 1)
            publish(old, tmp_path)
        again = SSLPretrainer.from_pretrained(tmp_path, trainable=False)
        self.assert_close(
            again.momentum_target(views()[0]), old.momentum_target(views()[0])
        )
        with pytest.raises(hub.WeightsError, match="are not those"):
            SSLPretrainer.from_pretrained(tmp_path)

    def test_a_schedule_of_the_momentum(self, tmp_path):
        momentum = optimizers.MomentumSchedule(0.9, 10, end=0.99)
        pretrainer = tc2(objective=objectives.BYOL(momentum=momentum))
        again = TC2Pretrainer.from_pretrained(publish(pretrainer, tmp_path))
        assert type(again.objective.momentum) is optimizers.MomentumSchedule
        assert again.objective.get_config() == pretrainer.objective.get_config()

    def test_a_momentum_of_the_users_own_is_refused(self, tmp_path):
        pretrainer = tc2(objective=objectives.BYOL(momentum=lambda step: 0.9))
        with pytest.raises(ValueError, match=r"MomentumSchedule.*function"):
            pretrainer.save_pretrainer_parts(tmp_path)

    def test_by_the_hub(self, server):  # noqa: F811
        pretrainer = scrambled(tc2())
        pretrainer.encoder.push_to_hub(
            "me/enc", token=TOKEN, include_pretrainer=Published(pretrainer)
        )
        encoders.from_pretrained("me/enc")
        reloaded = TC2Pretrainer.from_pretrained("me/enc")
        assert reloaded.encoder.source == "me/enc"  # Its name in reports.
        for a, b in zip(reloaded.variables, pretrainer.variables, strict=True):
            self.assert_close(a, b, atol=0, rtol=0)

    def test_published_without(self, tmp_path):
        tc2().encoder.save_pretrained(tmp_path)
        with pytest.raises(FileNotFoundError, match="include_pretrainer"):
            TC2Pretrainer.from_pretrained(tmp_path)

    def test_beside_another_encoder(self, tmp_path):
        publish(tc2(), tmp_path)
        tc2().encoder.save_pretrained(tmp_path)
        with pytest.raises(hub.ConfigError, match="pretrainer belongs to another enc"):
            TC2Pretrainer.from_pretrained(tmp_path)

    def test_parts_that_name_no_encoder(self, tmp_path):
        pretrainer = tc2()
        pretrainer.encoder.save_pretrained(tmp_path)
        pretrainer.save_pretrainer_parts(tmp_path / "pretrainer")
        assert TC2Pretrainer.from_pretrained(tmp_path).projector.output_dim == 6

    def test_another_class(self, tmp_path):
        publish(tc2(), tmp_path)
        with pytest.raises(hub.ConfigError, match="a TC2Pretrainer, not a SSLPre"):
            SSLPretrainer.from_pretrained(tmp_path)

    def test_parts_of_the_users_own_are_refused(self, tmp_path):
        pretrainer = tc2(projector=keras.layers.Dense(4))
        with pytest.raises(ValueError, match=r"published: ProjectionHead.*Dense"):
            pretrainer.save_pretrainer_parts(tmp_path)

    def test_more_recipes_than_are_read_again_are_refused(self, tmp_path):
        layers = [augment.RandomHorizontalFlip()] * 65
        pretrainer = tc2(augmentation=augment.Pipeline(layers))
        with pytest.raises(
            ValueError, match=r"At most 64 layers or recipes.*Received: 65"
        ):
            pretrainer.save_pretrainer_parts(tmp_path)


class HostilePartsTest(TestCase):
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"objective": {"name": "evil.Loss", "arguments": {}}},
                "`objective` must be one of",
            ),
            ({"objective": {"module": "evil", "class_name": "Evil"}}, "alone"),
            ({"projector": {"name": "Lambda", "arguments": {}}}, "ProjectionHead"),
            (
                {"projector": {"name": "ProjectionHead", "arguments": {"dtype": {}}}},
                "`dtype`",
            ),
            (
                {
                    "projector": {
                        "name": "ProjectionHead",
                        "arguments": {"output_dim": 999_999, "hidden_dim": 999_999},
                    }
                },
                "bytes, but",
            ),
            (
                {
                    "objective": {
                        "name": "BYOL",
                        "arguments": {"momentum": {"name": "NTXent", "arguments": {}}},
                    }
                },
                "`momentum` must be one of MomentumSchedule",
            ),
            (
                {"objective": {"name": "MomentumSchedule", "arguments": {}}},
                "`objective` must be one of",
            ),
            (
                {
                    "objective": {
                        "name": "NTXent",
                        "arguments": {
                            "temperature": {"name": "MomentumSchedule", "arguments": {}}
                        },
                    }
                },
                "`temperature` must be a number",
            ),
            ({"projector": None}, "`projector` must hold a name and arguments alone"),
            (
                {"projector": {"name": "ProjectionHead", "arguments": [1]}},
                "`projector` must be a JSON object",
            ),
            (
                {"projector": [{"name": "ProjectionHead", "arguments": {}}]},
                "`projector` must hold a name and arguments alone",
            ),
            ({"augmentation": None}, "or a list of these"),
            ({"arguments": {"projector": 1}}, "projector"),
            ({"task_assignment": {"name": "x", "arguments": {}}}, "BlockAssignment"),
            ({"arguments": {"num_tasks": {"module": "os"}}}, "num_tasks"),
            ({"arguments": {"num_tasks": -1}}, "num_tasks"),
            ({"arguments": {"nothing": 1}}, "nothing"),
            ({"arguments": {"encoder": 1}}, "encoder"),
            ({"registered_name": "evil"}, "unknown keys"),
        ],
    )
    def test_configs(self, tmp_path, changes, message):
        publish(tc2(), tmp_path)
        path = tmp_path / "pretrainer" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        with pytest.raises(hub.FolderError, match=message):
            TC2Pretrainer.from_pretrained(tmp_path)
