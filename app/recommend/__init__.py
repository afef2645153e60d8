"""References x candidates -> answer: match, filter, rank, diversify, explain, page."""
