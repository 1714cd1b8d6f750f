"""Checks of what the program says about itself: it must leave nothing out."""

import os
import re

import tree as trees

PAGES = ("ffdr.1", "ffdr.conf.5")
# Exit codes are a contract with other people's scripts; docs/operations.md and ffdr.1 name them.
EXIT_CODES = ("0", "1", "2", "3", "4", "5", "9", "10", "11", "12", "75", "77", "78")


def plain(page):
    """A man page as people read it: without the marks of roff."""
    page = re.sub(r"^\.\S+ ?", "", page, flags=re.MULTILINE)
    return re.sub(r"\\f.|\\&|\\(?=-)", "", page)


def page(tree, name):
    with open(tree.built(name), encoding="utf-8") as f:
        return plain(f.read())


def conf_keys(tree):
    """(section, key) of each row of the table in conf_keys.c"""
    rows = r'\bKEY\w*\(\s*"([a-z]+)",\s*"([a-z][a-z0-9.-]*)"'
    return re.findall(rows, tree.read("src/conf/conf_keys.c") or "")


def commands(tree):
    """The words of `ffdr help`: what stands first on its indented lines."""
    status, out = trees.run([tree.built("ffdr"), "help"])
    if status != 0:
        return []
    return re.findall(r"^ {2,}([a-z-]+(?: [a-z-]+)?) {2,}\S", out, re.MULTILINE)


def keys_documented(tree):
    """ffdr.conf.5 names every key of the configuration"""
    keys = conf_keys(tree)
    if len(keys) < 10:
        return ["src/conf/conf_keys.c: only %d keys recognised" % len(keys)]
    text = page(tree, "ffdr.conf.5")
    return ["ffdr.conf.5 does not name '%s' of [%s]" % (key, section)
            for section, key in keys if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(key), text)]


def commands_documented(tree):
    """ffdr.1, the completion and the documents name every command"""
    names = commands(tree)
    if len(names) < 10:
        return ["`ffdr help` shows only %d commands: %s" % (len(names), ", ".join(names))]
    found = []
    prose = "\n".join(tree.read(n) or "" for n in tree.names
                      if n.endswith(".md") and not n.startswith("tests/"))
    with open(tree.built("ffdr.bash"), encoding="utf-8") as f:
        completion = f.read()
    text = page(tree, "ffdr.1")
    for name in names:
        words = [re.escape(w) for w in name.split()]
        if not re.search(r"\b%s\b" % r"\s+".join(words), text):
            found.append("ffdr.1 does not name '%s'" % name)
        if not all(re.search(r"\b%s\b" % w, completion) for w in words):
            found.append("ffdr.bash does not complete '%s'" % name)
        if not re.search(r"\bffdr %s\b" % r"\s+".join(words), prose):
            found.append("no document mentions 'ffdr %s'" % name)
    return found


def offered(tree, names):
    """The options of every command, by what its help shows."""
    found = {}
    for name in names:
        status, out = trees.run([tree.built("ffdr"), "help"] + name.split())
        options = re.findall(r"(?<![\w-])(?:--[a-z][a-z-]*|-[a-z]\b)", out) if status == 0 else []
        found[name] = set(options) | {"--help"}
    return found


