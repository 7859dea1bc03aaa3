"""States of a recipe: structures, conformations and compositions, with their collective variables."""
