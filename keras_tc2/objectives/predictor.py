"""The predictor of BYOL, SimSiam and MoCo v3: a small perceptron on embeddings."""

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