def calls(text, prose):
    """(line number, words) of each `ffdr ...` of a text that a reader might type: in prose only
    between backquotes and in code, else everywhere."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        code = not prose or fenced or line.startswith("\t")
        for span in [line] if code else re.findall(r"`([^`]*)`", line):
            span = re.sub(r"\s#\s.*", "", span)
            for call in re.findall(r"(?<![\w./@-])(?:@bindir@/)?ffdr ([^|;&>`'\"()]*)", span):
                yield number, call.split()


def unknown(call, known):
    """What is wrong with the words behind `ffdr`, or None."""
    at = [i for i, word in enumerate(call) if re.fullmatch(r"[a-z]+", word)]
    if not at or at[0] > 2:
        return None
    first = call[at[0]]
    two = " ".join(call[at[0]:at[0] + 2])
    name = two if two in known else first
    if name not in known:
        groups = {n.split()[0] for n in known if " " in n}
        if name in groups and len(call) == 1:
            return None
        return "there is no command '%s'" % (two if first in groups else first)
    for word in call:
        option = re.match(r"--[a-z][a-z-]*|-[a-z]$", word)
        if option and name != "help" and option.group(0) not in known[name]:
            return "'%s' has no option %s" % (name, option.group(0))
    return None


def mentions(tree):
    """no document, help text or unit mentions a command or an option that does not exist"""
    known = offered(tree, commands(tree))
    texts = [(n, tree.read(n) or "", True) for n in tree.files((".md",))
             if not n.startswith("tests/")]
    texts += [(n, "\n".join(re.findall(r"^Exec.*", tree.read(n) or "", re.MULTILINE)), False)
              for n in tree.files((".service.in",))]
    for name in known:
        _, out = trees.run([tree.built("ffdr"), "help"] + name.split())
        text, _, examples = out.partition("\nexamples:\n")
        texts += [("ffdr help " + name, text, True), ("ffdr help " + name, examples, False)]
    texts += [(n, "\n".join("`%s`" % s for s in re.findall(r"`(ffdr [^`]*)`", (
        tree.read(n) or "").replace('"\n', "").replace('"', ""))), True)
        for n in tree.files((".c",), ("src",))]
    found = []
    for name, text, prose in texts:
        for number, call in calls(text, prose):
            wrong = unknown(call, known)
            if wrong:
                found.append("%s:%d: ffdr %s: %s" % (name, number, " ".join(call), wrong))
    return found


def installed(tree):
    """every page of docs, runbooks and schedules is installed"""
    makefile = tree.read("Makefile.am") or ""
    listed = set(re.findall(r"[\w./-]+", re.sub(r"\\\n", " ", "\n".join(
        re.findall(r"^\w*_DATA = (?:.*\\\n)*.*$", makefile, re.MULTILINE)))))
    return ["%s is not installed: no _DATA line of Makefile.am names it" % n
            for n in tree.files((".md", ".ini"), ("docs", "runbooks", "schedules"))
            if n not in listed]


def exit_codes(tree):
    """ffdr.1 explains every exit code"""
    text = page(tree, "ffdr.1")
    match = re.search(r"EXIT STATUS(.*)", text, re.DOTALL)
    if not match:
        return ["ffdr.1 has no section EXIT STATUS"]
    return ["ffdr.1 does not explain exit code %s" % code for code in EXIT_CODES
            if not re.search(r"(?<!\d)%s(?!\d)" % code, match.group(1))]


def man_lint(tree):
    """mandoc accepts the man pages"""
    tool = trees.need("mandoc", "mandoc")
    found = []
    for name in PAGES:
        status, out = trees.run([tool, "-Tlint", "-W", "warning", tree.built(name)])
        found += out.splitlines() if status != 0 or out else []
    return found


def completion(tree):
    """bash accepts the completion, and it answers"""
    tool = trees.need("bash", "bash")
    path = tree.built("ffdr.bash")
    status, out = trees.run([tool, "-n", path])
    if status != 0:
        return out.splitlines()
    with open(path, encoding="utf-8") as f:
        match = re.search(r"^complete .*-F (\w+) .*\bffdr$", f.read(), re.MULTILINE)
    if not match:
        return ["ffdr.bash: no line 'complete -F FUNCTION ffdr'"]
    ask = ('source "$1"; COMP_WORDS=(ffdr ba); COMP_CWORD=1; COMP_LINE="ffdr ba"; COMP_POINT=7; '
           '%s ffdr ba ffdr; echo "${COMPREPLY[@]}"' % match.group(1))
    _, out = trees.run([tool, "-c", ask, "bash", path],
                       env=dict(os.environ, PATH=tree.build + ":" + os.environ["PATH"]))
    return [] if "backup" in out.split() else [
        "ffdr.bash: 'ffdr ba<TAB>' answers '%s', expected backup" % out.strip()]


CHECKS = [keys_documented, commands_documented, mentions, installed, exit_codes, man_lint, completion]
