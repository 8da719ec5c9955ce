"""The user code of the stock pipeline: Transform and a one-tower model, as TFX's tutorials write them.

It is handed over as `module_file`, so it stands alone.
"""

import os
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from tfx import v1 as tfx
from tfx_bsl.public import tfxio

LABEL = "is_click"
EMBEDDING = 16
BATCH = 512


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """One analyser per column: a vocabulary for categories, a z-score for numbers."""
    outputs = {}
    for name in custom_config["categories"]:
        value = _dense(inputs[name], "" if inputs[name].dtype == tf.string else -1)
        if value.dtype == tf.float32:
            value = tf.strings.as_string(value)
        outputs[name + "_xf"] = tft.compute_and_apply_vocabulary(
            value, num_oov_buckets=1, vocab_filename=name
        )
    for name in custom_config["numbers"]:
        outputs[name + "_xf"] = tft.scale_to_z_score(tf.cast(_dense(inputs[name], 0), tf.float32))
    outputs[LABEL] = tf.cast(_dense(inputs[LABEL], 0), tf.int64)
    return outputs


def _dense(value: Any, default: Any) -> tf.Tensor:
    if isinstance(value, tf.SparseTensor):
        value = tf.sparse.to_dense(
            tf.SparseTensor(value.indices, value.values, [value.dense_shape[0], 1]),
            tf.cast(default, value.dtype),
        )
    return tf.reshape(value, [-1])


def _dataset(files: list[str], accessor: Any, output: tft.TFTransformOutput, batch: int) -> tf.data.Dataset:
    return accessor.tf_dataset_factory(
        files,
        tfxio.TensorFlowDatasetOptions(batch_size=batch, label_key=LABEL, num_epochs=1),
        output.transformed_metadata.schema,
    )


def _model(output: tft.TFTransformOutput, config: dict[str, Any]) -> keras.Model:
    inputs: dict[str, Any] = {}
    parts: list[Any] = []
    for name in config["categories"]:
        inputs[name + "_xf"] = keras.Input((1,), name=name + "_xf", dtype=tf.int64)
        size = output.vocabulary_size_by_name(name) + 1
        parts.append(keras.layers.Flatten()(keras.layers.Embedding(size, EMBEDDING)(inputs[name + "_xf"])))
    for name in config["numbers"]:
        inputs[name + "_xf"] = keras.Input((1,), name=name + "_xf")
        parts.append(inputs[name + "_xf"])
    hidden = keras.layers.Concatenate()(parts)
    for units in (128, 64, 32):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=[keras.metrics.AUC()])
    return model


def run_fn(fn_args: tfx.components.FnArgs) -> None:
    """Trains and exports with a signature over serialized examples."""
    output = tft.TFTransformOutput(fn_args.transform_output)
    model = _model(output, fn_args.custom_config)
    train = _dataset(fn_args.train_files, fn_args.data_accessor, output, BATCH)
    evaluation = _dataset(fn_args.eval_files, fn_args.data_accessor, output, BATCH)
    model.fit(train, validation_data=evaluation, epochs=fn_args.custom_config["epochs"], verbose=2)
    model.tft_layer = output.transform_features_layer()
    spec = output.raw_feature_spec()
    spec.pop(LABEL)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = model.tft_layer(tf.io.parse_example(examples, spec))
        transformed.pop(LABEL, None)
        return {"output": model(transformed)}

    model.save(fn_args.serving_model_dir, save_format="tf", signatures={"serving_default": serve})
