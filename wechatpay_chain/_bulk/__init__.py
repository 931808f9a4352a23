"""Bulk jobs: one operation for each line of a file, each line once, also if the process is killed and started again."""
