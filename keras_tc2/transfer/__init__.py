"""Measuring transfer: features, protocols on them, and reports."""

from keras_tc2.transfer import merge, scores
from keras_tc2.transfer.choose_ensemble import EnsembleChoice, choose_ensemble
from keras_tc2.transfer.clustering import Clustering, cluster_nmi
from keras_tc2.transfer.compare_encoders import compare_encoders
from keras_tc2.transfer.comparison import Comparison, Difference
from keras_tc2.transfer.dense_probe import dense_probe
from keras_tc2.transfer.detection import detector
from keras_tc2.transfer.domain_adaptation import DomainAdaptation, adapt_to_domains
from keras_tc2.transfer.evaluate import evaluate
from keras_tc2.transfer.features import extract_features
from keras_tc2.transfer.few_shot import FewShot, few_shot
from keras_tc2.transfer.fine_tuning import FineTuning, fine_tune
from keras_tc2.transfer.geometry import (
    alignment,
    effective_rank,
    relative_std,
    uniformity,
)
from keras_tc2.transfer.knn import KNN, knn_accuracy
from keras_tc2.transfer.linear_probe import LinearProbe, linear_probe
from keras_tc2.transfer.out_of_distribution import (
    OutOfDistribution,
    leave_one_domain_out,
)
from keras_tc2.transfer.protocol import Protocol
from keras_tc2.transfer.protocols import protocol_names
from keras_tc2.transfer.rank_encoders import EncoderRanking, rank_encoders
from keras_tc2.transfer.report import TransferReport
from keras_tc2.transfer.residual_feature import ResidualFeatureClassifier
from keras_tc2.transfer.retrieval import Retrieval, retrieval
from keras_tc2.transfer.score import Score
from keras_tc2.transfer.selective_attention import SelectiveAttentionClassifier
from keras_tc2.transfer.semi_supervised import SemiSupervised, semi_supervised
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
