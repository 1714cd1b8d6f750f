"""Checks of the C sources by reading them: layers, lists, sizes, shape."""

import os
import re

# An include may name a folder of the same rank or a lower one.
RANK = {
    "base": 0, "conf": 1, "filter": 1, "store": 2, "storage-backends": 2, "coord": 2, "repo": 3,
    "source": 4, "record": 4, "job": 5, "runbook": 6, "sched": 6, "report": 6, "cmd": 7,
}
# Same rank, yet strangers.
APART = {("conf", "filter"), ("filter", "conf")}
# Below these, configuration arrives as values.
MAY_SEE_CONF = {"conf", "job", "runbook", "sched", "report", "cmd"}
MAY_PRINT = {"job", "runbook", "sched", "report", "cmd"}

FILE_LINES = 600
FUNCTION_LINES = 80
# People aim at 100; eight more are suffered where a message would have to be cut in two, because
# people look for messages with grep.
COLUMNS = 108
TAB = 8

PRODUCT = ("src", "storage-backends")
C_FOLDERS = ("src", "storage-backends", "tests")


def folder_of(name):
    parts = name.split("/")
    return parts[1] if parts[0] == "src" else parts[0]


def layers(tree):
    """includes carry their folder and go down the layers"""
    found = []
    for name in tree.files((".c", ".h"), PRODUCT):
        here = folder_of(name)
        if here not in RANK:
            found.append("%s: folder '%s' has no layer in tests/hygiene/source.py" % (name, here))
            continue
        for number, line in enumerate(tree.lines(name), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            where = "%s:%d: include \"%s\"" % (name, number, match.group(1))
            there = match.group(1).split("/")[0]
            if "/" not in match.group(1) or there not in RANK:
                found.append(where + " names no layer, expected \"folder/file.h\"")
            elif RANK[there] > RANK[here]:
                found.append("%s goes up from %s/ to %s/" % (where, here, there))
            elif (here, there) in APART:
                found.append("%s: %s/ and %s/ do not know each other" % (where, here, there))
            elif there == "conf" and here not in MAY_SEE_CONF:
                found.append("%s: below job/ configuration arrives as values" % where)
    return found


def listed(tree):
    """every source is named in Makefile.am, and every name there exists"""
    text = tree.read("Makefile.am")
    # "tests/unit/test_x" in a list of programs stands for its .c file.
    words = set(re.findall(r"[\w./@-]+", "\n".join(
        line for line in text.splitlines() if not line.startswith("#"))))
    found = []
    for name in tree.files((".c", ".h"), C_FOLDERS):
        if name not in words and name[:-2] not in words:
            found.append("%s: no list in Makefile.am names it" % name)
    for word in sorted(words):
        if re.match(r"(src|storage-backends|tests)/.*\.[ch]$", word) and word not in tree.names:
            found.append("Makefile.am: '%s' does not exist" % word)
    return found


def functions(lines):
    """(name, first line, lines) of each function, by the shape that the style asks for."""
    start = None
    for number, line in enumerate(lines, 1):
        match = re.match(r"(\w+)\(", line)
        if match:
            start = (match.group(1), number)
        elif line == "}" and start:
            yield start[0], start[1], number - start[1] + 1
            start = None


def sizes(tree):
    """no file is longer than 600 lines and no function longer than 80"""
    found = []
    for name in tree.files((".c", ".h"), C_FOLDERS):
        lines = tree.lines(name)
        if len(lines) > FILE_LINES:
            found.append("%s: %d lines" % (name, len(lines)))
        for function, number, length in functions(lines):
            if length > FUNCTION_LINES:
                found.append("%s:%d: %s has %d lines" % (name, number, function, length))
    return found


def width(line):
    """The columns a line takes, a tab going to the next multiple of eight."""
    return len(line.expandtabs(TAB))


def shape(tree):
    """C lines keep the shape: tabs, 100 columns (108 at most), block comments, no struct typedefs"""
    found = []
    for name in tree.files((".c", ".h"), C_FOLDERS):
        for number, line in enumerate(tree.lines(name), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
            where = "%s:%d: " % (name, number)
            if width(line) > COLUMNS:
                found.append(where + "%d columns" % width(line))
            if line != line.rstrip():
                found.append(where + "white space at the end of the line")
            # Four spaces are a continued line; eight would have been a tab.
            if re.match(r"\t* {8,}\S", line):
                found.append(where + "indented with spaces, expected tabs")
            if re.search(r"(^|[^:*])//", code) and not re.match(r"\s*/?\*", code):
                found.append(where + "a // comment, expected /* */")
            if re.match(r"\s*typedef\s+(struct|union|enum)\b", code):
                found.append(where + "a typedef of a struct, union or enum")
    return found


def openings(tree):
    """each .c file starts with a comment of 3 lines or more that says why it is so"""
    found = []
    for name in tree.files((".c",), PRODUCT):
        text = tree.read(name) or ""
        comment = re.match(r"/\*.*?\*/", text, re.DOTALL)
        if not comment or comment.group(0).count("\n") < 2:
            found.append("%s: no opening comment" % name)
    return found


def quiet(tree):
    """libraries neither print nor log nor end the process"""
    speaks = re.compile(r"\b(printf|puts|putchar|perror|log_\w+)\s*\(|\bstd(out|err)\b")
    ends = re.compile(r"\b(exit|_exit)\s*\(")
    # log.c is the voice itself; mem.c ends the process when memory does, crypt.c when libcrypto
    # lacks an algorithm; proc.c, program.c and fault.c end the child that they are in.
    silent_but = {"src/base/log.c", "src/base/mem.c", "src/filter/crypt.c"}
    may_end = {"src/base/mem.c", "src/base/proc.c", "src/base/program.c", "src/base/fault.c", "src/cmd/ffdr.c"}
    found = []
    for name in tree.files((".c",), PRODUCT):
        for number, line in enumerate(tree.lines(name), 1):
            code = re.sub(r'"(\\.|[^"\\])*"|/\*.*?\*/', "", line)
            if re.match(r"\s*/?\*", code):
                continue
            if folder_of(name) not in MAY_PRINT and name not in silent_but and speaks.search(code):
                found.append("%s:%d: speaks: %s" % (name, number, line.strip()))
            if name not in may_end and ends.search(code):
                found.append("%s:%d: ends the process: %s" % (name, number, line.strip()))
    return found


def unsafe(tree):
    """no call of functions that have a safe sister"""
    calls = re.compile(r"\b(system|popen|gets|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol"
                       r"|atoll|tmpnam|mktemp|alloca|usleep)\s*\(")
    found = []
    for name in tree.files((".c", ".h"), PRODUCT):
        for number, line in enumerate(tree.lines(name), 1):
            code = re.sub(r'"(\\.|[^"\\])*"|/\*.*?\*/', "", line)
            if not re.match(r"\s*/?\*", code) and calls.search(code):
                found.append("%s:%d: %s" % (name, number, line.strip()))
    return found


CHECKS = [layers, listed, sizes, shape, openings, quiet, unsafe]
