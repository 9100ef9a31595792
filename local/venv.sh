#!/bin/sh
# Makes the pinned Python environment `.venv` of this checkout. Does nothing, in milliseconds, when it is already right:
# a stamp inside holds the hash of requirements.txt and is written last, so an interrupted run starts over.
# PYTHON names the interpreter to use (3.10 or newer); it is recreated when a refresh of requirements.txt asks for it.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "local/venv.sh: $*" >&2
    exit 1
}

digest() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi < "$1" | cut -c1-64
}

wanted=$(digest local/requirements.txt)
stamp=.venv/tidegate-requirements.sha256
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

new_enough='import sys; sys.exit(sys.version_info < (3, 10))'
python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$new_enough" >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "needs Python 3.10 or newer; found ${PYTHON:-$(python3 --version 2>&1 || echo none)}. Set PYTHON to a newer one."
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    fail "$python cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv)."

echo "Making .venv with $("$python" --version) (once, and when local/requirements.txt changes)"
"$python" -m venv --clear .venv || fail "could not create .venv with $python"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement local/requirements.txt ||
    fail "could not install local/requirements.txt; see the message above."
echo "$wanted" > "$stamp"
