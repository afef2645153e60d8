"""Artefact + posts -> generation: encode, index, write, swap."""
