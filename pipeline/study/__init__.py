"""`dfei study`: the paper's open questions, each a series of comparisons that anyone can repeat."""
