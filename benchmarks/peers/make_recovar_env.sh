#!/bin/sh
# Make an environment of its own for recovar 1.0.5, which wants NumPy 2.0 to 2.2 and JAX 0.9.0.1 (here for the CPU).
#
#   benchmarks/peers/make_recovar_env.sh FOLDER [PYTHON]
#
# FOLDER must lie outside the repository and not exist yet; PYTHON (default python3.11) must be one that recovar has a
# wheel for: 3.11 or 3.12. recovar pins its own dependencies, JAX included; jaxlib from PyPI runs on the CPU.
set -eu

if [ $# -lt 1 ]; then
    echo "usage: $0 FOLDER [PYTHON]" >&2
    exit 2
fi
folder=$1
python=${2:-python3.11}
if [ -e "$folder" ]; then
    echo "$0: $folder exists already; remove it or name another folder" >&2
    exit 2
fi

"$python" -m venv "$folder"
"$folder/bin/python" -m pip install "recovar==1.0.5"
JAX_PLATFORMS=cpu "$folder/bin/python" -c "import recovar, jax, numpy; print('recovar', recovar.__version__, 'jax', jax.__version__, 'numpy', numpy.__version__, jax.devices())"
echo "recovar's commands are in $folder/bin"
