"""What a pretrainer has beside its encoder, to and from a published folder."""

import contextlib
import pathlib
from typing import Any, Self

from keras_tc2 import augment, bilevel, objectives
from keras_tc2.annotations import PathLike
from keras_tc2.encoders.pretrained import ENCODER_KEY, check_encoder, load_folder
from keras_tc2.hub import files
from keras_tc2.hub.config_file import check_plain, read_config, write_config
from keras_tc2.hub.errors import ConfigError, WeightsError
from keras_tc2.hub.fetch import fetch_folder
from keras_tc2.hub.weights import as_model, build_with_weights, save_weights
from keras_tc2.layers import ProjectionHead
from keras_tc2.optimizers import MomentumSchedule
from keras_tc2.pretraining.core.momentum_target import MomentumTarget
from keras_tc2.pretraining.core.plain_parts import (
    KERAS_KEYS,
    checked_object,
    described,
    made,
    plain,
)

CONFIG_KEYS = [
    "pretrainer",
    "objective",
    "projector",
    "task_assignment",
    "arguments",
    "weights_sha256",
]
# What Keras or an encoder takes care of.
NOT_PUBLISHED = (*KERAS_KEYS, "encoder")
# Folders of 0.1 have none of these.
OPTIONAL_KEYS = ["augmentation", ENCODER_KEY]
# Attributes of a pretrainer that hold weights beside the encoder's.
PARTS = (
    "projector",
    "calibrator",
    "head",
    "momentum_target",
    "target_normalization",
    "updates",
)
TASK_ASSIGNMENTS = (
    bilevel.BlockAssignment,
    bilevel.ClusterAssignment,
    bilevel.GivenAssignment,
)
# Arguments of objectives that may be a number or one of these.
OBJECTIVE_PARTS = {"momentum": [MomentumSchedule]}
AUGMENTATIONS = [
    cls
    for cls in vars(augment).values()
    if isinstance(cls, type) and issubclass(cls, augment.ImageAugmentation)
]
# Their arguments that hold augmentations themselves.
AUGMENTATION_PARTS = ("layers", "recipes")


