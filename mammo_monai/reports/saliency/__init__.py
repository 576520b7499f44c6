"""Saliency maps on films: colours, pictures, the notes beside them, cards and pages."""
