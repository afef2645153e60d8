"""Log in: posts, pictures, users, exposures and behaviours; files and HTTP end in the same functions."""
