#!/bin/sh
# Builds the environment of the image: the locked packages, the project, nothing that only a build needs.
#
#   build_tree.sh SOURCE TARGET PYTHON
#
# SOURCE is a checkout, TARGET the folder of the environment, PYTHON the interpreter it is made for, whose version says
# which of the two locks. The image's Dockerfile runs it, and so does the test that builds the same tree without Docker.
# Needs uv on PATH.
set -eu

source=$1
target=$2
python=$3

case $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') in
  3.11) lock=requirements.txt ;;
  *) lock=requirements-current.txt ;;
esac

uv venv --quiet --python "$python" "$target"
uv pip sync --quiet --require-hashes --python "$target/bin/python" --no-progress "$source/kubeflow/$lock"
uv pip install --quiet --python "$target/bin/python" --no-progress --no-deps "$source"

# TFX and TensorFlow bring these along, and nothing that runs here imports them.
uv pip uninstall --quiet --python "$target/bin/python" \
  jupyterlab notebook nbconvert keyring tensorflow-hub libclang

packages=$(find "$target/lib" -maxdepth 2 -name site-packages)
# Headers and tests of the packages: nothing that runs reads them. Removed, then linked files of uv's cache stay.
rm -rf "$packages/tensorflow/include" "$packages/pyarrow/include" "$packages/pyarrow/tests"
for package in pandas numpy sklearn scipy apache_beam kfp; do
  find "$packages/$package" -type d \( -name tests -o -name test_data -o -name testdata \) -prune \
    -not -path "*/numpy/testing/*" -exec rm -rf {} +
done
find "$target" -type d -name __pycache__ -prune -exec rm -rf {} +
find "$target" -name "*.a" -delete

# Refused here, the build stops: an image that cannot start a component is no image.
"$target/bin/python" -c "import importlib.util as u; assert u.find_spec('pip') is None and u.find_spec('uv') is None"
"$target/bin/dfei" --help >/dev/null
