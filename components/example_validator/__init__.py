"""ExampleValidator that stops the run on anomalies, with a readable message."""
