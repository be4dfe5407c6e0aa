"""The report: one self-contained HTML page about a job, for whoever has to judge the result."""
