#!/usr/bin/env bash
# Run once by Gradescope, as root, when it builds the image of this autograder.
# bubblewrap builds the walls around students' programs, where the system lets it.
set -euo pipefail
root=${AUTOGRADER_ROOT:-/autograder}

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv bubblewrap

python3 -m venv "$root/venv"
"$root/venv/bin/python" -m pip install --requirement "$root/source/requirements.txt"

# Of no use to anybody but the grader.
chmod -R go-rwx "$root/source"
