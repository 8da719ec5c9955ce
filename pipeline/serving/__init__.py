"""A model server with TensorFlow Serving's protocol, for development, tests and small deployments.

Production is the `tensorflow/serving` image with the files in `kubeflow/serving/`; this server speaks the same
protocol, so that what works here works there.
"""
