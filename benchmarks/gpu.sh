#!/usr/bin/env bash
# What a GPU gives, in eight minutes: benchmarks/gpu.py with an environment to run in. Without a GPU it takes small
# sizes on the CPU, in less than a minute.
#
#   benchmarks/gpu.sh [--minutes 8] [--json gpu.json] ...
#
# PYTHON names the Python to run; one that lacks packages is replaced by the environment of scripts/_environment.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/_environment.sh"
find_python
export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}
if ! "$python" -c 'import compactnas.search.searcher, lightning_fabric' 2>/dev/null; then
  prepare_environment ""
  python=$venv/bin/python
fi
exec "$python" "$root/benchmarks/gpu.py" "$@"
