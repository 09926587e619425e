"""Draw figures as SVG. Each function takes plain values and returns an element."""
