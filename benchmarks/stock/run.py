"""Runs the stock pipeline and writes wall and CPU seconds per component: `python -m benchmarks.stock.run CONFIG.json`.

The configuration has `data` (a folder with `train/*.csv` and `eval/*.csv`, already joined), `root`, `output`,
`categories`, `numbers`, `epochs`, `domain`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx
from tfx.orchestration.portable import launcher

MODULE = str(Path(__file__).with_name("module.py"))


def pipeline(config: dict[str, Any]) -> tfx.dsl.Pipeline:
    """CsvExampleGen, StatisticsGen, SchemaGen, Transform, Trainer, Evaluator, Pusher."""
    root = Path(config["root"])
    splits = [
        tfx.proto.Input.Split(name="train", pattern="train/*"),
        tfx.proto.Input.Split(name="eval", pattern="eval/*"),
    ]
    custom = {key: config[key] for key in ("categories", "numbers", "epochs")}
    example_gen = tfx.components.CsvExampleGen(
        input_base=config["data"], input_config=tfx.proto.Input(splits=splits)
    )
    examples = example_gen.outputs["examples"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    schema = schema_gen.outputs["schema"]
    transform = tfx.components.Transform(
        examples=examples, schema=schema, module_file=MODULE, custom_config=custom
    )
    trainer = tfx.components.Trainer(
        module_file=MODULE,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        train_args=tfx.proto.TrainArgs(),
        eval_args=tfx.proto.EvalArgs(),
        custom_config=custom,
    )
    evaluator = tfx.components.Evaluator(
        examples=examples,
        model=trainer.outputs["model"],
        schema=schema,
        eval_config=tfma.EvalConfig(
            model_specs=[tfma.ModelSpec(label_key="is_click", signature_name="serving_default")],
            slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[config["domain"]])],
            metrics_specs=[
                tfma.MetricsSpec(
                    metrics=[
                        tfma.MetricConfig(class_name="ExampleCount"),
                        tfma.MetricConfig(
                            class_name="AUC",
                            threshold=tfma.MetricThreshold(
                                value_threshold=tfma.GenericValueThreshold(lower_bound={"value": 0.5})
                            ),
                        ),
                    ]
                )
            ],
        ),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root / "artifacts"),
        components=[example_gen, statistics_gen, schema_gen, transform, trainer, evaluator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "metadata.sqlite")
        ),
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )


def main() -> None:
    """Runs it, timing every component."""
    config = json.loads(Path(sys.argv[1]).read_text())
    seconds: dict[str, list[float]] = {}
    launch = launcher.Launcher.launch

    def timed(self: launcher.Launcher) -> Any:
        begun, times = time.monotonic(), os.times()
        info = launch(self)
        cpu = sum(os.times()[:4]) - sum(times[:4])
        seconds[self._pipeline_node.node_info.id] = [time.monotonic() - begun, cpu]
        return info

    launcher.Launcher.launch = timed
    tfx.orchestration.LocalDagRunner().run(pipeline(config))
    Path(config["output"]).write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
