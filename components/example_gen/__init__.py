"""ExampleGen for declared data sets: logs and lookups in, tf.Examples split by time out."""
