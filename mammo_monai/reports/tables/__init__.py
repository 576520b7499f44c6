"""Tables of figures as text cells: of runs, folds, operating points, and in the papers' own layout."""
