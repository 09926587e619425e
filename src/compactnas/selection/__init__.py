"""Select the network to train among those of finished searches: the paper's future work.

Candidates are networks that searches derived at their end or after an epoch, and samples of their alpha (`candidates`).
Rankings (`rankings`) are the accuracy with the supernet's weights, proxies of untrained networks and short trainings,
measured on held-out patches (`holdout`). Kendall's tau with an interval tells how well they agree (`agreement`).
"""
