"""A small job board to practise on: a real web site with the manners, and the bad days, of the big ones."""
