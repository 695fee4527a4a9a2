"""The two levels of BiSSL: their variables, losses, and the hypergradient."""

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.bilevel import Hypergradient, proximal_hypergradient
from keras_tc2.bilevel.hypergradient import combine
from keras_tc2.pretraining.core.batch import as_tensors
from keras_tc2.pretraining.core.pretrainer import Pretrainer
from keras_tc2.pretraining.core.replicas import num_replicas, sum_over_replicas


class BiSSLLevels(Pretrainer):
    """What the levels are. `BiSSLSteps` trains them, `BiSSLTrainer` is the whole."""

    # The variables of the two levels.

    @property
    def encoder_variables(self):
        """θ_L and θ_U: two lists of the encoders' trainable variables, aligned."""
        trained = {id(variable) for variable in self.encoder.trainable_variables}
        pairs = [
            (lower, upper)
            for lower, upper in zip(
                self.encoder.variables, self.upper_encoder.variables, strict=True
            )
            if id(lower) in trained
        ]
        return [lower for lower, _ in pairs], [upper for _, upper in pairs]

    @property
    def lower_variables(self):
        """θ_L and φ_L."""
        head = [] if self.head is None else self.head.trainable_variables
        return [
            *self.encoder_variables[0],
            *self.projector.trainable_variables,
            *head,
        ]

    @property
    def upper_variables(self):
        """θ_U and φ_U."""
        return [*self.encoder_variables[1], *self.downstream_head.trainable_variables]

    # Losses.

    @property
    def loss_names(self):
        """One a phase."""
        return ["head_loss", "lower_loss", "upper_loss"]

    def compute_losses(self, batch, *, training=True):
        """The lower loss with its proximity term, and the embeddings of two views."""
        objective, embeddings = self._objective(batch, training)
        proximity = self._squared_distance() * self.proximity_weight / 2
        loss = objective + ops.cast(proximity, objective.dtype)
        return {"loss": loss, "lower_loss": loss}, embeddings

    def _objective(self, batch, training):
        """G, and the embeddings of the first two views."""
        forward = self.forward(batch.views, training=training)
        loss = self.objective(*forward.outputs, targets=forward.targets)
        return loss, forward.first_two_embeddings

    def _squared_distance(self):
        """‖θ_L − θ_U‖², θ_U without gradient."""
        return sum(
            ops.sum(ops.square(lower - ops.stop_gradient(upper)))
            for lower, upper in zip(*self.encoder_variables, strict=True)
        )

    def _finite_terms(self, batch, losses):
        """As the base class; the loss of another phase counts as finite."""
        losses = {name: losses.get(name, 0.0) for name in self.loss_names}
        return super()._finite_terms(batch, losses)

    # Hypergradient.

    def hypergradient(self, views, images, labels):
        """The gradient of the upper loss; changes nothing.

        Args:
            views: tuple of float tensors `(batch, H, W, C)`, what H is taken of.
            images: `(batch, H, W, C)`, raw or float in [0, 1].
            labels: int tensor `(batch,)`.

        Returns:
            `bilevel.Hypergradient`, its gradients aligned with `upper_variables`; not
            clipped, and the sum over the replicas' shares.
        """
        batch = self.batch_of(as_tensors(views))
        labelled = tf.convert_to_tensor(images), tf.convert_to_tensor(labels)
        return self._hypergradient(batch, *labelled, scale=1.0)[0]

    def _hypergradient(self, batch, images, labels, *, scale):
        """`(hypergradient, state)`; `scale` is the loss scale of half precision."""
        self.check_batch(batch)
        self.downstream.check_batch(images, labels)
        lower, upper = self.encoder_variables
        loss, target, direct, in_head, state = self.downstream.gradients(
            images, labels, lower, upper, scale=scale / num_replicas()
        )

        target, direct, in_head = (
            [gradient / scale for gradient in sum_over_replicas(part)]
            for part in (target, direct, in_head)
        )

        def objective(weights):
            # Whatever the pass would do to state is dropped with the scope. Without
            # the loss scale, which would overflow in a second derivative.
            with keras.StatelessScope(list(zip(lower, weights, strict=True))):
                loss, _ = self._objective(batch, training=True)
            return loss / num_replicas()

        solution, residual, fallback = proximal_hypergradient(
            objective,
            lower,
            target,
            solver=self.solver,
            proximity=self.proximity_weight,
            damping=self.damping,
            num_iterations=self.num_solver_iterations,
            tolerance=self.tolerance,
            per_tensor=self.per_tensor,
            total=sum_over_replicas,
        )
        gradients = [*combine(solution, 1.0, direct), *in_head]
        return Hypergradient(gradients, loss, residual, fallback), state
