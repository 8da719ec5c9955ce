"""What Beam opens for the processes of one machine is not heard on others."""

from __future__ import annotations

import os

import apache_beam as beam
import psutil
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import worker_handlers

from components import beam_jobs
from components.stack import LOCAL_RUNNER


class Parents(beam.DoFn):
    """Leaves where the process that started the job listens."""

    def __init__(self, parent: int, path: str) -> None:
        self._parent, self._path = parent, path

    def process(self, _: int) -> None:
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(self._parent).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        with open(self._path, "w") as file:  # noqa: PTH123 - pickled as it is
            file.write("\n".join(listening))


def test_workers_of_this_machine_are_reached_on_it_alone(tmp_path) -> None:
    usual = worker_handlers.grpc
    found = tmp_path / "found"
    args = [
        f"--runner={LOCAL_RUNNER}",
        "--direct_running_mode=multi_threading",
        "--direct_num_workers=2",
        "--environment_type=LOOPBACK",
    ]
    run = beam_jobs.beam_runner(lambda: beam.Pipeline(options=PipelineOptions(args)))
    run([1, 2], Parents(os.getpid(), str(found)))
    addresses = found.read_text().split()
    assert addresses
    assert not {"::", "0.0.0.0"} & set(addresses)
    assert worker_handlers.grpc is usual
