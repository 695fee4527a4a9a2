# %% [markdown]
"""
# TC² from paper to code, one step at a time

Task Conflict Calibration ([arXiv 2511.13787](https://arxiv.org/abs/2511.13787)) on one
batch, by the public parts of `keras_tc2`: tasks, factors V, weights W, calibrated
embeddings ẑ, the inner and the outer step. The symbols are those of `docs/method.md`,
which also says what of it is published and what is this library's reading. Every step
is checked by a number; in the end `TC2Pretrainer` must give the same ones.

`python examples/notebooks/one_method_from_paper_to_code.py` runs it in about a minute;
`jupytext --to notebook` makes a notebook of it.
"""

# %%
import os
import pathlib

import keras
import numpy as np
from keras import ops

import keras_tc2 as tc2
from keras_tc2 import bilevel

QUICK = bool(os.environ.get("KERAS_TC2_QUICK"))
# A notebook has no `__file__`; it runs where it lies.
HERE = pathlib.Path(globals().get("__file__", "notebook")).resolve().parent
M, K, BATCH_SIZE, ALPHA = 4, 32, 64, 0.2
rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)
# In double precision a difference is either an error or nothing.
keras.config.set_floatx("float64")


def check(what, difference, *, at_most):
    """Prints the largest entry of a difference, and stops where it is too large."""
    largest = float(np.max(np.abs(difference)))
    print(f"{what}: {largest:.1e}")
    assert largest <= at_most, f"{largest} is above {at_most}"


# %% [markdown]
# ## 1 and 2. Views x₁ and x₂, features h = f(x), embeddings z = g(h)
#
# The batch comes in M blocks, each with a view recipe of its own. Both views of all
# images pass through the encoder together.

# %%
images = tc2.data.load("fashion_mnist_subset", data_dir=HERE.parent / "data")
recipes = tc2.augment.simclr_tasks(image_size=28, num_tasks=M, channels=1)
views = tc2.data.two_views(
    images.take(128 if QUICK else 8192), batch_size=BATCH_SIZE, augmentation=recipes
)
view_1, view_2 = (ops.cast(view, "float64") for view in next(iter(views)))

encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
projector = tc2.layers.ProjectionHead(64)
features = encoder.encode(ops.concatenate([view_1, view_2]), training=True)
embeddings = projector(features, training=True)
print("h", features.shape, "z", embeddings.shape)

# %% [markdown]
# ℓ is the base objective, here SimCLR's: the mean over all 2B embeddings of
# −log( exp(s_ij / t) / Σ_{k ≠ i} exp(s_ik / t) ), with s the cosine.

# %%
objective = tc2.objectives.NTXent(temperature=0.2)
base_loss = objective(*ops.split(embeddings, 2))

z = np.asarray(embeddings)
z = z / np.linalg.norm(z, axis=1, keepdims=True)
similarities = np.exp(z @ z.T / 0.2)
np.fill_diagonal(similarities, 0)
positives = np.exp(np.sum(z * np.roll(z, BATCH_SIZE, axis=0), axis=1) / 0.2)
expected = -np.mean(np.log(positives / similarities.sum(axis=1)))
check("ℓ against NumPy", base_loss - expected, at_most=1e-9)

# %% [markdown]
# ## 3. Tasks T₁ … T_M
#
# As in the paper, a batch is split. `order=None` takes its blocks as they come; a
# `TaskAssignment` may sort the images, and clusters of similar ones are the default of
# `TC2Pretrainer`.

# %%
tasks = bilevel.split_tasks(ops.split(features, 2), None, M)
task_of_each = np.tile(bilevel.task_of_each(None, BATCH_SIZE, M), 2)
print("tasks", [view.shape for view in tasks])

mean_features = sum(ops.split(features, 2)) / 2
clusters = bilevel.ClusterAssignment().order(mean_features, None, M)


def similarity_within(order):
    """Mean cosine of the images of a task."""
    groups = np.asarray(bilevel.split_tasks(mean_features, order, M))
    groups = groups / np.linalg.norm(groups, axis=-1, keepdims=True)
    return float(np.mean(groups @ groups.transpose(0, 2, 1)))


print(f"cosine within a task: blocks {similarity_within(None):.3f}, ", end="")
print(f"clusters {similarity_within(clusters):.3f}")
assert similarity_within(clusters) > similarity_within(None)

# %% [markdown]
# ## 4. Factors V = f_v(Z̄), shared by all tasks
#
# V = row_normalise(Q + softmax(Q (Z̄A)ᵀ/√d) Z̄B·O/d). Z̄ is detached. O starts at zero, so
# that the factors start as K orthogonal directions; here O is then given values, as if
# it had been trained. The order of the batch does not matter to V.

