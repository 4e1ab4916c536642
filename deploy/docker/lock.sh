#!/bin/sh
# Pins everything that goes into the images, with hashes. Needs uv. Run it after pyproject.toml changed:
#   deploy/docker/lock.sh
set -eu
cd "$(dirname "$0")/../.."
pin() {
    file=deploy/docker/lock/$1.txt
    shift
    uv pip compile pyproject.toml --quiet --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --custom-compile-command deploy/docker/lock.sh \
        --output-file "$file" "$@"
}
pin embedded --universal
pin playground --universal --extra ui
# vLLM's packages exist for Linux only, so that a universal answer does not
pin vllm --python-platform x86_64-manylinux_2_28 --extra vllm --extra ui
