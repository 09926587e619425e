"""Find a network for a budget within a number of hours: the command `compactnas find`.

A plan (`plan`) is sized from the measured speed of this machine (`speed`) and stored, so that a find can be repeated.
Its stages are searches, random draws within the budget (`pool`), a ranking by the supernets on held-out groups
(`ranking`), short trainings by successive halving on held-out groups (`rungs`), and the training of the winner
(`finals`). `worth` compares them with chance, with intervals over groups.
"""
