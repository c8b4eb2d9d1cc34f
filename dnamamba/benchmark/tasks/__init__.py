"""What is measured: tasks, their files, and what their splits share."""
