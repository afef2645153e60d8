"""Measuring, checking and packing Tuwen; nothing here is needed to run it."""

import app  # noqa: F401 - first of all: it says how threads wait, which is read when torch or FAISS is loaded
