# %% [markdown]
"""
# Quickstart: look, pre-train, guard, evaluate, see

20,000 small pictures of garments without labels; then digits that the encoder has never
seen. `python examples/notebooks/quickstart.py` runs it in about a minute and writes
pictures to `runs/quickstart`; `jupytext --to notebook` makes a notebook of it, which
shows them.
"""

# %%
import os
import pathlib

import keras
import numpy as np

import keras_tc2 as tc2

QUICK = bool(os.environ.get("KERAS_TC2_QUICK"))
# A notebook has no `__file__`; it runs where it lies.
HERE = pathlib.Path(globals().get("__file__", "notebook")).resolve().parent
DATA = HERE.parent / "data"
RUNS = pathlib.Path("runs/quickstart")
RUNS.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Images, and their views
#
# Most failures are augmentations that ask for the wrong thing, so look at them first:
# is it still the same garment, and are the two views different enough? Each row is a
# recipe of its own, for a block of every batch.

# %%
images = tc2.data.load("fashion_mnist_subset", data_dir=DATA)
images = images.take(128 if QUICK else 20_000)
recipes = tc2.augment.simclr_tasks(image_size=28, num_tasks=4, channels=1)
some = tc2.data.as_arrays(images.take(8))
figure = tc2.augment.show_views(some, recipes, path=RUNS / "views.png")
figure

# %% [markdown]
# ## Pre-train
#
# `CollapseGuard` warns if the features of different images become all alike;
# `EmbeddingPlot` draws those of digits, which are not trained on. Their labels give the
# dots their color, and are used for nothing else.

# %%
encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
model = tc2.TC2Pretrainer(encoder, objective="nt_xent", num_tasks=4)
views = tc2.data.two_views(
    images, batch_size=64 if QUICK else 256, augmentation=recipes
)
epochs = 1 if QUICK else 5
schedule = keras.optimizers.schedules.CosineDecay(1e-2, decay_steps=epochs * len(views))
model.compile(optimizer=keras.optimizers.Adam(schedule))

digits, classes = tc2.data.as_arrays(
    tc2.data.load("mnist_subset", "test", labels=True, data_dir=DATA).take(600)
)
guard = tc2.callbacks.CollapseGuard(views)
plot = tc2.callbacks.EmbeddingPlot(digits, classes, folder=RUNS, every_epochs=epochs)

evaluation = {"datasets": "mnist_subset", "protocols": ["knn", "linear"]}
evaluation |= {"data_dir": DATA}
before = tc2.transfer.evaluate(encoder, **evaluation, encoder_name="untrained")
history = model.fit(views, epochs=epochs, callbacks=[guard, plot], verbose=2).history

# %% [markdown]
# ## Has it collapsed?
#
# 1 is an even spread of the features, 0 collapse; the rank is how many directions they
# use.

# %%
for name in ("loss", "feature_std", "feature_rank", "embedding_std"):
    print(f"{name}: {history[name][0]:.3f} -> {history[name][-1]:.3f}")
print("The guard found:", guard.reason)
assert np.isfinite(history["loss"]).all()

# %% [markdown]
# ## Does it transfer?
#
# Frozen features of digits, by nearest neighbours and by a linear classifier.

# %%
after = tc2.transfer.evaluate(encoder, **evaluation, encoder_name="pre-trained")
report = tc2.transfer.TransferReport.join([before, after])
print(report)

# %% [markdown]
# ## A picture of the feature space

# %%
figure, caption = plot.pictures[-1]
print(caption)
figure

# %% [markdown]
# ## Keep it
#
# The preprocessing is inside: raw uint8 images in, features out.

# %%
encoder.save_pretrained(RUNS / "encoder")
again = tc2.from_pretrained(RUNS / "encoder")
features = tc2.transfer.extract_features(encoder, digits)
assert np.array_equal(tc2.transfer.extract_features(again, digits), features)
print("features", features.shape, "identical after saving and loading")

# %% [markdown]
# Next: `docs/your_pictures.md`, `docs/objectives.md`, or the method step by step in
# `one_method_from_paper_to_code.py` beside this file.
