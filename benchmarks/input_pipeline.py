"""Speed and memory of the input pipeline, by source and by stage.

    python benchmarks/input_pipeline.py --output=benchmarks/input_pipeline.json

Five tables. *Sources*: images/s that `data.load` gives from JPEG and PNG folders, a
TFDS dataset, TFRecords, a `.npy` file, an array, and a JPEG folder held in memory by
`cache()`; and images/s (each seen twice) after `two_views` with SimCLR's recipe.
*Stages*: what each stage costs for the JPEG folder, alone: reading files, decoding,
resizing, augmenting; the slowest is what binds. *Memory*: of an epoch of a stream ten
times as large as its shuffle buffer, the resident memory when the buffer is full and
at the end. *Steps*: a training step of `fit` whose views `two_views` makes beside it,
or the model within it (`data.batches` and `augmentation=`), over one on a batch of
ready views, which waits for nothing; and the device that made them. *Grain*: batches
of the JPEG folder in a random order, of `data.batches` and of the library of that name
(`pip install grain`), which decodes in Python, in threads or in processes.
"""

import json
import os
import pathlib
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import psutil
import tensorflow as tf
from absl import app, flags
from measure import device

from keras_tc2 import SSLPretrainer, augment, data, encoders

FLAGS = flags.FLAGS
flags.DEFINE_integer("num_images", 2000, "Images in each source.")
flags.DEFINE_integer("stored_size", 160, "Height and width of the stored images.")
flags.DEFINE_integer("image_size", 64, "Height and width after loading, and of views.")
flags.DEFINE_integer("batch_size", 128, "Images in a batch.")
flags.DEFINE_integer("rounds", 3, "Rounds; the median over them is given.")
flags.DEFINE_integer("memory_buffer", 1000, "Shuffle buffer of the memory test.")
flags.DEFINE_string("encoder", "convnet", "Architecture that the steps train.")
flags.DEFINE_string("policy", "float32", "Dtype policy of the steps.")
flags.DEFINE_list(
    "tables", ["memory", "stages", "sources", "steps"], "What is measured."
)
flags.DEFINE_string("output", None, "JSON file for the results.")

EMBEDDED = pathlib.Path(__file__).parents[1] / "examples" / "data"


def make_images():
    """Colour images with the spectrum of photographs, roughly: smooth, plus noise."""
    size, rng = FLAGS.stored_size, np.random.default_rng(0)
    for _ in range(FLAGS.num_images):
        coarse = tf.image.resize(
            rng.uniform(0, 255, (8, 8, 3)), (size, size), "bicubic"
        )
        noisy = coarse.numpy() + rng.normal(0, 6, (size, size, 3))
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def write_sources(folder):
    """Writes every kind of file; returns `{name: source for load}`."""
    (folder / "jpeg").mkdir()
    (folder / "png").mkdir()
    stack = np.lib.format.open_memmap(
        folder / "stack.npy",
        mode="w+",
        dtype=np.uint8,
        shape=(FLAGS.num_images, FLAGS.image_size, FLAGS.image_size, 3),
    )
    with tf.io.TFRecordWriter(str(folder / "images.tfrecord")) as writer:
        for index, image in enumerate(make_images()):
            jpeg = tf.io.encode_jpeg(image, quality=90).numpy()
            (folder / "jpeg" / f"{index:06}.jpg").write_bytes(jpeg)
            png = tf.io.encode_png(image).numpy()
            (folder / "png" / f"{index:06}.png").write_bytes(png)
            features = {"image": tf.train.Feature(bytes_list={"value": [jpeg]})}
            example = tf.train.Example(features={"feature": features})
            writer.write(example.SerializeToString())
            small = tf.image.resize(image, stack.shape[1:3], antialias=True)
            stack[index] = tf.cast(tf.round(small), tf.uint8)
    stack.flush()
    return {
        "JPEG folder": folder / "jpeg",
        "PNG folder": folder / "png",
        "TFRecords of JPEGs": folder / "images.tfrecord",
        ".npy file": folder / "stack.npy",
        "array": np.load(folder / "stack.npy"),
        "TFDS, 28 px grey": EMBEDDED / "mnist_subset",
    }


