"""A report as one HTML file that needs nothing else. It draws a Report and reads no file of a study.

Charts are drawn by plotly.js in its basic bundle, one file of 1.2 MB in library/, copied into each report: it draws
lines, points and bars, which is all that is used here, tells which point was hovered over or clicked, works by touch,
and is MIT-licensed. The bundle that the Python package brings is four times as large, and as slow to load.
"""
