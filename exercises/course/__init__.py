"""Grading a class: many submissions, each in a sandbox, and what comes of it.

Read in this order; each module imports only those above it, and of `grading` what it
needs.

    settings     what an instructor chooses, in one TOML file
    results      what became of one submission: the model that all reports are made from
    scoring      from results to grades
    archives     what is in a folder, zip or tar of somebody's; nothing is unpacked
    intake       which of that are files of steps, and what is left aside
    likeness     whether a program is one of the kit's own in disguise
    comparing    asks that in a process of its own, which may die of what it reads
    pytests      pytest as a process that grades; servers: such that are kept and fork
    workers      which of them runs the tests
    running      one step of a submission through the grader, and again where it fails
    working      the folder for what does not stay; one batch at a time
    batch        all submissions, several steps at a time; resumable

Reports, all from results and grades, none by running anything:

    analysis     what a whole class shows: where it is stuck, which tests are hard
    nearest      which of the kit's wrong programs a step is most like
    telling      results in words; names of students, made harmless
    sheets       grades, tests and flags as CSV; junit: as JUnit XML
    markup       the templates of pages; student_page, class_page: what they show
    reports      all of it into one folder

Grading where somebody else's platform runs us:

    single       one submission: results that grow, as it may end us at any time
    feedback     what a student reads of a test there; markdown: where that is Markdown
    bundle       what is needed of the kit elsewhere, from lists of what goes along
    gradescope   what Gradescope reads, and the zip for it; gradescope_run: runs there
    classroom50  the same for Classroom 50; actions: for GitHub Actions
    handout      what students get: no answers

    cli          the commands; choices: which steps, what settings
    command      grade; making: handout, gradescope, classroom50, actions
"""
