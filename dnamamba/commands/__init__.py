"""What a file becomes: one command a file, named as the command.

A command's file imports at its top what its signature takes; what PyTorch is needed for it imports
where the work begins. So its help, and a mistake in its flags, do not wait for PyTorch.
"""
