"""User -> reference posts: own, of behaviour peers, of attribute peers, of the session."""
