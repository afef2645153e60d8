"""Tuwen: recommendations of picture + title posts, learnt from the feed's own exposure log."""
