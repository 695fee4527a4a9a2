"""What can be wrong with a published folder; each error says what to do next."""


class FolderError(ValueError):
    """A folder or repository that cannot be loaded."""


class NotAnEncoderError(FolderError):
    """It holds something other than a keras_tc2 encoder."""


class UnsafeFileError(FolderError):
    """A file that no `save_pretrained` writes; it was not read."""


class ConfigError(FolderError):
    """`config.json` does not describe an encoder that this version can build."""


class WeightsError(FolderError):
    """The weights are damaged, or not those of the encoder that is described."""


class HubError(OSError):
    """The Hub did not give, or did not take, what was asked."""
