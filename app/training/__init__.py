"""Samples -> artefact: fit, evaluate, publish; the sidecar's loop."""
