"""One-line faults, and the tests that must see each; `plant.py` tries them."""

import typing


class Fault(typing.NamedTuple):
    """A line of the library, what to make of it, and who must notice.

    Args:
        file: str, below `keras_tc2`.
        original: str that occurs there once.
        faulty: str to put in its place.
        tests: str, what pytest is given, below `tests`; several with spaces between.
    """

    file: str
    original: str
    faulty: str
    tests: str


FAULTS = [
    # augment
    Fault(
        "augment/random_resized_crop.py",
        "box_width = tf.sqrt(area * tf.exp(log_aspect))",
        "box_width = tf.sqrt(area * tf.exp(-log_aspect))",
        "augment/random_resized_crop_test.py",
    ),
    Fault(  # Height over width: ranges that are symmetric do not show it.
        "augment/random_resized_crop.py",
        "area *= height * width\n",
        "area *= height * width\n        log_aspect = -log_aspect\n",
        "augment/random_resized_crop_test.py",
    ),
    Fault(
        "augment/resampling.py",
        "width = tf.maximum(extent * (1.0 / out_length), 1.0)[:, None]",
        "width = tf.maximum(extent * 0.0, 1.0)[:, None]",
        "augment/random_resized_crop_test.py pretraining/core/forward_test.py",
    ),
    Fault(
        "augment/resampling.py",
        "positions = (start - 0.5)[:, None]",
        "positions = start[:, None]",
        "augment/random_resized_crop_test.py",
    ),
    Fault(
        "augment/pipeline.py",
        "if self.channels not in (None, images.shape[-1]):",
        "if False:",
        "augment/pipeline_test.py",
    ),
    Fault(
        "augment/random_gaussian_blur.py",
        "tf.exp(-0.5 * tf.square(",
        "tf.exp(-1.0 * tf.square(",
        "augment/random_gaussian_blur_test.py",
    ),
    Fault(
        "augment/color.py",
        "LUMINANCE = (0.299, 0.587, 0.114)",
        "LUMINANCE = (0.333, 0.333, 0.334)",
        "augment/color_test.py",
    ),
    Fault(
        "augment/random_solarize.py",
        "tf.where(images < self.threshold, images, 1.0 - images)",
        "tf.where(images > self.threshold, images, 1.0 - images)",
        "augment/random_solarize_test.py",
    ),
    # data
    Fault(
        "data/pipeline/epochs.py",
        "tf.compat.v1.set_random_seed(1)",
        "pass",
        "data/views_test.py::OrderTest",
    ),
    Fault(
        "data/pipeline/image_batches.py",
        "specs = [_spec_of(batches_of) for batches_of in functions]",
        "tf.random.set_seed(1)\n"
        "    specs = [_spec_of(batches_of) for batches_of in functions]",
        "global_state_test.py",
    ),
    Fault(
        "data/pipeline/image_batches.py",
        "fold_seed(seed, epoch, ORDER), place",
        "fold_seed(seed, epoch, ORDER), 0",
        "data/views_test.py",
    ),
    Fault(
        "data/sources/image_dataset.py",
        "labels = None if source.labels is None else source.labels[numbers]",
        "labels = source.labels",
        "data/sources/image_dataset_test.py",
    ),
    Fault(
        "data/pipeline/view_maker.py",
        "augmentation.augment(images, tf.random.fold_in(seed, view))",
        "augmentation.augment(images, tf.random.fold_in(seed, 0))",
        "data/views_test.py::AugmentationTest",
    ),
    Fault(
        "data/pipeline/view_maker.py",
        "maker(block, tf.random.fold_in(seed, place))",
        "maker(block, tf.random.fold_in(seed, 0))",
        "data/views_test.py::AugmentationTest",
    ),
    Fault(
        "data/statistics.py",
        "shift**2 * (count * len(pixels) / total)",
        "shift * (count * len(pixels) / total)",
        "data/statistics_test.py",
    ),
    Fault(
        "data/pipeline/view_dataset.py",
        "number = batch * share.num_replicas + replica",
        "number = batch * share.num_replicas",
        "data/pipeline/view_dataset_test.py",
    ),
    # layers
    Fault(
        "layers/gradient_reversal.py",
        "lambda upstream: -factor * upstream",
        "lambda upstream: factor * upstream",
        "layers/gradient_reversal_test.py",
    ),
    Fault(
        "layers/batch_normalization.py",
        "moving.assign(kept + value * (1 - self.momentum))",
        "moving.assign(kept + value * self.momentum)",
        "layers/batch_normalization_test.py",
    ),
    Fault(
        "layers/factor_extractor.py",
        "ops.transpose(keys)) / dim**0.5",
        "ops.transpose(keys)) / dim",
        "layers/factor_extractor_test.py",
    ),
    Fault(
        "layers/weight_extractor.py",
        "codes = codes + embeddings",
        "codes = codes - embeddings",
        "layers/weight_extractor_test.py",
    ),
    Fault(
        "layers/task_calibrator.py",
        "embeddings + ops.dot(one_hot, table)",
        "embeddings + ops.mean(table, axis=0)",
        "layers/task_calibrator_test.py",
    ),
    Fault(
        "layers/task_calibrator.py",
        "sizes = ops.maximum(ops.sum(one_hot, axis=0), 1)",
        "sizes = ops.ones_like(one_hot[0]) * one_hot.shape[0]",
        "layers/task_calibrator_test.py",
    ),
    Fault(
        "layers/task_calibrator.py",
        "embeddings = ops.stop_gradient(at_least_float32(embeddings))",
        "embeddings = at_least_float32(embeddings)",
        "layers/task_calibrator_test.py",
    ),
    Fault(
        "pretraining/core/device_views.py",
        "return Batch(self._make(images, seed), *task_ids)",
        "return Batch(self._make(images, seed))",
        "pretraining/core/device_views_test.py::DeviceViewsTest",
    ),
    Fault(
        "pretraining/core/run_data.py",
        "if share % device_views.num_blocks:",
        "if False:",
        "pretraining/core/device_views_test.py::ErrorsTest",
    ),
    Fault(
        "layers/moments.py",
        "synchronized = synchronized and not _is_local.get()",
        "synchronized = synchronized",
        "pretraining/core/distribution_test.py::LocalTasksTest",
    ),
    # objectives
    Fault(
        "objectives/nt_xent.py",
        "others = logits - 1e9 * ops.eye(2 * batch_size, dtype=logits.dtype)",
        "others = logits",
        "objectives/nt_xent_test.py",
    ),
    Fault(
        "objectives/vicreg.py",
        "covariance = ops.matmul(ops.transpose(centred), centred) / (batch_size - 1)",
        "covariance = ops.matmul(ops.transpose(centred), centred) / batch_size",
        "objectives/vicreg_test.py",
    ),
    Fault(
        "objectives/barlow_twins.py",
        "ops.square(1 - diagonal)",
        "ops.square(diagonal)",
        "objectives/barlow_twins_test.py",
    ),
    Fault(
        "objectives/crossed_cosines.py",
        "_cosines(predictions_1, targets_2) + _cosines(predictions_2, targets_1)",
        "_cosines(predictions_1, targets_1) + _cosines(predictions_2, targets_2)",
        "objectives/byol_test.py",
    ),
    Fault(
        "objectives/crossed_cosines.py",
        "targets = l2_normalize(ops.stop_gradient(targets))",
        "targets = l2_normalize(targets)",
        "objectives/simsiam_test.py",
    ),
    Fault(
        "objectives/swav.py",
        "log_codes = log_codes - ops.logsumexp(log_codes, axis=0, keepdims=True)",
        "log_codes = log_codes",
        "objectives/swav_test.py",
    ),
    Fault(
        "objectives/objective.py",
        "        if self.gather:\n",
        "        if False:\n",
        "objectives/gather_test.py",
    ),
    # optimizers
    Fault(
        "optimizers/lars.py",
        "gradient = gradient + self.l2_weight_decay * variable",
        "gradient = gradient - self.l2_weight_decay * variable",
        "optimizers/lars_test.py",
    ),
    Fault(
        "optimizers/momentum_schedule.py",
        "(cosine + 1) / 2",
        "(1 - cosine) / 2",
        "optimizers/momentum_schedule_test.py",
    ),
    # bilevel
    Fault(
        "bilevel/task_assignment.py",
        "preference - ops.max(similarities[:, group + 1 :], axis=-1)",
        "preference",
        "bilevel/task_assignment_test.py",
    ),
    Fault(
        "bilevel/inner_loop.py",
        "weight - learning_rate * gradient",
        "weight + learning_rate * gradient",
        "bilevel/inner_loop_test.py",
    ),
    Fault(
        "bilevel/inner_loop.py",
        "        if order == 1:\n",
        "        if False:\n",
        "bilevel/inner_loop_test.py",
    ),
    Fault(
        "bilevel/hessian.py",
        "(a - b) / (2 * step)",
        "(a - b) / step",
        "bilevel/proximal_test.py",
    ),
    Fault(
        "bilevel/linear_solvers.py",
        "term = combine(term, -step_size, product(term))\n        return",
        "term = combine(term, step_size, product(term))\n        return",
        "bilevel/linear_solvers_test.py",
    ),
    Fault(
        "bilevel/pairing.py",
        "(np.arange(num_tasks)[:, None] + 1) % num_tasks",
        "(np.arange(num_tasks)[:, None] + 0) % num_tasks",
        "bilevel/pairing_test.py",
    ),
    Fault(
        "bilevel/proximal.py",
        "scale = 1.0 / (proximity + damping)",
        "scale = 1.0 / proximity",
        "bilevel/proximal_test.py",
    ),
    # hub
    Fault(
        "hub/fetch.py",
        '        "revision": revision,\n',
        '        "revision": None,\n',
        "hub/push_and_fetch_test.py::PushTest",
    ),
    Fault(
        "hub/weights.py",
        "if files.sha256(path) != sha256:",
        "if False:",
        "hub/hostile_test.py::WeightsTest encoders/pretrained_test.py",
    ),
    Fault(
        "hub/push.py",
        "if not is_generated(card):",
        "if is_generated(card):",
        "hub/push_and_fetch_test.py::CardTest",
    ),
    Fault(
        "hub/redact.py",
        'return _TOKEN.sub("hf_***", text)',
        "return text",
        "hub/push_and_fetch_test.py::TokenTest",
    ),
    # encoders
    Fault(
        "encoders/network.py",
        "offset=[-mean / std for mean, std in statistics]",
        "offset=[-mean for mean, std in statistics]",
        "encoders/create_test.py",
    ),
    Fault(
        "encoders/encoder.py",
        "return (ops.cast(raw, dtype) - low) / (high - low)",
        "return ops.cast(raw, dtype) / (high - low)",
        "encoders/encoder_test.py::PreprocessTest",
    ),
    Fault(
        "encoders/encoder_copy.py",
        "twin.synchronized = layer.synchronized",
        "pass",
        "encoders/classifier_test.py::CopyTest",
    ),
    # pretraining
    Fault(
        "pretraining/tc2/step.py",
        "return model.objective.local_loss(*outputs",
        "return model.objective(*outputs",
        "pretraining/core/distribution_test.py::LocalTasksTest",
    ),
    Fault(
        "pretraining/core/saved_parts.py",
        "        revision=revision,\n",
        "        revision=None,\n",
        "pretraining/core/saved_parts_test.py::SavedPartsTest",
    ),
    Fault(
        "pretraining/tc2/step.py",
        "total += model.transfer_weight * parts",
        "total += parts",
        "pretraining/tc2/tc2_pretrainer_test.py::LossTest",
    ),
    Fault(
        "pretraining/core/training_step.py",
        "            _, _, gradients, _ = self._differentiate(batch)\n",
        "",
        "pretraining/tc2/tc2_pretrainer_test.py::AlternatingTest",
    ),
    Fault(
        "pretraining/tc2/step.py",
        "factors, x, of_each)",
        "factors, x, ops.zeros_like(of_each))",
        "pretraining/tc2/tc2_pretrainer_test.py::LossTest",
    ),
    Fault(
        "pretraining/tc2/pretrainer.py",
        "return ops.stop_gradient(embeddings)",
        "return embeddings",
        "pretraining/tc2/tc2_pretrainer_test.py",
    ),
    Fault(
        "pretraining/core/momentum_target.py",
        "rate = ops.cast(1 - momentum, average.dtype)",
        "rate = ops.cast(momentum, average.dtype)",
        "pretraining/core/momentum_target_test.py",
    ),
    Fault(
        "pretraining/bissl/trainer.py",
        "self._squared_distance() * self.proximity_weight / 2",
        "self._squared_distance() * self.proximity_weight",
        "pretraining/bissl/bissl_steps_test.py::StepsTest",
    ),
    Fault(
        "pretraining/core/training_step.py",
        "self.updates.assign_add(ops.cast(applied, self.updates.dtype))",
        "self.updates.assign_add(ops.ones((), self.updates.dtype))",
        "pretraining/core/momentum_target_test.py "
        "pretraining/core/mixed_precision_test.py",
    ),
    # transfer
    Fault(
        "transfer/classifiers/domain_adversarial.py",
        "tf.exp(-10.0 * progress)",
        "tf.exp(-1.0 * progress)",
        "transfer/classifiers/domain_adversarial_test.py::DomainAdversarialTest",
    ),
    Fault(
        "transfer/classifiers/domain_adversarial.py",
        'self.reverse(tf.cast(features, "float32"), factor=factor)',
        'tf.cast(features, "float32")',
        "transfer/classifiers/domain_adversarial_test.py::DomainAdversarialTest",
    ),
    Fault(
        "transfer/classifiers/domain_adversarial.py",
        "self.add_loss(tf.reduce_mean(losses[number:]))",
        "pass",
        "transfer/classifiers/domain_adversarial_test.py::DomainAdversarialTest",
    ),
    Fault(
        "transfer/classifiers/domain_adversarial.py",
        "training=training)[:number]",
        "training=training)[number:]",
        "transfer/classifiers/domain_adversarial_test.py::DomainAdversarialTest",
    ),
    Fault(
        "transfer/protocols/domain_adaptation.py",
        "if name != left_out",
        "if True",
        "transfer/classifiers/domain_adversarial_test.py::DomainAdaptationTest",
    ),
    Fault(
        "transfer/merge/batch_statistics.py",
        "size * (variance + mean**2)",
        "size * variance + mean**2",
        "transfer/merge/batch_statistics_test.py",
    ),
    Fault(
        "transfer/merge/batch_statistics.py",
        "layer.momentum, layer.trainable = momentum, trainable",
        "pass",
        "transfer/merge/batch_statistics_test.py",
    ),
    Fault(
        "transfer/merge/fisher.py",
        "tf.cast(probability, g.dtype) * g**2",
        "g**2",
        "transfer/merge/fisher_test.py",
    ),
    Fault(
        "transfer/merge/fisher.py",
        '        fisher[i] = np.asarray(total, "float64") / len(images)',
        '        fisher[i] = np.asarray(total, "float64")',
        "transfer/merge/fisher_test.py",
    ),
    Fault(
        "transfer/merge/fisher.py",
        "bias = np.concatenate([[0.0], bias])",
        "bias = np.concatenate([bias, [0.0]])",
        "transfer/merge/fisher_test.py",
    ),
    Fault(
        "transfer/merge/mixture.py",
        "            return tuned.mean(axis=0)",
        "            return start",
        "transfer/merge/task_arithmetic_test.py",
    ),
    Fault(
        "transfer/merge/same_architecture.py",
        "if cosine < SMALLEST_COSINE:",
        "if False:",
        "transfer/merge/same_architecture_test.py",
    ),
    Fault(
        "transfer/merge/atlas.py",
        "self._model(images, training=True)",
        "self._model(images, training=False)",
        "transfer/merge/atlas_test.py",
    ),
    Fault(
        "transfer/classifiers/selective_attention.py",
        "if query == SCALING and entropy_weight:",
        "if False:",
        "transfer/classifiers/selective_attention_test.py::ErrorsTest",
    ),
    Fault(
        "transfer/compare_encoders.py",
        "best = max(validation, key=validation.__getitem__)",
        'best = max(validation, key=lambda name: rows[f"linear: {name}"])',
        "transfer/classifiers/selective_attention_test.py::CompareEncodersTest",
    ),
    Fault(
        "transfer/features/feature_cache.py",
        "_add(digest, np.asarray(variable))",
        "pass",
        "transfer/features/feature_cache_test.py",
    ),
    Fault(
        "transfer/classifiers/fine_tuning.py",
        "    with seeded_layers(seed):\n",
        "    if True:\n",
        "global_state_test.py",
    ),
    Fault(
        "transfer/protocols/linear_probe.py",
        "best = scores.index(max(scores))",
        "best = len(scores) - 1",
        "transfer/protocols/linear_probe_test.py",
    ),
    Fault(
        "transfer/protocols/linear_probe.py",
        "test_features = (test_features - mean) / scale",
        "test_features = (test_features - test_features.mean(axis=0)) / scale",
        "transfer/protocols/linear_probe_test.py",
    ),
    Fault(
        "transfer/protocols/knn.py",
        '(similarities - similarities[:, :1]).astype("float64") / temperature',
        '(similarities - similarities[:, :1]).astype("float64") * temperature',
        "transfer/protocols/knn_test.py",
    ),
    Fault(
        "transfer/protocols/few_shot.py",
        "number, draw])",
        "number, 0])",
        "transfer/protocols/few_shot_test.py",
    ),
    Fault(
        "transfer/protocols/retrieval.py",
        "/ np.maximum(found[:, -1], 1)",
        "/ len(gallery)",
        "transfer/protocols/protocols_test.py::RetrievalTest",
    ),
    Fault(
        "transfer/protocols/out_of_distribution.py",
        "if name != left_out]",
        "]",
        "transfer/protocols/protocols_test.py::OutOfDistributionTest",
    ),
    Fault(
        "transfer/classifiers/residual_feature.py",
        "ops.stop_gradient(self.source(images, training=False))",
        "ops.stop_gradient(self.source(images, training=training))",
        "transfer/classifiers/residual_feature_test.py",
    ),
    Fault(
        "transfer/scores/leep.py",
        "np.sum((joint / marginal)[ids] * probabilities, axis=1)",
        "np.sum(joint[ids] * probabilities, axis=1)",
        "transfer/scores_test.py::LEEPTest",
    ),
    Fault(
        "transfer/scores/osborn.py",
        'terms["cohesion"][np.ix_(chosen, chosen)].sum() / 2',
        'terms["cohesion"][np.ix_(chosen, chosen)].sum()',
        "transfer/scores_test.py::OSBORNTest",
    ),
    Fault(  # The wrong way round.
        "transfer/scores/osborn.py",
        "task.append(-nce(labels, predictions))",
        "task.append(-nce(predictions, labels))",
        "transfer/scores_test.py::OSBORNTest",
    ),
    Fault(
        "transfer/scores/ped.py",
        "return np.sum(shifts[:, :, None] * directions, axis=1)",
        "return np.sum(shifts[:, :, None] * directions, axis=0)",
        "transfer/scores_test.py::PEDTest",
    ),
    Fault(
        "transfer/scores/ped.py",
        "part.var(axis=0).sum()",
        "part.var(axis=0).mean()",
        "transfer/scores_test.py::PEDTest",
    ),
    Fault(
        "transfer/choose_ensemble.py",
        'terms["cohesion"][:, positions].sum(axis=1)',
        'terms["cohesion"].sum(axis=1)',
        "transfer/choose_ensemble_test.py",
    ),
    Fault(
        "transfer/scores/log_me.py",
        "determinant += (dim - len(squares)) * np.log(alpha)",
        "pass",
        "transfer/scores_test.py::LogMETest",
    ),
    Fault(
        "reporting/comparison.py",
        "quantile = stats.t.ppf(0.5 + confidence / 2, len(values) - 1)",
        "quantile = stats.norm.ppf(0.5 + confidence / 2)",
        "reporting/comparison_test.py::CompareTest",
    ),
    Fault(
        "transfer/merge/fisher.py",
        "total + tf.cast(probability, g.dtype) * g**2",
        "total + g**2",
        "transfer/merge/fisher_test.py::DiagonalFisherTest",
    ),
    Fault(
        "transfer/merge/batch_statistics.py",
        "sums[i][1] += size * (variance + mean**2)",
        "sums[i][1] += size * variance",
        "transfer/merge/batch_statistics_test.py",
    ),
    # callbacks
    Fault(
        "callbacks/every_few_epochs.py",
        "(epoch + 1) % self.every_epochs == 0",
        "epoch % self.every_epochs == 0",
        "callbacks/online_probe_test.py callbacks/task_conflict_monitor_test.py",
    ),
    Fault(
        "callbacks/resumable_checkpoint.py",
        'glob("step_*.npz"), reverse=True)',
        'glob("step_*.npz"))',
        "callbacks/resumable_checkpoint_test.py::DamageTest",
    ),
    Fault(
        "callbacks/step_timer.py",
        "self.seconds.append(time.perf_counter() - self._start)",
        "self.seconds.append(time.perf_counter())",
        "callbacks/step_timer_test.py",
    ),
    # cli
    Fault(
        "cli/settings.py",
        'if name not in values or name == "config":',
        "if name not in values:\n            continue\n        if False:",
        "cli/main_test.py",
    ),
    # The package itself.
    Fault(
        "precision.py",
        'if backend.standardize_dtype(x.dtype) in ("float32", "float64"):',
        'if backend.standardize_dtype(x.dtype) == "float32":',
        "precision_test.py",
    ),
    Fault(
        "seeding.py",
        "random.setstate(state)",
        "pass",
        "global_state_test.py",
    ),
]
