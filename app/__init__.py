"""Tuwen: recommendations of picture + title posts, learnt from the feed's own exposure log."""

import os

# Threads that wait for each other must not spin: beside other work on the same cores that takes several times as long.
# OpenMP reads it when torch or FAISS is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
