"""A report as one HTML file that needs nothing else. It draws a Report and reads no file of a study.

Charts are drawn by plotly.js, which the package plotly brings as one file: it has every kind of chart used here, tells
which point was hovered over or clicked, works by touch, and is MIT-licensed.
"""