class SavedPretrainer:
    """Mixin of the pretrainers that are published beside their encoder."""

    def save_pretrainer_parts(
        self: Any, folder: PathLike, *, encoder_sha256: str | None = None
    ) -> None:
        """Writes all of a pretrainer but its encoder and optimizers.

        Args:
            folder: str or path; made if it is not there.
            encoder_sha256: str, the SHA-256 of the encoder's saved weights:
                `from_pretrained` refuses the parts beside any other. `None` for no
                such check. Defaults to `None`.

        Raises:
            ValueError: if a part is of a class that is not the library's, or an
                argument is not a number, string or list of these: such could not be
                loaded without running code.
        """
        config = self.get_config()
        arguments = {
            key: value
            for key, value in config.items()
            if key not in (*NOT_PUBLISHED, *CONFIG_KEYS, *OPTIONAL_KEYS)
        }
        content = {
            "pretrainer": type(self).__name__,
            "objective": _described(
                self.objective, _objectives(), one_of=OBJECTIVE_PARTS
            ),
            "projector": _described(self.projector, [ProjectionHead]),
            "task_assignment": None,
            "arguments": {key: plain(key, value) for key, value in arguments.items()},
        }
        if "task_assignment" in config:
            assignment = self.task_assignment
            content["task_assignment"] = _described(assignment, TASK_ASSIGNMENTS)
        if self.augmentation is not None:
            content["augmentation"] = described(
                self.augmentation,
                AUGMENTATIONS,
                only="augmentations of the library are published, made of layers of "
                "`keras_tc2.augment`",
                nested=AUGMENTATION_PARTS,
            )
        if encoder_sha256 is not None:
            content[ENCODER_KEY] = encoder_sha256
        folder = pathlib.Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        content["weights_sha256"] = save_weights(_parts(self), folder)
        write_config(folder, files.CONFIG_FILE, content)

    @classmethod
    def from_pretrained(
        cls,
        repo_id_or_folder: PathLike,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: PathLike | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        trainable: bool = True,
    ) -> Self:
        """Loads a pretrainer: the encoder, and beside it what
        `save_pretrainer_parts` wrote.

        As safe as `from_pretrained`: classes are the library's own, found by name, and
        arguments are checked before anything is built.

        Args:
            repo_id_or_folder: str or path; this and the others as in `from_pretrained`.
            revision: str or `None`.
            token: str, bool or `None`.
            cache_dir: str, path or `None`.
            force_download: bool.
            local_files_only: bool.
            trainable: bool. Whether the encoder's weights train.

        Returns:
            An uncompiled pretrainer of class `cls`.

        Raises:
            FileNotFoundError: if the encoder was published without its pretrainer.
            keras_tc2.hub.HubError: as `from_pretrained`.
            keras_tc2.hub.FolderError: likewise.
        """
        folder = fetch_folder(
            repo_id_or_folder,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            parts=[files.PRETRAINER_FOLDER],
        )
        encoder = load_folder(folder, source=repo_id_or_folder, trainable=trainable)
        encoder_folder, folder = folder, folder / files.PRETRAINER_FOLDER
        if not (folder / files.CONFIG_FILE).exists():
            raise FileNotFoundError(
                f"{str(repo_id_or_folder)!r} holds an encoder without its pretrainer. "
                "Publish it with `include_pretrainer=pretrainer`, or make a new "
                f"{cls.__name__} around the encoder."
            )
        config = read_config(
            folder, files.CONFIG_FILE, keys=CONFIG_KEYS, optional=OPTIONAL_KEYS
        )
        check_encoder(encoder_folder, files.PRETRAINER_FOLDER, config)
        if config["pretrainer"] != cls.__name__:
            name = check_plain("pretrainer", config["pretrainer"])
            raise ConfigError(
                f"The pretrainer in {folder} is a {name}, not a {cls.__name__}."
            )

        def build():
            arguments = {
                key: check_plain(key, value)
                for key, value in checked_object(
                    "arguments", config["arguments"]
                ).items()
            }
            objective = made(
                "objective",
                config["objective"],
                _objectives(),
                one_of=OBJECTIVE_PARTS,
            )
            projector = made("projector", config["projector"], [ProjectionHead])
            if config["task_assignment"] is not None:
                arguments["task_assignment"] = made(
                    "task_assignment", config["task_assignment"], TASK_ASSIGNMENTS
                )
            if "augmentation" in config:
                arguments["augmentation"] = made(
                    "augmentation",
                    config["augmentation"],
                    AUGMENTATIONS,
                    nested=AUGMENTATION_PARTS,
                )
            return cls(encoder, objective=objective, projector=projector, **arguments)

        def load(model_of):
            sha256 = config["weights_sha256"]
            return build_with_weights(build, folder, sha256=sha256, model_of=model_of)

        try:
            return load(_parts)
        except WeightsError:
            if not trainable:
                with contextlib.suppress(WeightsError):
                    return load(_parts_of_0_1)
            raise


def _parts(pretrainer, **others):
    """The parts of a pretrainer as one model, some of them perhaps others."""
    found = {name: getattr(pretrainer, name, None) for name in PARTS} | others
    return as_model(**{n: part for n, part in found.items() if part is not None})


def _parts_of_0_1(pretrainer):
    """As `_parts`; 0.1 kept no averages of a frozen encoder."""
    target = pretrainer.momentum_target
    if target is None:
        return _parts(pretrainer)
    # Keras names what it saves by the class.
    kept = MomentumTarget([], 1.0)
    kept.averages = target.averages_of_trained
    return _parts(pretrainer, momentum_target=kept)


def _objectives():
    return [type(objectives.get(name)) for name in objectives.names()]


def _described(part, classes, *, one_of=()):
    others = [cls for name in one_of for cls in one_of[name]]
    known = ", ".join(cls.__name__ for cls in [*classes, *others])
    only = f"parts of the library are published: {known}"
    return described(part, classes, only=only, one_of=one_of)
