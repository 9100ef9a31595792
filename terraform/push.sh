#!/usr/bin/env bash
# Pushes the worker's image to the repository that an environment has made, and prints the reference by digest that goes into
# the environment's variable `worker_image`. Called by `make push`; alone: IMAGE=tidegate-worker:TAG terraform/push.sh dev
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment=${1:?name an environment: dev, test or prod}
image=${IMAGE:?IMAGE names the image that make image has built}
tag=${TAG:-${image##*:}}
docker=${DOCKER:-docker}

repository=$(terraform -chdir="terraform/environments/$environment" output -json worker | sed -n 's/.*"repository_url":"\([^"]*\)".*/\1/p')
if [ -z "$repository" ]; then
    echo "terraform/push.sh: $environment has made no repository: apply it first, with workers_enabled" >&2
    exit 1
fi
registry=${repository%%/*}
region=$(cut -d. -f4 <<<"$registry")

aws ecr get-login-password --region "$region" | "$docker" login --username AWS --password-stdin "$registry" >&2
"$docker" tag "$image" "$repository:$tag"
"$docker" push "$repository:$tag" >&2
# By digest and not by tag: what runs is then what was pushed, whatever is pushed later.
"$docker" inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$repository:$tag" | grep -F "$repository@"
