"""Drawings of workings as SVG, laid out here: trees, schematics and plots."""
