#!/bin/sh
# Make an environment of its own for DADApy 0.3.4, which wants NumPy 1.26.
#
#   benchmarks/peers/make_dadapy_env.sh FOLDER [PYTHON]
#
# FOLDER must lie outside the repository and not exist yet; PYTHON (default python3.11) must be 3.10 or 3.11.
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
"$folder/bin/python" -m pip install "numpy==1.26.4" "dadapy==0.3.4"
"$folder/bin/python" -c "import importlib.metadata as m; print('dadapy', m.version('dadapy'), 'numpy', m.version('numpy'))"
echo "Make the golden files with: $folder/bin/python benchmarks/peers/ask_dadapy.py"
