"""The grader's harness: real programs, real sockets, and a record of what happened.

Read in this order; each module imports only those above it:

    deadlines    how long to wait for what
    transcript   what happened: an append-only list of events
    rendering    events and program output as plain text
    mismatch     the one exception: expected this, got that
    processes    the family of a process, and its end
    output       what a program printed on one stream
    program      one program under test: start, read, type, signal, stop
    people       one TCP connection in a test, and a listener for client programs
    harness      all of it together, torn down in the right order
    fixtures     the pytest fixture (the only module that knows pytest)

Nothing here sleeps, imports a program under test, or leaves this machine.
"""
