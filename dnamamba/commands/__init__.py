"""What a file becomes: one command a file, named as the command."""
