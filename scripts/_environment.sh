# Sourced by scripts/demo and scripts/test; makes the virtual environment that they run in.
#
#   PYTHON                the Python to start from (default: python3, else python)
#   COMPACTNAS_VENV       where the environment lies (default: .venv in the checkout)
#   COMPACTNAS_PIP_ARGS   more arguments for pip, for example --index-url of a CPU build of torch

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${COMPACTNAS_VENV:-$root/.venv}

fail() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit 2
}

# The Python to start from, checked. Sets: python.
find_python() {
  local found
  python=${PYTHON:-$(command -v python3 || command -v python || true)}
  [ -n "$python" ] || fail "no python3 found; install Python 3.11 or newer, or set PYTHON to one"
  found=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) ||
    fail "$python does not run; set PYTHON to a Python 3.11 or newer"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is Python $found; 3.11 or newer is needed: install one, or set PYTHON to one"
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv), or set PYTHON to a Python that has it"
}

# The folder of a torch that the calling Python can import and that pyproject.toml admits, or nothing.
fitting_torch() {
  "$python" - "$root/pyproject.toml" 2>/dev/null <<'END' || true
import re, sys, tomllib
from importlib.metadata import distribution

with open(sys.argv[1], "rb") as file:
    wanted = next(d for d in tomllib.load(file)["project"]["dependencies"] if d.startswith("torch>="))
low, high = (tuple(map(int, text.split("."))) for text in re.fullmatch(r"torch>=([\d.]+),<([\d.]+)", wanted).groups())
torch = distribution("torch")
version = tuple(map(int, re.match(r"[\d.]+\d", torch.version).group().split(".")))
if low <= version < high:
    print(torch.locate_file(""))
END
}

# Ends with one line if the disk that takes the environment has less than $1 MB.
need_space() {
  local folder=$venv free
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
  [ -z "$free" ] || [ "$free" -ge "$1" ] ||
    fail "disk full: $free MB are free at $folder and the installation needs about $1 MB; free some, or set COMPACTNAS_VENV to a folder on another disk"
}

# Runs a command quietly; ends with one line that says why, if it fails.
logged() {
  local output log=$venv/install.log
  if output=$("$@" 2>&1); then return; fi
  if grep -qi -e 'no space left' -e 'errno 28' -e 'disk quota' <<<"$output"; then
    fail "disk full while installing into $venv; free some space and start again"
  fi
  printf '%s\n' "$output" 2>/dev/null >"$log" || log="not kept"
  fail "installation failed: $(grep -i error <<<"$output" | tail -n 1 | cut -c1-300) (log: $log)"
}

# Makes the environment, or leaves it as it is if it is up to date. $1: the extra to install, "" for none.
prepare_environment() {
  local extra=$1 want torch stamp fresh=--clear started=$SECONDS
  find_python
  want=$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum | cut -d' ' -f1)-$root
  if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    fresh=--upgrade # a whole environment is kept and brought up to date
    # What holds the extra holds the base too.
    for stamp in "$venv/.compactnas-all" "$venv/.compactnas-$extra"; do
      if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
        echo "environment: $venv is up to date"
        return
      fi
    done
  elif [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
    fail "$venv is not a virtual environment; move it away, or set COMPACTNAS_VENV to another folder"
  fi
  torch=$(fitting_torch)
  if [ -n "$torch" ]; then need_space 1000; else need_space 3000; fi
  echo "environment: installing into $venv (some minutes the first time)"
  mkdir -p "$venv" 2>/dev/null || fail "cannot make the folder $venv; set COMPACTNAS_VENV to another one"
  logged "$python" -m venv "$fresh" "$venv"
  cp "$root/constraints.txt" "$venv/constraints.txt"
  if [ -n "$torch" ]; then
    # What the calling Python has comes after what is installed here, as with --system-site-packages,
    # which would not see the packages of a Python that is itself in a virtual environment.
    echo "environment: using the torch in $torch"
    printf '%s\n' "$torch" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/calling-python.pth"
    grep -v '^torch==' "$root/constraints.txt" >"$venv/constraints.txt"
  fi
  # Words of COMPACTNAS_PIP_ARGS are arguments of their own.
  # shellcheck disable=SC2086
  logged "$venv/bin/python" -m pip install --disable-pip-version-check ${COMPACTNAS_PIP_ARGS:-} \
    -c "$venv/constraints.txt" -e "$root${extra:+[$extra]}"
  printf '%s' "$want" >"$venv/.compactnas-$extra"
  echo "environment: installed in $((SECONDS - started)) s"
}
