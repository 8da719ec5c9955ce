"""The limit that serving is compared with: a loop around the exported `tf.function`, in a process of its own.

Reads `{"request": FILE, "calls": K}` lines, FILE a serialized predict request, and answers each with the seconds of
every call.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import tensorflow as tf

from pipeline.client import tensors
from pipeline.client.messages import SERVING


def main(directory: str) -> None:
    """Answers until its standard input ends."""
    loaded = tf.saved_model.load(directory)
    call = loaded.signatures["serving_default"]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        request = SERVING["PredictRequest"].FromString(Path(asked["request"]).read_bytes())
        inputs = {name: tf.constant(tensors.to_array(tensor)) for name, tensor in request.inputs.items()}
        seconds = []
        for _ in range(asked["calls"]):
            begun = time.perf_counter()
            call(**inputs)["click_probability"].numpy()
            seconds.append(time.perf_counter() - begun)
        sys.stdout.write(json.dumps(seconds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
