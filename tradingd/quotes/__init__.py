"""1. What the market says.

    core       decides    marks, bars, sessions, staleness      (marks, bars, sessions, settings beside it)
    door       judges     what may come in, and conflation while there is no room
    feed       the edge   calendar and history by REST, one socket per market  (stream, intake, history, wire)

The edge only states facts; whoever replays the log replays the core with the very quotes the door let in.
"""