def images_per_second(dataset, images_per_element):
    """Of one pass, the first element left out."""
    iterator = iter(dataset)
    next(iterator)
    start, count = time.perf_counter(), 0
    for _ in iterator:
        count += images_per_element
    return count / (time.perf_counter() - start)


def measure(contenders):
    """Median images/s of `{name: (dataset, images an element)}`, taking turns."""
    rates = {name: [] for name in contenders}
    for _ in range(FLAGS.rounds):
        for name, contender in contenders.items():
            rates[name].append(images_per_second(*contender))
    return {name: round(float(np.median(rate))) for name, rate in rates.items()}


def source_table(sources):
    """Images/s of loading, and of two SimCLR views, by source."""
    loaded = {
        name: data.load(source, image_size=FLAGS.image_size)
        for name, source in sources.items()
    }
    loaded["JPEG folder, cached"] = loaded["JPEG folder"].cache()
    size, parallel = FLAGS.batch_size, tf.data.AUTOTUNE
    batches, views = {}, {}
    for name, images in loaded.items():
        batches[name] = images.batch(size, drop_remainder=True).prefetch(parallel), size
        recipe = augment.simclr(
            image_size=FLAGS.image_size, channels=images.element_spec.shape[-1]
        )
        views[name] = (
            data.two_views(images, batch_size=size, augmentation=recipe),
            size,
        )
    return {"load": measure(batches), "two_views": measure(views)}


def stage_table(folder):
    """Images/s of each stage of the JPEG folder alone; its input is in memory."""
    paths = tf.data.Dataset.list_files(str(folder / "*.jpg"), shuffle=False)
    contents = paths.map(tf.io.read_file).cache()
    decoded = contents.map(decode).take(1000).cache()
    batches = decoded.map(resize).batch(FLAGS.batch_size, drop_remainder=True).cache()
    recipe = augment.simclr(image_size=FLAGS.image_size)
    for held in (contents, decoded, batches):
        sum(1 for _ in held)

    def augment_twice(images):
        return recipe.augment(images, (0, 1)), recipe.augment(images, (0, 2))

    group, parallel = 50, {"num_parallel_calls": tf.data.AUTOTUNE}
    return measure(
        {
            "read files": (paths.map(tf.io.read_file, **parallel).batch(group), group),
            "decode": (
                contents.map(lambda x: decode(x)[0, 0], **parallel).batch(group),
                group,
            ),
            "resize": (decoded.map(resize, **parallel).batch(group), group),
            "augment twice": (
                batches.map(augment_twice, **parallel),
                FLAGS.batch_size,
            ),
        }
    )


