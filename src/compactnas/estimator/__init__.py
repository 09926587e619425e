"""Classifier with the interface of scikit-learn, for notebooks and scripts."""
