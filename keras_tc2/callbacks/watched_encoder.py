"""Which part of the model that is being trained is the encoder."""


def watched_encoder(model):
    """The `encoder` of a pretrainer, or the model itself where it has none."""
    encoder = getattr(model, "encoder", None)
    return model if encoder is None else encoder
