"""The living demonstration: an invented estate, thirty days of its history, and traffic that goes on.

One small file per noun fills in the noun's rows with `seed(estate, site)`; `loading` has their order. A new noun adds
its file and its line there, and to `traffic` what it does while the demonstration runs.
"""
