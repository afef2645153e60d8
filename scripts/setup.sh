#!/bin/sh
# Find a Python and let it set up .venv: scripts/setup.sh packages|runtime|traces|dev|bench
# 3.11 comes first: the locks were made and tested with it.
cd "$(dirname "$0")/.." || exit 1
too_bare=""
for python in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
            exec "$python" scripts/environment.py "$@"
        fi
        too_bare="$python"
    fi
done
if [ -n "$too_bare" ]; then
    echo "tuwen: $too_bare has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv) and try again" >&2
else
    echo "tuwen: no Python 3.11 or newer on the PATH; install one, or name it: make PYTHON=/path/to/python3" >&2
fi
exit 1
