"""Grades a submission for Classroom 50: the runner starts it in the learner's checkout and reads ./result.json.

EXERCISES beside this file names what is graded, one number or name a line; without that file it is everything.
"""

import pathlib
import subprocess
import sys

chosen = pathlib.Path(__file__).parent / "EXERCISES"
exercises = chosen.read_text().split() if chosen.exists() else []
status = subprocess.call(["./learn", "grade", "--yes", "--report", "classroom50=result.json", *exercises])
# 1 is a grade; the runner takes any status but 0 for a grader that broke.
sys.exit(0 if status <= 1 else status)
