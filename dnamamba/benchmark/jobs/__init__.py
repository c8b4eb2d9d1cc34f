"""What a run is told: the job, the recipe of fine-tuning, where it works."""
