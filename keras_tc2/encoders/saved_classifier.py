"""Classifiers to and from folders: an encoder's, and `classifier/` beside its files."""

import pathlib

from keras_tc2.checks import integer
from keras_tc2.encoders.classifier import Classifier
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.pretrained import (
    ENCODER_KEY,
    check_encoder,
    load_folder,
    save_pretrained,
)
from keras_tc2.hub import files
from keras_tc2.hub.config_file import check_plain, read_config, write_config
from keras_tc2.hub.fetch import fetch_folder
from keras_tc2.hub.weights import as_model, build_with_weights, save_weights
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
        check_plain("classes", name)
    encoder_sha256 = save_pretrained(classifier.encoder, folder)
    folder = pathlib.Path(folder, files.CLASSIFIER_FOLDER).expanduser()
    folder.mkdir(exist_ok=True)
    content = {
        "num_classes": classifier.head.num_classes,
        "standardize": classifier.head.standardize,
        "classes": classifier.classes,
        "weights_sha256": save_weights(_head(classifier), folder),
        ENCODER_KEY: encoder_sha256,
    }
    write_config(folder, files.CONFIG_FILE, content)


def load_classifier(repo_id_or_folder, *, trainable, **request):
    """See `Classifier.from_pretrained`; `request` as of `fetch_folder`."""
    folder = fetch_folder(repo_id_or_folder, parts=[files.CLASSIFIER_FOLDER], **request)
    encoder = load_folder(folder, source=repo_id_or_folder, trainable=trainable)
    encoder_folder, folder = folder, folder / files.CLASSIFIER_FOLDER
    if not (folder / files.CONFIG_FILE).exists():
        raise FileNotFoundError(
            f"{str(repo_id_or_folder)!r} holds an encoder without a classifier. "
            "`transfer.fine_tune` makes one of it, "
            "`Classifier(encoder, num_classes)` an untrained one."
        )
    config = read_config(
        folder, files.CONFIG_FILE, keys=CONFIG_KEYS, optional=[ENCODER_KEY]
    )
    check_encoder(encoder_folder, files.CLASSIFIER_FOLDER, config)

    def build():
        num_classes = integer("num_classes", config["num_classes"], at_least=2)
        head = ClassificationHead(
            check_plain("num_classes", num_classes),
            standardize=bool(config["standardize"]),
            name="head",
        )
        classes = config["classes"]
        if classes is not None:
            classes = check_plain("classes", classes, max_length=num_classes)
        return Classifier(encoder, head, classes=classes)

    classifier = build_with_weights(
        build, folder, sha256=config["weights_sha256"], model_of=_head
    )
    classifier.trainable = trainable
    return classifier


def _head(classifier):
    """The head as a model."""
    return as_model(head=classifier.head)
