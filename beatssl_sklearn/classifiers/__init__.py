"""Classifiers that read embeddings, and those of scikit-learn that files may hold."""

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ..components import register_foreign
from .age_sex import AgeSexRegressor
from .file_checks import check_logistic, check_naive_bayes, check_pca, check_perceptron, check_pipeline, check_scaler
from .label_classifier import LabelClassifier
from .patient_identifier import PatientIdentifier

__all__ = ["AgeSexRegressor", "LabelClassifier", "PatientIdentifier"]

_LINEAR = ("coef_", "intercept_", "classes_", "n_iter_", "n_features_in_")
register_foreign(LogisticRegression, _LINEAR, check_logistic)
register_foreign(StandardScaler, ("mean_", "var_", "scale_", "n_samples_seen_", "n_features_in_"), check_scaler)
register_foreign(
    PCA,
    (
        *("components_", "mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_"),
        *("n_components_", "noise_variance_", "n_features_in_"),
    ),
    check_pca,
)
register_foreign(
    GaussianNB,
    ("theta_", "var_", "class_prior_", "class_count_", "classes_", "epsilon_", "n_features_in_"),
    check_naive_bayes,
)
register_foreign(
    MLPClassifier,
    ("coefs_", "intercepts_", "classes_", "n_outputs_", "n_layers_", "out_activation_", "n_features_in_"),
    check_perceptron,
)
register_foreign(Pipeline, (), check_pipeline)
