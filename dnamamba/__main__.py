"""``python -m dnamamba`` is the command ``dnamamba``."""

from dnamamba.cli.process import program

if __name__ == "__main__":
    program()