class EpochTimer(keras.callbacks.Callback):
    """Seconds a step, from the end of an epoch's first to that of its last."""

    def on_train_batch_end(self, batch, logs=None):
        """Waits for the first step, and notes when it has ended."""
        if batch == 0:
            float(logs["loss"])
            self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Waits for the last step."""
        float(logs["loss"])
        steps = self.params["steps"] - 1
        self.seconds = (time.perf_counter() - self.start) / steps


def step_table(sources):
    """Median seconds of a step of `fit` on ready views, and ratios to it by source."""
    recipe = augment.simclr(image_size=FLAGS.image_size)
    size = FLAGS.batch_size
    keras.config.set_dtype_policy(FLAGS.policy)

    def new_model(augmentation=None):
        encoder = encoders.create(
            FLAGS.encoder, input_shape=(FLAGS.image_size, FLAGS.image_size, 3)
        )
        model = SSLPretrainer(encoder, objective="nt_xent", augmentation=augmentation)
        model.compile(keras.optimizers.Adam(1e-3))
        return model

    plain, own = new_model(), new_model(recipe)
    contenders = {}
    for name in ("array", "JPEG folder"):
        images = data.load(sources[name], image_size=FLAGS.image_size)
        views = data.two_views(images, batch_size=size, augmentation=recipe)
        batches = data.batches(images, batch_size=size)
        contenders[f"{name}, two_views"] = plain, views
        contenders[f"{name}, views within the step"] = own, batches
    ready = tf.data.Dataset.from_tensors(next(iter(views))).repeat(len(views))
    contenders = {"ready views": (plain, ready), **contenders}
    seconds = {name: [] for name in contenders}
    for number in range(FLAGS.rounds + 1):
        for name, (model, batches) in contenders.items():
            timer = EpochTimer()
            model.fit(batches, verbose=0, callbacks=[timer])
            if number:  # The first traces.
                seconds[name].append(timer.seconds)
    base = seconds.pop("ready views")
    ratios = {
        name: round(float(np.median(np.divide(values, base))), 3)
        for name, values in seconds.items()
    }
    return {
        "device": device(),
        "encoder": FLAGS.encoder,
        "policy": FLAGS.policy,
        "seconds on ready views": round(float(np.median(base)), 4),
        **ratios,
    }


def grain_table(folder):
    """Images/s of shuffled batches of the JPEG folder, of Grain and of this library."""
    import grain
    import PIL.Image

    size = FLAGS.image_size

    def read(path):
        with PIL.Image.open(path) as image:
            image = image.convert("RGB").resize(
                (size, size), PIL.Image.Resampling.BILINEAR
            )
            return np.asarray(image)

    paths = sorted(folder.glob("*.jpg"))
    # Epochs enough that what is read ahead of the first batch does not count.
    epochs = 8
    batches = grain.MapDataset.source(paths).seed(0).shuffle().repeat(epochs).map(read)
    batches = batches.batch(FLAGS.batch_size, drop_remainder=True)
    threads = grain.ReadOptions(num_threads=16, prefetch_buffer_size=16)
    processes = grain.MultiprocessingOptions(num_workers=os.cpu_count())
    contenders = {
        "data.batches": data.batches(
            data.load(folder, image_size=size), batch_size=FLAGS.batch_size
        ).repeat(epochs),
        "Grain, 16 threads": batches.to_iter_dataset(threads),
        "Grain, a process a core": batches.to_iter_dataset().mp_prefetch(processes),
    }
    return measure(
        {name: (dataset, FLAGS.batch_size) for name, dataset in contenders.items()}
    )


def decode(content):
    """A colour image of the bytes of a JPEG."""
    return tf.io.decode_jpeg(content, channels=3)


def resize(image):
    """As `data.load` resizes."""
    size = (FLAGS.image_size, FLAGS.image_size)
    return tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)


def memory_table(folder):
    """Resident MiB during an epoch ten times as large as the shuffle buffer."""
    paths = [str(path) for path in sorted(folder.glob("*.jpg"))]
    repeats = -(-10 * FLAGS.memory_buffer // len(paths))
    size = FLAGS.image_size
    images = (
        tf.data.Dataset.from_tensor_slices(paths * repeats)
        .take(10 * FLAGS.memory_buffer)
        .map(lambda path: decode(tf.io.read_file(path)))
        .map(lambda image: tf.image.resize(image, (size, size)) / 255.0)
    )
    views = data.two_views(images, batch_size=100, shuffle_buffer=FLAGS.memory_buffer)
    process = psutil.Process()
    before = process.memory_info().rss
    resident = [process.memory_info().rss for _ in views]
    tenth = len(resident) // 10
    mebibytes = np.array(resident) / 2**20
    return {
        "epoch, if it were held": round(
            10 * FLAGS.memory_buffer * size * size * 3 * 4 / 2**20
        ),
        "before": round(before / 2**20),
        "after a tenth": round(float(mebibytes[tenth])),
        "at the end": round(float(mebibytes[-1])),
        "most": round(float(mebibytes.max())),
    }


def main(_):
    """Writes the files, measures, and prints and saves the tables."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sources = write_sources(folder)
        results = {
            "cores": os.cpu_count(),
            "tensorflow": tf.__version__,
            "flags": {
                name: getattr(FLAGS, name)
                for name in ("num_images", "stored_size", "image_size", "batch_size")
            },
        }
        tables = {
            "memory": ("memory, MiB", lambda: memory_table(folder / "jpeg")),
            "stages": ("stages, images/s", lambda: stage_table(folder / "jpeg")),
            "sources": ("sources, images/s", lambda: source_table(sources)),
            "steps": ("steps, over ready views", lambda: step_table(sources)),
            "grain": ("Grain, images/s", lambda: grain_table(folder / "jpeg")),
        }
        for name in FLAGS.tables:
            title, table = tables[name]
            results[title] = table()
    text = json.dumps(results, indent=2)
    print(text)
    if FLAGS.output:
        pathlib.Path(FLAGS.output).write_text(text + "\n")


if __name__ == "__main__":
    app.run(main)
