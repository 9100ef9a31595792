#!/bin/sh
# Makes `.venv-terraform`: checkov and parliament (PyPI), asl-validator (npm), every version pinned in tools/. Does nothing, in
# milliseconds, when it is already right: a stamp inside holds the hashes and is written last.
set -eu
cd "$(dirname "$0")/../.."
tools=tests/terraform/tools
home=.venv-terraform

fail() {
    echo "tests/terraform/tools.sh: $*" >&2
    exit 1
}

digest() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi < "$1" | cut -c1-64
}

wanted="$(digest $tools/requirements.txt) $(digest $tools/package-lock.json)"
stamp=$home/tidegate-tools.sha256
if [ -x $home/bin/python ] && [ "$(cat $stamp 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi
command -v npm >/dev/null 2>&1 || fail "needs npm (Node.js 18 or newer), for asl-validator"

# venv.sh has found an interpreter that is new enough.
sh local/venv.sh
echo "Making $home (once, and when $tools changes)"
.venv/bin/python -m venv --clear $home || fail "could not create $home"
$home/bin/python -m pip install --quiet --disable-pip-version-check --requirement $tools/requirements.txt ||
    fail "could not install $tools/requirements.txt; see the message above"
mkdir -p $home/npm
cp $tools/package.json $tools/package-lock.json $tools/.npmrc $home/npm/
(cd $home/npm && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || fail "could not install $tools/package-lock.json"
echo "$wanted" > $stamp
