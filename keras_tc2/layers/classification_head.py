"""The linear head that turns features into logits."""

from typing import Any

import keras

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer
from keras_tc2.layers.batch_normalization import BatchNormalization
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class ClassificationHead(ShownLayer):
    """Logits of classes from features: standardization, then a dense layer.

    Computes in float32 at least, also under half-precision policies.

    Args:
        num_classes: int >= 2.
        standardize: bool. Whether features are divided by their batch's standard
            deviation, about its mean, feature by feature, so that one learning rate
            fits every encoder. Defaults to `True`.
        kernel_initializer: initializer of the dense layer's kernel. Defaults to
            `"glorot_uniform"`.

    Call arguments:
        features: float tensor `(batch, features)`.
        training: bool. Whether to use the statistics of the batch.

    Returns:
        Float tensor `(batch, num_classes)`.

    Raises:
        ValueError: if there are fewer than two classes.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    head = tc2.layers.ClassificationHead(10)
    logits = head(keras.random.normal((8, 64)))
    ```
    """

    def __init__(
        self,
        num_classes: int,
        *,
        standardize: bool = True,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ) -> None:
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        dtype = keras.backend.result_type(policy.compute_dtype, "float32")
        super().__init__(dtype=dtype, **kwargs)
        self.num_classes = integer("num_classes", num_classes, at_least=2)
        self.standardize = standardize
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, features_shape: Shape) -> None:
        """Creates the layers, once the width of the features is known."""
        shared = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.standardization = None
        if self.standardize:
            self.standardization = BatchNormalization(
                momentum=0.9, center=False, scale=False, **shared
            )
            self.standardization.build(features_shape)
        self.dense = keras.layers.Dense(
            self.num_classes,
            kernel_initializer=self.kernel_initializer,
            **shared,
        )
        self.dense.build(features_shape)

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """The logits."""
        if self.standardization is not None:
            features = self.standardization(features, training=training)
        return self.dense(features)

    def compute_output_shape(self, features_shape: Shape) -> Shape:
        """`(batch, num_classes)`."""
        return (*features_shape[:-1], self.num_classes)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "standardize": self.standardize,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