# %%
calibrator = tc2.layers.TaskCalibrator(
    M,
    num_factors=K,
    factors_from_batch=True,
    calibration="residual",
    nonnegative_weights=False,
    task_embedding=True,
    weights_per="sample",
)
calibrator.build(embeddings.shape)
constant = ops.stop_gradient(embeddings)
factors = calibrator.factors(constant)
check(
    "V Vᵀ − I at the start", factors @ ops.transpose(factors) - np.eye(K), at_most=1e-9
)
untouched = calibrator.calibrate(factors, embeddings, task_of_each)
check("ẑ − z at the start", untouched - embeddings, at_most=0)

f_v, f_w = calibrator.factor_extractor, calibrator.weight_extractor
f_v.output_kernel.assign(rng.normal(0, 1, f_v.output_kernel.shape))
f_w.output_layer.kernel.assign(rng.normal(0, 0.1, f_w.output_layer.kernel.shape))
factors = calibrator.factors(constant)
check("‖V_k‖ − 1", np.linalg.norm(factors, axis=1) - 1, at_most=1e-9)
reversed_batch = calibrator.factors(constant[::-1])
check("V of the batch in reverse", reversed_batch - factors, at_most=1e-9)

# %% [markdown]
# ## 5. Weights W_j = f_w(z_j + e_s) Vᵀ and the calibrated embedding ẑ = z + W V
#
# Each sample has its own weights; e_s is a learned embedding of its task.

# %%
weights = calibrator.weights_on(factors, constant, task_of_each)
shifted = constant + ops.take(calibrator.task_embeddings, task_of_each, axis=0)
codes = f_w.output_layer(f_w.hidden(shifted))
check("W − f_w(z + e) Vᵀ", weights - codes @ ops.transpose(factors), at_most=1e-9)

calibrated = calibrator.calibrate(factors, embeddings, task_of_each)
check("ẑ − (z + W V)", calibrated - embeddings - weights @ factors, at_most=1e-9)

# %% [markdown]
# L_v asks that the factors span the embeddings and are orthogonal, L_w that the weights
# are sparse.

# %%
regularizers = calibrator.regularizers(factors, constant, weights)
Z, V, W = (np.asarray(x) for x in (constant, factors, weights))
expected = {
    "reconstruction": np.sum((Z - Z @ V.T @ V) ** 2) / np.sum(Z**2),
    "orthogonality": np.sum((V @ V.T - np.eye(K)) ** 2) / K,
    "sparsity": np.mean(np.abs(W)),
}
for name, value in expected.items():
    check(f"{name} against NumPy", regularizers[name] - value, at_most=1e-9)

# %% [markdown]
# ## 6. The inner step, θ_s = θ − α ∇ℓ(T_s; θ, φ)
#
# θ is here the projector alone (`inner_scope="projector"`). A gradient longer than 1 is
# shortened to 1 (`inner_clipnorm`).

# %%
theta = [ops.convert_to_tensor(v) for v in projector.trainable_variables]
statistics = [ops.convert_to_tensor(v) for v in projector.non_trainable_variables]


def project(theta, features):
    """z = g(h; θ)."""
    z, _ = projector.stateless_call(theta, statistics, features, training=True)
    return z


def task_loss(theta, task, s):
    """ℓ(T_s; θ, φ), the objective on the calibrated embeddings of task s."""
    z = project(theta, ops.concatenate(task))
    return objective(*ops.split(calibrator.calibrate(factors, z, s), 2))


def task(s):
    """T_s: the features of its images in both views."""
    return [view[s] for view in tasks]


inner = {"learning_rate": ALPHA, "num_steps": 1, "order": 2, "clipnorm": 1.0}
adapted = []
for s in range(M):
    theta_s, inner_loss, gradient = bilevel.adapt(
        lambda theta, s=s: task_loss(theta, task(s), s), theta, **inner
    )
    adapted.append(theta_s)
    norm = np.sqrt(sum(float(ops.sum(g**2)) for g in gradient))
    step = ALPHA / max(1, norm)
    moved = [
        float(ops.max(ops.abs(a - (t - step * g))))
        for a, t, g in zip(theta_s, theta, gradient, strict=True)
    ]
    check(f"θ_{s} − (θ − α g), ‖∇ℓ‖ = {norm:.2f}", moved, at_most=1e-9)
    after = float(task_loss(theta_s, task(s), s))
    print(f"  ℓ(T_{s}) before and after its step: {float(inner_loss):.4f}, {after:.4f}")
    assert after < float(inner_loss)

