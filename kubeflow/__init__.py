"""The pipeline on a cluster: Kubeflow Pipelines packages, the image, serving manifests."""
