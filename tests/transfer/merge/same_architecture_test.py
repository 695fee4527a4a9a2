import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2.transfer import merge
from tests.test_case import TestCase
from tests.transfer.merge import networks


class SameArchitectureTest(TestCase):
    def test_names_the_first_difference(self):
        base = networks.encoder()
        for other, words in (
            (networks.encoder(filters=5), r"filters: 3 and 5"),
            (networks.encoder(activation="relu"), "activation: 'softplus' and 'relu'"),
            (networks.encoder(normalized=False), "layers"),
        ):
            with pytest.raises(ValueError, match=f"encoder 0 and encoder 1.*{words}"):
                merge.average([base, other])
        with pytest.raises(ValueError, match=r"the base and encoder 0 differ in.*5"):
            merge.task_arithmetic(base, [networks.encoder(filters=5)], scaling=1.0)

    def test_created_encoders_differ_in_their_recipe(self):
        a, b = (
            tc2.encoders.create("convnet", input_shape=(28, 28, 1), widths=widths)
            for widths in ((4, 8), (4, 6))
        )
        with pytest.raises(ValueError, match=r"recipe.*widths.*\[4, 8\] and \[4, 6\]"):
            merge.average([a, b])

    def test_names_seeds_and_freezing_are_no_difference(self):
        base = networks.encoder()
        # Built anew: Keras counts other names, and starts are drawn from other seeds.
        other = networks.encoder(seed=5)
        other.set_weights(base.get_weights())
        other.layers[0].trainable = False
        assert other.layers[0].name != base.layers[0].name
        for a, b in zip(
            merge.average([base, other]).get_weights(), base.get_weights(), strict=True
        ):
            self.assert_close(a, b)

    @pytest.mark.parametrize("trainable", [True, False])
    def test_freezing_a_created_encoder_is_no_difference(self, trainable, tmp_path):
        base = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
        base.save_pretrained(tmp_path)
        other = tc2.from_pretrained(tmp_path, trainable=trainable)
        other.network.layers[1].trainable = False
        merge.task_arithmetic(base, [other], scaling=0.3)
        merge.task_arithmetic(other, [base], scaling=0.3)

    def test_independent_starts_are_refused(self):
        a, b = (
            tc2.encoders.create("convnet", input_shape=(28, 28, 1)) for _ in range(2)
        )
        with pytest.raises(ValueError, match=r"fine-tuned from one.*cosine"):
            merge.average([a, b])

    def test_misuse(self):
        base = networks.encoder()
        for few in ([], [base], base):
            with pytest.raises(ValueError, match="at least 2 encoders"):
                merge.average(few)
        with pytest.raises(ValueError, match="at least 1 encoders"):
            merge.task_arithmetic(base, [], scaling=1.0)
        with pytest.raises(ValueError, match=r"keras\.Models.*encoder 1"):
            merge.average([base, 3])
        broken = networks.tuned(base, 1)
        kernel = broken.layers[0].kernel
        kernel.assign(np.full(kernel.shape, np.nan))
        with pytest.raises(ValueError, match="kernel of encoder 1 holds NaN"):
            merge.average([base, broken])

    def test_saved_encoders(self, tmp_path):
        encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
        encoder.save_pretrained(tmp_path / "encoder")
        merged = merge.average([str(tmp_path / "encoder"), encoder])
        assert isinstance(merged, keras.Model)