# %% [markdown]
# ## 7. The outer loss: what one task learned, judged by the next
#
# The mean of ℓ(T_q; θ_s, φ) over the pairs (s, q) of a ring. Its derivative passes
# through the inner step, so it needs second derivatives; a finite difference tells
# that they are exact, and that first order is something else.

# %%
partners = bilevel.partners("ring", M)
print("(s, q):", [(s, int(q)) for s, row in enumerate(partners) for q in row])


def outer_loss(theta, order=2):
    """Mean of ℓ(T_q; θ_s, φ)."""
    losses = bilevel.transfer_losses(
        task_loss, theta, tasks, partners, vectorized=False, **{**inner, "order": order}
    )
    return ops.mean(losses["outer_loss"])


by_hand = [task_loss(adapted[s], task(q), q) for s, (q,) in enumerate(partners)]
check("outer loss by hand", outer_loss(theta) - np.mean(by_hand), at_most=1e-9)

_, exact = bilevel.value_and_gradients(outer_loss, theta)
_, first_order = bilevel.value_and_gradients(lambda x: outer_loss(x, order=1), theta)
# Along the direction in which the two differ most.
direction = [a - b for a, b in zip(exact, first_order, strict=True)]
length = np.sqrt(sum(float(ops.sum(d**2)) for d in direction))
direction = [d / length for d in direction]


def along(gradient):
    """The derivative in the direction, by a gradient."""
    return sum(float(ops.sum(g * d)) for g, d in zip(gradient, direction, strict=True))


def shifted_by(epsilon):
    """The outer loss a little further on."""
    return float(
        outer_loss([t + epsilon * d for t, d in zip(theta, direction, strict=True)])
    )


difference = (shifted_by(1e-6) - shifted_by(-1e-6)) / 2e-6
print(f"finite difference {difference:.5f}, second order {along(exact):.5f}, ", end="")
print(f"first order {along(first_order):.5f}")
check("second order − finite difference", along(exact) - difference, at_most=1e-6)
assert abs(along(first_order) - difference) > 1e-2

# %% [markdown]
# ## 8. All of it is `TC2Pretrainer`
#
# L = base + outer + reconstruction + orthogonality + λ_s sparsity. Given the same
# parts, the pretrainer has the same losses, and the same gradient by θ.

# %%
model = tc2.TC2Pretrainer(
    encoder,
    objective=objective,
    projector=projector,
    num_tasks=M,
    num_factors=K,
    inner_learning_rate=ALPHA,
    **tc2.recipes.full_method(),
)
model.calibrator.set_weights(calibrator.get_weights())
losses, gradients = model.value_and_gradients(view_1, view_2)

ours = {"base_loss": base_loss, "outer_loss": outer_loss(theta), **regularizers}
ours["loss"] = sum(ours.values()) - (1 - model.sparsity_weight) * ours["sparsity"]
for name, value in ours.items():
    check(f"{name} of the pretrainer", losses[name] - value, at_most=1e-9)


def total(theta):
    """What of L depends on the projector."""
    return objective(*ops.split(project(theta, features), 2)) + outer_loss(theta)


_, by_theta = bilevel.value_and_gradients(total, theta)
of_model = {id(v): g for v, g in zip(model.trainable_variables, gradients, strict=True)}
differences = [
    float(ops.max(ops.abs(of_model[id(v)] - g)))
    for v, g in zip(projector.trainable_variables, by_theta, strict=True)
]
check("∇L by θ of the pretrainer", differences, at_most=1e-9)

# %% [markdown]
# ## 9. Trained
#
# In single precision again, and from the start, where W = 0. Whether the tasks conflict
# is asked over several batches, since one is mostly noise.

# %%
keras.config.set_floatx("float32")
encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
model = tc2.TC2Pretrainer(
    encoder, objective="nt_xent", num_tasks=M, **tc2.recipes.full_method()
)
model.compile(optimizer=keras.optimizers.Adam(1e-3))
history = model.fit(views, epochs=1 if QUICK else 3, verbose=2).history
print({name: f"{values[-1]:.3f}" for name, values in history.items()})
mean_weight = float(ops.mean(ops.abs(model.diagnose(view_1, view_2)["weights"])))
print(f"mean |W|: 0 before, {mean_weight:.1e} after")
assert mean_weight > 0
print(model.conflict(views.take(2 if QUICK else 16)))

# %% [markdown]
# What all this brings, and what of it is not shown to bring anything, stands in
# `docs/evidence.md`; the arguments that switch each part off or over in
# `docs/method.md`.
