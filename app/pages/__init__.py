"""Pages for people: the admin console and the demo feed."""
