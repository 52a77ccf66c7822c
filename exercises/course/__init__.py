"""Grading a class: many submissions, each in a sandbox, and what comes of it.

Read in this order; each module imports only those above it, and of `grading` what it
needs.

    settings     what an instructor chooses, in one TOML file
    results      what became of one submission: the model that all reports are made from
    scoring      from results to grades
    intake       a folder, zip or tar of somebody's becomes files of steps; safely
    likeness     whether a program is one of the kit's own in disguise
    running      one submission through the grader, and again where it fails
    batch        all submissions, several at a time; resumable
"""
