"""The command line, the typed configuration, and the chaining of the components."""

import components  # noqa: F401 - first of all, for which Keras there is and how it has TFX imported
