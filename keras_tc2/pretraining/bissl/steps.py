"""The three kinds of step of BiSSL, and the order of them."""

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.bilevel.hypergradient import combine, norm, tensors_of
from keras_tc2.pretraining.bissl import optimizers as bissl_optimizers
from keras_tc2.pretraining.bissl.downstream import unpack
from keras_tc2.pretraining.bissl.levels import BiSSLLevels
from keras_tc2.pretraining.bissl.phases import Phase
from keras_tc2.pretraining.bissl.progress import PhaseProgress
from keras_tc2.pretraining.core.mean_or_nan import MeanOrNaN
from keras_tc2.pretraining.core.replicas import num_replicas, sum_over_replicas
from keras_tc2.pretraining.core.workers import reducible


class BiSSLSteps(BiSSLLevels):
    """What a step does in each phase. `BiSSLTrainer` is the whole, with arguments."""

    def compile(
        self, optimizer=None, *, upper_optimizer=None, head_optimizer=None, **kwargs
    ):
        """Configures training, and builds every optimizer on its variables.

        Args:
            optimizer: Keras optimizer of the lower level, or its name; `None` for LARS
                at 1.0 with weight decay 1e-6, warmed up for 200 steps, then cosine to
                0.001 of that. Defaults to `None`.
            upper_optimizer: that of the upper level; `None` for SGD with momentum 0.9
                at 0.01, cosine to zero. Defaults to `None`.
            head_optimizer: that of the warm-up; `None` for SGD with momentum 0.9 at
                0.01. Defaults to `None`.
            **kwargs: `metrics`, `jit_compile`, `run_eagerly`, as in
                `Pretrainer.compile`.

        Raises:
            ValueError: if `steps_per_execution` is not 1: phases change between steps.
        """
        if kwargs.get("steps_per_execution", 1) != 1:
            raise ValueError(
                "`steps_per_execution` must be 1, since the phase changes between "
                f"steps. Received: {kwargs['steps_per_execution']}"
            )
        self.upper_optimizer = keras.optimizers.get(
            upper_optimizer or bissl_optimizers.upper_optimizer(self.phases)
        )
        self.head_optimizer = keras.optimizers.get(
            head_optimizer or bissl_optimizers.head_optimizer()
        )
        super().compile(
            optimizer or bissl_optimizers.lower_optimizer(self.phases), **kwargs
        )
        names = ("head_loss", "lower_loss", "upper_loss", "cg_residual")
        self.loss_trackers = {
            name: MeanOrNaN(name=name) for name in (*names, "encoder_distance")
        }
        self.loss_trackers["fallbacks"] = keras.metrics.Sum(name="fallbacks")

    @property
    def optimized_variables(self):
        """`(optimizer, variables)` of lower level, upper level and warm-up."""
        return [
            (self.optimizer, self.lower_variables),
            (self.upper_optimizer, self.upper_variables),
            (self.head_optimizer, self.downstream_head.trainable_variables),
        ]

    def fit(self, x=None, *args, callbacks=None, **kwargs):
        """As `keras.Model.fit`, on batches of `((view_1, view_2), (images, labels))`.

        The progress bar tells the phase. Everything else is as in `Pretrainer.fit`.

        Raises:
            FloatingPointError: if more than `nonfinite_patience` updates in a row
                had a NaN or infinite loss or gradient.
        """
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [*keras.tree.flatten(callbacks or []), PhaseProgress()]
        return super().fit(x, *args, callbacks=callbacks, **kwargs)

    def get_compile_config(self):
        """The arguments of `compile`, for a saved model to be compiled again."""
        config = super().get_compile_config()
        if config:
            del config["calibrator_optimizer"]
            for name in ("upper_optimizer", "head_optimizer"):
                optimizer = getattr(self, name)
                config[name] = keras.saving.serialize_keras_object(optimizer)
        return config

    # Steps.

    def make_train_function(self, force=False):
        """One compiled step for each phase: Python, which knows the phase, picks one.

        Replicas cannot communicate in a branch of a compiled function.
        """
        self._steps_done = int(ops.convert_to_numpy(self.step_count))
        if self.train_function is not None and not force:
            return
        functions = {}
        for phase in Phase:
            super().make_train_function(force=True)
            functions[phase] = self.train_function

        def train_function(iterator):
            self._phase = self.phases.phase(self._steps_done)
            logs = functions[self._phase](iterator)
            self._steps_done += 1
            return logs

        self.train_function = train_function

    def describe_last_step(self):
        """In words, the phase of the last step and how far it is."""
        return self.phases.describe(self._steps_done - 1)

    def with_views(self, data):
        """What a step is made of: a `Batch`, and `(images, labels)`."""
        views, images, labels = unpack(data)
        return self.batch_of(views), (images, labels)

    def train_step_on_views(self, batches):
        """One step of the present phase."""
        batch, (images, labels) = batches
        step = {
            Phase.WARM_UP: self._warm_up_step,
            Phase.LOWER: self._lower_step,
            Phase.UPPER: self._upper_step,
        }[self._phase]
        measured, kept, embeddings = step(batch, images, labels)
        self.step_count.assign_add(1)
        self._measure(measured, kept, embeddings)
        return reducible(self.get_metrics_result(), self.distribute_strategy)

    def _warm_up_step(self, batch, images, labels):
        self.downstream.check_batch(images, labels)
        scale = self.optimizer.scale_loss(1.0)
        loss, gradients, state = self.downstream.head_gradients(
            images, labels, scale=scale / num_replicas()
        )
        gradients = [g / scale for g in sum_over_replicas(gradients)]
        losses = {"head_loss": loss}
        variables = self.downstream_head.trainable_variables
        update = self._upper_update(self.head_optimizer, gradients, variables)
        kept, _ = self._update(self._finite_terms(batch, losses), [update], state)
        return losses, kept, None

    def _lower_step(self, batch, images, labels):
        losses, embeddings, gradients, state = self._differentiate(batch)
        variables = self.lower_variables
        gradients = self._of(variables, gradients)
        scale = self.optimizer.scale_loss(1.0)
        size = norm([g / scale for g in sum_over_replicas(gradients)])
        update = (self.optimizer, self._clipped(gradients, size), variables)
        kept, applied = self._update(self._finite_terms(batch, losses), [update], state)
        self._follow_update(applied)
        return {"lower_loss": losses["lower_loss"]}, kept, embeddings

    def _upper_step(self, batch, images, labels):
        scale = self.optimizer.scale_loss(1.0)
        result, state = self._hypergradient(batch, images, labels, scale=scale)
        losses = {"upper_loss": result.outer_loss}
        update = self._upper_update(
            self.upper_optimizer, result.gradients, self.upper_variables
        )
        kept, _ = self._update(self._finite_terms(batch, losses), [update], state)
        fallbacks = tf.cast(result.fallback, "float32") / num_replicas()
        measured = {**losses, "cg_residual": result.residual, "fallbacks": fallbacks}
        return measured, kept, None

    def _upper_update(self, optimizer, gradients, variables):
        """What `apply_if` takes, from gradients that are sums over the replicas."""
        gradients = self._clipped(gradients, norm(gradients))
        if self.downstream_weight_decay:
            gradients = combine(
                gradients, self.downstream_weight_decay, tensors_of(variables)
            )
        # The optimizer will sum over the replicas again.
        return optimizer, [g / num_replicas() for g in gradients], variables

    def _clipped(self, gradients, size):
        """Gradients scaled down to `max_gradient_norm`, if their norm is above it."""
        factor = self.max_gradient_norm / tf.maximum(size, self.max_gradient_norm)
        return [gradient * factor for gradient in gradients]

    def test_step(self, data):
        """The losses of both levels, in inference mode, without an update."""
        batch, (images, labels) = self.with_views(data)
        self.check_batch(batch)
        self.downstream.check_batch(images, labels)
        losses, embeddings = self.compute_losses(batch, training=False)
        measured = {
            "lower_loss": losses["lower_loss"],
            "upper_loss": self.downstream.upper_loss(images, labels, training=False),
        }
        self._measure(measured, tf.constant(True), embeddings)
        return reducible(super().get_metrics_result(), self.distribute_strategy)

    def _measure(self, measured, kept, embeddings):
        """Tracks what a step has measured."""
        measured = {**measured, "encoder_distance": ops.sqrt(self._squared_distance())}
        weight = tf.cast(kept, "float32")
        for name, value in measured.items():
            value = tf.where(kept, tf.cast(value, "float32"), 0.0)
            self.loss_trackers[name].update_state(value, sample_weight=weight)
        if embeddings is not None:
            self.embedding_std.update_state(embeddings[0], kept)
            self.compute_metrics(
                None, *(ops.stop_gradient(embedding) for embedding in embeddings)
            )

    def get_metrics_result(self):
        """The results of all metrics, and the phase of the last step."""
        phase = tf.constant(float(self._phase))
        return {**super().get_metrics_result(), "phase": phase}
