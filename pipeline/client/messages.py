"""TensorFlow Serving's gRPC messages, from `serving.proto` beside this file; no TensorFlow needed."""

from __future__ import annotations

from pathlib import Path

from pipeline.client.proto_file import ProtoFile

SERVING = ProtoFile(Path(__file__).with_name("serving.proto"))
PREDICTION_SERVICE = f"{SERVING.package}.PredictionService"
MODEL_SERVICE = f"{SERVING.package}.ModelService"
SIGNATURE_DEF = "signature_def"
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
