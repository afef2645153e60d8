"""An imported log -> what is visible before a cut and what came after -> figures of the product and its rivals."""
