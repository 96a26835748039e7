"""The living demonstration: an invented estate, thirty days of its history, and traffic that goes on.

One small file per noun fills in what is its own, with `seed(estate, site)`; `loading` says in which order. A noun that
comes later adds its file and its line there, and what it does while the demonstration runs to `traffic`.
"""
