"""What several actors must know, implemented once; each actor holds its own instance. Pure.

positions    quantity, cost and owners of what is held, after every kind of fact that changes them
permissions  level, sessions, halts, staleness, stopped strategies: what may be done now
ids          the only place that puts an order id together or takes it apart
"""
