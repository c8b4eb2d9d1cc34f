"""What the runs gave, as tables and a picture."""
