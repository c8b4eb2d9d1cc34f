"""The jobs that ``jobs_gpu.py`` times: inputs, how each is run, what checks its result."""
