"""Papers: questions with marks, variants, keys, marking, export to where courses live."""
