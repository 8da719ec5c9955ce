"""The limit that serving is compared with: a loop around the exported `tf.function`, in a process of its own.

Reads `{"rows": N, "domains": D, "calls": K}` lines and answers each with the seconds of every call.
"""

from __future__ import annotations

import json
import sys
import time

import tensorflow as tf

from benchmarks.serving_model import feature_columns


def main(directory: str) -> None:
    """Answers until its standard input ends."""
    loaded = tf.saved_model.load(directory)
    call = loaded.signatures["serving_default"]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        tensors = {
            name: tf.constant(column)
            for name, column in feature_columns(asked["rows"], asked["domains"]).items()
        }
        seconds = []
        for _ in range(asked["calls"]):
            begun = time.perf_counter()
            call(**tensors)["click_probability"].numpy()
            seconds.append(time.perf_counter() - begun)
        sys.stdout.write(json.dumps(seconds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
