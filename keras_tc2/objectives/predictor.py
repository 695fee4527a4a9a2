"""The predictor of BYOL, SimSiam and MoCo v3: a small perceptron on embeddings."""

from keras_tc2.checks import integer
from keras_tc2.layers import ProjectionHead


def make_predictor(embedding_dim, *, hidden_dim, batch_normalization, synchronized):
    """Dense, (batch normalisation), ReLU, dense: from embeddings to embeddings."""
    return ProjectionHead(
        embedding_dim,
        hidden_dim=hidden_dim,
        batch_normalization=batch_normalization,
        synchronized=synchronized,
        name="predictor",
    )


def checked_hidden_dim(hidden_dim):
    """Returns `hidden_dim`, `None` or an integer >= 1, or raises `ValueError`."""
    return hidden_dim if hidden_dim is None else integer("hidden_dim", hidden_dim)
