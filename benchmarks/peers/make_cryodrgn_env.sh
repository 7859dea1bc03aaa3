#!/bin/sh
# Make an environment of its own for cryoDRGN 4.3.1, which wants NumPy 1.26.
#
#   benchmarks/peers/make_cryodrgn_env.sh FOLDER [PYTHON]
#
# FOLDER must lie outside the repository and not exist yet; PYTHON (default python3.11) must be 3.10 or 3.11.
# Torch comes first and is pinned, because cryoDRGN itself would take whatever is newest.
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
"$folder/bin/python" -m pip install "torch==2.13.0"
"$folder/bin/python" -m pip install "cryodrgn==4.3.1" "numpy<1.27" "torch==2.13.0"
"$folder/bin/python" -c "import cryodrgn, numpy, torch; print('cryodrgn', cryodrgn.__version__, 'numpy', numpy.__version__, 'torch', torch.__version__)"
echo "cryoDRGN's commands are in $folder/bin"
