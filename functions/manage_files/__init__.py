"""Run jobs on slides' files, and request once a day the jobs that are due by age."""
