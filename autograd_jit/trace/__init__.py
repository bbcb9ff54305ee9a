"""Tracing: boxes and levels, reverse and forward mode, the recorder and its tape."""
