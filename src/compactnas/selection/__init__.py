"""Choose the network that is worth training among those that searches found: the paper's future work.

Candidates are what one or several searches derived, had derived after each epoch, or believe in (`candidates`); they
are ranked (`rankings`) by the supernet's weights, by proxies that train nothing and by short trainings, on patches that
none of these has seen (`holdout`); and how far the rankings agree is told with an interval (`agreement`).
"""
