"""The three kinds of step of BiSSL, and the hypergradient."""

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.bilevel import Hypergradient, proximal_hypergradient
from keras_tc2.bilevel.hypergradient import combine, norm, tensors_of
from keras_tc2.pretraining.batch import split_batch
from keras_tc2.pretraining.batch import unpack as unpack_views
from keras_tc2.pretraining.bissl_downstream import unpack
from keras_tc2.pretraining.bissl_phases import Phase
from keras_tc2.pretraining.pretrainer import Pretrainer
from keras_tc2.pretraining.replicas import num_replicas, sum_over_replicas


class BiSSLSteps(Pretrainer):
    """What a step does in each phase. `BiSSLTrainer` is the whole, with arguments."""

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

    def compute_losses(self, *batch, training=True):
        """The lower loss with its proximity term, and the embeddings of two views."""
        objective, embeddings = self._objective(batch, training)
        proximity = self._squared_distance() * self.proximity_weight / 2
        loss = objective + ops.cast(proximity, objective.dtype)
        return {"loss": loss, "lower_loss": loss}, embeddings

    def _objective(self, batch, training):
        """G, and the embeddings of the first two views."""
        views, _ = split_batch(batch)
        forward = self.forward(views, training=training)
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
        batch = unpack_views(tuple(tf.convert_to_tensor(view) for view in views))
        labelled = tf.convert_to_tensor(images), tf.convert_to_tensor(labels)
        return self._hypergradient(batch, *labelled, scale=1.0)[0]

    def _hypergradient(self, batch, images, labels, *, scale):
        """`(hypergradient, state)`; `scale` is the loss scale of half precision."""
        self.check_batch(*batch)
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

    def train_step(self, data):
        """One step of the present phase."""
        views, images, labels = unpack(data)
        step = {
            Phase.WARM_UP: self._warm_up_step,
            Phase.LOWER: self._lower_step,
            Phase.UPPER: self._upper_step,
        }[self._phase]
        measured, kept, embeddings = step(unpack_views(views), images, labels)
        self.step_count.assign_add(1)
        self._measure(measured, kept, embeddings)
        return self.get_metrics_result()

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
        of_variable = dict(
            zip((id(v) for v in self.trainable_variables), gradients, strict=True)
        )
        variables = self.lower_variables
        gradients = [of_variable[id(variable)] for variable in variables]
        scale = self.optimizer.scale_loss(1.0)
        size = norm([g / scale for g in sum_over_replicas(gradients)])
        update = (self.optimizer, self._clipped(gradients, size), variables)
        kept, gradients_finite = self._update(
            self._finite_terms(batch, losses), [update], state
        )
        self._follow_update(kept, gradients_finite)
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
        views, images, labels = unpack(data)
        batch = unpack_views(views)
        self.check_batch(*batch)
        self.downstream.check_batch(images, labels)
        losses, embeddings = self.compute_losses(*batch, training=False)
        measured = {
            "lower_loss": losses["lower_loss"],
            "upper_loss": self.downstream.upper_loss(images, labels, training=False),
        }
        self._measure(measured, tf.constant(True), embeddings)
        return super().get_metrics_result()

    def _measure(self, measured, kept, embeddings):
        """Tracks what a step has measured."""
        measured = {**measured, "encoder_distance": ops.sqrt(self._squared_distance())}
        weight = tf.cast(kept, "float32")
        for name, value in measured.items():
            value = tf.where(kept, tf.cast(value, "float32"), 0.0)
            self.loss_trackers[name].update_state(value, sample_weight=weight)
        if embeddings is not None:
            self.compute_metrics(
                None, *(ops.stop_gradient(embedding) for embedding in embeddings)
            )

    def get_metrics_result(self):
        """The results of all metrics, and the phase of the last step."""
        phase = tf.constant(float(self._phase))
        return {**super().get_metrics_result(), "phase": phase}
