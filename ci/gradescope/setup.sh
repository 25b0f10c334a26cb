#!/usr/bin/env bash
# Gradescope runs this once, while it builds the image: installs the toolchain, and builds everything for the stubs, so
# that a submission costs its own files alone.
set -euo pipefail
autograder=${AUTOGRADER:-/autograder}
mkdir -p "$autograder/workbook"
tar -xzf "$autograder/source/workbook.tar.gz" -C "$autograder/workbook"
cd "$autograder/workbook"
./learn --install-only --yes
./learn list >/dev/null  # builds the tool; its failure must not look like a grade
mapfile -t exercises <"$autograder/source/exercises"
./learn grade --yes ${exercises[@]+"${exercises[@]}"} >/dev/null || (($? == 1))  # the stubs fail
