"""Grades a submission for Classroom 50: the runner starts it in the learner's checkout and reads ./result.json.

EXERCISES beside this file names what is graded, one number or name a line; without that file it is everything.
"""

import pathlib
import subprocess
import sys

chosen = pathlib.Path(__file__).parent / "EXERCISES"
exercises = chosen.read_text().split() if chosen.exists() else []
result = pathlib.Path("result.json")
result.unlink(missing_ok=True)  # one that was handed in is no grade
status = subprocess.call(["./learn", "grade", "--yes", "--report", "classroom50=result.json", *exercises])
# 1 is a grade, if there is a result; the runner takes any status but 0 for a grader that broke.
sys.exit(0 if status <= 1 and result.exists() else max(status, 1))
