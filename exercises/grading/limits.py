"""How much a program may use when it is confined: every number in one place.

Far more than a good program of an exercise needs, and far less than a bad one needs
to harm the machine. The launcher sets what the system can watch (setrlimit(2)); the
grader counts the rest itself, many times a second.
"""

MB = 1024 * 1024

MEMORY = 512 * MB  # bytes resident in all its processes together; counted
PROCESSES = 64  # at a time, of the program and all it has started; counted
THREADS = 512  # at a time, in all of them together; counted
SECONDS = 3  # of processor time, of all of them together; counted
ENTRIES = 2000  # files and folders that it has made; counted
LOOK = 0.1  # seconds between two counts
LOOK_AGAIN = 0.2  # the same, as long as nothing changes

DISK = 16 * MB  # bytes in its folder and in each folder for temporary files
WRITES = 16 * MB  # bytes in one file
FILES = 1024  # files and sockets that are open at a time, in each process
PROCESSOR = 60  # seconds of processor time, of each process, if nobody counts
DATA = 2048 * MB  # bytes of memory of its own, the stacks of threads included

TO_SET = f"FSIZE={WRITES},NOFILE={FILES},CPU={PROCESSOR},DATA={DATA},CORE=0"
