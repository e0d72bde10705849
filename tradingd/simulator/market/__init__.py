"""The market of the simulator: a seeded day of fictional companies and one coin pair.

events      what a market says
universe    who trades          scenarios   in which mood
prices      where the fair price goes
generator   quotes and prints of the day
history     bars of the two days before
minutes     minute bars out of prints      spans   longer bars out of them
"""
