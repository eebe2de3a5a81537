"""Annotation formats of other tools, one file a format, which reads it into a data set of ours or writes it."""
