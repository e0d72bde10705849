"""The invariants of the system, asserted from outside at every word and every request, and at rest.

    orders   each order once, each execution once, children within their parent        I1 I3 I4 I7 I11
    levels   nothing opens while the system is held; a halt holds through crashes       I8 I9
    gate     worst-case exposure within the limits, counted from approval              I6 I10
    life     nothing dies unnoticed, nothing overflows, alerts come in time            I13 I17 I18
    rest     books equal, log replayable, no secret told                               I2 I5 I14 I15 I16 I20

They keep their own books from the facts alone, so that an error of the system cannot hide in them.
"""
