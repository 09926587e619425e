"""Train networks: optimiser steps, augmentation, targets, and a loop that can be interrupted."""
