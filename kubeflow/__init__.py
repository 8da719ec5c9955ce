"""The pipeline on a cluster: Kubeflow Pipelines packages, the image, serving manifests."""

import components  # noqa: F401 - first of all, for how it has TFX imported
