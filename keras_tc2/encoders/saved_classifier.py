"""Classifiers to and from folders: an encoder's, and `classifier/` beside its files."""

import pathlib

import keras

from keras_tc2 import hub
from keras_tc2.encoders.classifier import Classifier
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.pretrained import load_folder, save_pretrained
from keras_tc2.layers.classification_head import ClassificationHead

CONFIG_KEYS = ["num_classes", "standardize", "classes", "weights_sha256"]


def save_classifier(classifier, folder):
    """See `Classifier.save_pretrained`."""
    if not isinstance(classifier.encoder, Encoder) or not isinstance(
        classifier.head, ClassificationHead
    ):
        raise ValueError(
            "A folder holds an `Encoder` and a `layers.ClassificationHead`, which are "
            "built without running code. Received: "
            f"{type(classifier.encoder).__name__} and {type(classifier.head).__name__}."
            ' `classifier.save("classifier.keras")` keeps any other.'
        )
    for name in classifier.classes or []:
        hub.check_plain("classes", name)
    save_pretrained(classifier.encoder, folder)
    folder = pathlib.Path(folder, hub.CLASSIFIER_FOLDER)
    folder.mkdir(exist_ok=True)
    content = {
        "num_classes": classifier.head.num_classes,
        "standardize": classifier.head.standardize,
        "classes": classifier.classes,
        "weights_sha256": hub.save_weights(_as_model(classifier.head), folder),
    }
    hub.write_config(folder, hub.CONFIG_FILE, content)


def load_classifier(repo_id_or_folder, *, trainable, **request):
    """See `Classifier.from_pretrained`; `request` as of `hub.fetch_folder`."""
    folder = hub.fetch_folder(
        repo_id_or_folder, parts=[hub.CLASSIFIER_FOLDER], **request
    )
    encoder = load_folder(folder, trainable=trainable)
    encoder.source = str(repo_id_or_folder)
    folder = folder / hub.CLASSIFIER_FOLDER
    if not (folder / hub.CONFIG_FILE).exists():
        raise FileNotFoundError(
            f"{str(repo_id_or_folder)!r} holds an encoder without a classifier. "
            "`transfer.fine_tune` makes one of it, "
            "`Classifier(encoder, num_classes)` an untrained one."
        )
    config = hub.read_config(folder, hub.CONFIG_FILE, keys=CONFIG_KEYS)

    def head():
        made = ClassificationHead(
            hub.check_plain("num_classes", config["num_classes"]),
            standardize=bool(config["standardize"]),
            name="head",
        )
        made.build((None, encoder.feature_dim))
        return made

    try:
        num_parameters = hub.count_parameters(lambda: _as_model(head()))
        hub.check_weights(
            folder, sha256=config["weights_sha256"], num_parameters=num_parameters
        )
        classes = config["classes"]
        if classes is not None:
            classes = hub.check_plain("classes", classes)
        classifier = Classifier(encoder, head(), classes=classes)
    except TypeError as error:
        raise hub.ConfigError(f"{folder / hub.CONFIG_FILE}: {error}") from error
    except hub.FolderError:
        raise
    except ValueError as error:
        raise hub.ConfigError(f"{folder / hub.CONFIG_FILE}: {error}") from error
    hub.load_weights(_as_model(classifier.head), folder)
    classifier.trainable = trainable
    return classifier


def _as_model(head):
    """A model around the head, whose weights are one file."""
    model = keras.Model()
    model.head = head
    model.built = True
    return model
