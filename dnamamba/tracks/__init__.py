"""Tracks, a value a base or an interval of a genome, as files that genome browsers draw."""

from dnamamba.tracks.files import ENDINGS, TrackEnding, TrackFile, ending_of, open_track

__all__ = ["ENDINGS", "TrackEnding", "TrackFile", "ending_of", "open_track"]
