"""The Trainer component: transformed rows on disk, training, the exported signatures."""
