"""The grader: real programs, real sockets, and a record of what happened.

Read in this order; each module imports only those above it.

What happened, and how it is told:

    deadlines    how long to wait for what
    transcript   what happened: an append-only list of events
    story        the report model: one failed expectation and all that led to it
    rendering    events and program output as plain text
    diagnosis    what is wrong with a program itself, in sentences
    diagram      who sent what to whom, laid out, and as text; drawing: as SVG
    shell        what is typed into a shell, quoted; by_hand: a story, to see it by hand
    report       the whole report, as text
    gist         what it says in short, without what differs from run to run
    mismatch     the one exception: expected this, got that

The harness, which plays people and runs programs:

    processes    the family of a process, and its end; spawning: its beginning
    activity     whether a program does anything
    limits       how much a program of a stranger may use
    orphans      processes that lose their parents become ours
    walls        a sandbox, and the programs in it; forkserver: who starts them there
    confinement  walls and limits for programs of strangers
    output       what a program printed on one stream; ready: its ready line
    keyboard     what is typed to a program
    control      where its threads stand; launcher: the other end, inside the program
    systems      what the launcher can make a program believe to run on
    program      one program under test: start, read, type, signal, stop
    people       one TCP connection in a test, and a listener for client programs
    harness      all of it together, torn down in the right order

Grading:

    steps        the steps, read from their folders; manifest: their tests
    grader       a harness that knows a step; decoding: the same for a module (step 03)
    points       what was earned; progress: the memory of it
    pages        the report as a page
    fixtures     the pytest fixture of the harness
    facts        what a grading process says of a test, as a line of JSON
    lifeline     ends it with whoever has started it
    serving      tests that are collected once, and run in a fork again and again
    messages     between two processes: JSON, and open files with it
    network      a network with nothing but loopback in it
    plugin       options, points, reports: all of the above, for pytest

The guide, `python exercises`:

    places       how paths and commands are shown
    kit          the steps and what was reached, for the commands
    overview     the path; aids: hint, reset, show; watch: grade at every save
    guide        the command line

Nothing here sleeps, imports a program under test, or leaves this machine.
"""
