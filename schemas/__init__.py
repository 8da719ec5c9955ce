"""Declarations of the data sets, one YAML file and one TFMD schema (.pbtxt) each."""
