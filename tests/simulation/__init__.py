"""Hours of bad luck in seconds: the whole system and a local Alpaca in one virtual time, replayable from a seed.

    script      what goes wrong and when, drawn from the seed in swarms
    ground      the market, the account and what the actors are told
    wishes      a strategy that wants much, and much at the same instant
    life        one process of the daemon, from recovery to its crash; its ports die with it
    disk        the order log on a disk that loses what was not synced
    people      what persons, venue and companies do meanwhile
    wire        the network between system and broker, and what it does to bytes
    weather     which trouble hits which request and which frame
    laws/       the invariants, asserted at every step, and at rest
    session     lives one after another under one broker, and the books at the end
    crew        many sessions in several processes, and a crash at every step of one (`steps`)
    shrink      the shortest list of troubles that still breaks a law
    planted     known bugs, to prove that the laws would see them

Nothing here is part of a running system.
"""
