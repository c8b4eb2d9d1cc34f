"""The flag of a dry run, alike for all commands that have one."""

__all__ = ["ABOUT", "DRY", "FLAGS"]

DRY = "dry_run"
FLAGS = ("--dry_run", "--dry-run")
ABOUT = (
    "Check every file as the command itself does, work for some seconds, say how much there is to "
    "do and about how long it will take, and write nothing."
)
