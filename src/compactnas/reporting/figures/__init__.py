"""Figures as SVG, drawn by hand: each takes plain values and gives an element."""
