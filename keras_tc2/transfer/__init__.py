"""Measuring transfer: features, protocols on them, and reports."""

from keras_tc2.reporting.comparison import Comparison, Difference
from keras_tc2.reporting.report import TransferReport
from keras_tc2.transfer import merge, scores
from keras_tc2.transfer.choose_ensemble import EnsembleChoice, choose_ensemble
from keras_tc2.transfer.classifiers.fine_tuning import fine_tune
from keras_tc2.transfer.classifiers.residual_feature import ResidualFeatureClassifier
from keras_tc2.transfer.classifiers.selective_attention import (
    SelectiveAttentionClassifier,
)
from keras_tc2.transfer.compare_encoders import compare_encoders
from keras_tc2.transfer.detection import detector
from keras_tc2.transfer.evaluate import evaluate
from keras_tc2.transfer.features.extraction import extract_features
from keras_tc2.transfer.features.geometry import (
    alignment,
    effective_rank,
    relative_std,
    uniformity,
)
from keras_tc2.transfer.protocols.clustering import Clustering, cluster_nmi
from keras_tc2.transfer.protocols.dense_probe import dense_probe
from keras_tc2.transfer.protocols.domain_adaptation import (
    DomainAdaptation,
    adapt_to_domains,
)
from keras_tc2.transfer.protocols.few_shot import FewShot, few_shot
from keras_tc2.transfer.protocols.fine_tuning import FineTuning
from keras_tc2.transfer.protocols.knn import KNN, knn_accuracy
from keras_tc2.transfer.protocols.linear_probe import LinearProbe, linear_probe
from keras_tc2.transfer.protocols.out_of_distribution import (
    OutOfDistribution,
    leave_one_domain_out,
)
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.retrieval import Retrieval, retrieval
from keras_tc2.transfer.protocols.score import Score
from keras_tc2.transfer.protocols.semi_supervised import SemiSupervised, semi_supervised
from keras_tc2.transfer.rank_encoders import EncoderRanking, rank_encoders
from keras_tc2.transfer.registry import protocol_names
from keras_tc2.transfer.video import (
    Clip,
    LabelPropagation,
    VideoSet,
    label_propagation,
    moving_clips,
    propagation_figure,
    read_davis,
)

__all__ = [
    "KNN",
    "Clip",
    "Clustering",
    "Comparison",
    "Difference",
    "DomainAdaptation",
    "EncoderRanking",
    "EnsembleChoice",
    "FewShot",
    "FineTuning",
    "LabelPropagation",
    "LinearProbe",
    "OutOfDistribution",
    "Protocol",
    "ResidualFeatureClassifier",
    "Retrieval",
    "Score",
    "SelectiveAttentionClassifier",
    "SemiSupervised",
    "TransferReport",
    "VideoSet",
    "adapt_to_domains",
    "alignment",
    "choose_ensemble",
    "cluster_nmi",
    "compare_encoders",
    "dense_probe",
    "detector",
    "effective_rank",
    "evaluate",
    "extract_features",
    "few_shot",
    "fine_tune",
    "knn_accuracy",
    "label_propagation",
    "leave_one_domain_out",
    "linear_probe",
    "merge",
    "moving_clips",
    "propagation_figure",
    "protocol_names",
    "rank_encoders",
    "read_davis",
    "relative_std",
    "retrieval",
    "scores",
    "semi_supervised",
    "uniformity",
]


def __dir__() -> list[str]:
    return __all__
