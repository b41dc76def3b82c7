#!/usr/bin/env python3
"""Makes the checklist of the public API from the tables of its reference, and says what it leaves out.

    generate.py SPECIFICATION            lists the rows of the tables: checked, prose, or missing
    generate.py SPECIFICATION --write    also writes section_*.cxx beside this file

Signatures, fields, enumerators and defaults are read from the tables. What a table says in other
words is in manual.py: as C++ for a row, or as the reason why a row holds nothing to compile. The
exit code is 1 if a row is missing.
"""

import pathlib
import re
import subprocess
import sys

import manual

HERE = pathlib.Path(__file__).resolve().parent
HEADING = re.compile(r"^#+ (\d+(?:\.\d+)?)\.? ")
FUNCTION = re.compile(r"^((?:(?:virtual|static|explicit) )*)(\S.*?[\s&*>])(~?\w+)\((.*)\)( const)?(?: throw\(\))?$")
CONSTRUCTOR = re.compile(r"^(?:explicit )?(\w+)\((.*)\)$")
ALIAS = re.compile(r"^using (\w+) = (.+)$")
FIELD = re.compile(r"^(?:mutable )?(\w[\w:<>*, ]*[\s*>])(\w+_)$")


class Row:
    """One row of a table, and what becomes of it."""

    def __init__(self, section, header, cells):
        self.section, self.header, self.cells = section, header, cells
        self.checks = []
        self.left_out = []
        self.reason = None

    def key(self):
        return self.cells[0] if self.cells[0] not in ("", "#") else self.cells[1]

    def cell(self, name):
        return self.cells[self.header.index(name)] if name in self.header else None


def split_top(text, separator=","):
    """Splits at separators outside of all brackets."""
    parts, depth, current = [], 0, ""
    for c in text:
        depth += (c in "<({[") - (c in ">)}]")
        if c == separator and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += c
    if current.strip():
        parts.append(current.strip())
    return parts


def read_rows(path):
    section, header, rows = None, None, []
    for line in path.read_text(encoding="utf-8").splitlines():
        heading = HEADING.match(line)
        if heading:
            section = heading.group(1)
        if not line.startswith("|"):
            header = None
            if line.startswith("## Appendix"):
                break
            continue
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if header is None:
            header = cells
        elif not all(re.fullmatch(r":?-+:?", c) for c in cells):
            rows.append(Row(section, header, cells))
    return rows


def spans(text):
    return [s.rstrip(";") for s in re.findall(r"`([^`]+)`", text)]


def parameter(text):
    """(type, has a default) of a declared parameter."""
    declared, _, default = text.partition(" = ")
    named = re.match(r"^(.*[\s&*>])(\w+)$", declared)
    if named and named.group(1).strip() not in ("const", "unsigned", ""):
        declared = named.group(1).strip()
    return declared, bool(default)


def parameters(text):
    found = [parameter(p) for p in split_top(text)]
    return [t for t, _ in found], sum(1 for _, d in found if d)


def check_function(owner, text):
    """C++ that takes the member's address with exactly this type, and calls it without its defaults."""
    access = re.match(r"^(protected|private): ", text)
    if access:
        text = text[access.end():]
    words, result, name, args, const = FUNCTION.match(text).groups()
    result = result.strip()
    types, defaults = parameters(args)
    scope = "access" if owner.protected(name) else "tested"
    signature = "%s (%s)(%s)%s" % (result, "*" if "static" in words else "tested::*",
                                   ", ".join(types), const or "")
    if name.startswith("~"):
        return ["static_assert(std::has_virtual_destructor<tested>::value, \"%s\");" % name]
    if (owner.section, name) in manual.CALLED_ONLY:
        call = "std::declval<tested&>().%s(%s)" % (name, ", ".join(
            "std::declval<%s>()" % t for t in types))
        return ["static_assert(std::is_same<decltype(%s), %s>::value, \"%s\");" % (call, result, name)]
    lines = ["(void)static_cast<%s>(&%s::%s);" % (signature, scope, name)]
    if access and access.group(1) == "private":
        lines = ["// %s: private, and overridden above." % name]
    if defaults and scope == "tested":
        required = ", ".join("std::declval<%s>()" % t for t in types[:len(types) - defaults])
        call = ("tested::%s(%s)" if "static" in words else "std::declval<tested&>().%s(%s)") % (
            name, required)
        lines.append("(void)sizeof(wrap<decltype(%s)>);" % call)
    if "virtual" in words:
        owner.overrides.append("%s %s(%s)%s override;" % (result, name, ", ".join(types), const or ""))
    return lines


def check_constructor(owner, text):
    types, defaults = parameters(CONSTRUCTOR.match(text).group(2))
    lines = []
    for count in range(len(types) - defaults, len(types) + 1):
        arguments = ", ".join(["tested"] + types[:count])
        lines.append("static_assert(std::is_constructible<%s>::value, \"constructor\");" % arguments)
    return lines


def check_alias(owner, text):
    name, meant = ALIAS.match(text).groups()
    scope = "tested::" if owner.name else "nuraft::"
    return ["static_assert(std::is_same<%s%s, %s>::value, \"%s\");" % (scope, name, meant, name)]


def check_field(owner, type_name, name, default=None):
    scope = "access" if owner.protected(name) else "tested"
    lines = ["static_assert(std::is_same<decltype(%s::%s), %s>::value, \"%s\");" % (
        scope, name, type_name, name)]
    value = default_value(default, "object." + name)
    if value:
        lines.append("{ tested object; CHECK(%s); }" % value)
    return lines


def check_protected(owner, row):
    """The server's protected members: the lists of names in a row, but for those left out."""
    for text in spans(row.cells[0]):
        function = FUNCTION.match(text)
        names = [function.group(3)] if function else [n.strip() for n in split_top(text)]
        first = re.match(r"^(.*[\s>*])(\w+)$", names[0])
        if first:
            type_name, names[0] = first.group(1).strip(), first.group(2)
            type_name = re.sub(r"^(mutable|static|const) ", "", re.sub(r"^static const ", "const ", type_name))
        for name in names:
            if name in manual.LEFT_OUT:
                row.left_out.append(name)
            elif function:
                row.checks += check_function(owner, text)
            else:
                row.checks.append(manual.shown(type_name, name))


def default_value(text, field):
    if text is None or text == "":
        return None
    text = text.strip("`")
    if text in ("empty", "null"):
        return "!" + field
    if text == '""':
        return field + ".empty()"
    return "%s == %s" % (field, text)


def check_span(owner, text):
    """The checks for one piece of code in a table, or None if it is not understood."""
    constructor = CONSTRUCTOR.match(text)
    if constructor and constructor.group(1) == owner.base():
        return check_constructor(owner, text)
    if ALIAS.match(text):
        return check_alias(owner, text)
    if owner.name and FUNCTION.match(text):
        return check_function(owner, text)
    if owner.name and FIELD.match(text):
        return check_field(owner, *[g.strip() for g in FIELD.match(text).groups()])
    return None


class Owner:
    """The class that a section's table is about, and the checks that collect in it."""

    def __init__(self, section):
        self.section = section
        self.name = manual.CLASSES.get(section)
        self.body, self.overrides = [], []

    def base(self):
        return self.name.split("::")[-1].split("<")[0] if self.name else ""

    def protected(self, name):
        return name in manual.PROTECTED.get(self.section, ())


def enumerators(row):
    """(name, value) pairs, for the tables that list them."""
    if row.section == "12.1":
        return re.findall(r"`(\w+) = (0x\d+)`", row.cells[1])
    if row.section == "15.2":
        return [(row.cells[1].strip("`"), row.cells[0])]
    if row.section == "22.1":
        return [(spans(name)[0], value) for value, name in (row.cells[0:2], row.cells[2:4]) if value]
    return [(row.cells[0].strip("`"), row.cells[1])]


def check_row(owner, row):
    written = manual.ROWS.get((row.section, row.key()))
    if written is not None:
        row.checks = list(written)
        return
    reason = manual.PROSE.get((row.section, row.key())) or manual.PROSE.get(row.section)
    if reason:
        row.reason = reason
        return
    if row.section == "32.2":
        return check_protected(owner, row)
    if row.section in manual.ENUMS:
        scope = manual.ENUMS[row.section]
        row.checks = ["static_assert(static_cast<int64>(%s::%s) == %s, \"%s\");" % (scope, n, v, n)
                      for n, v in enumerators(row)]
        return
    if row.cell("Field") and (row.cell("Type") or row.section in manual.FIELD_TYPES):
        type_name = row.cell("Type") or manual.FIELD_TYPES[row.section]
        as_another = re.fullmatch(r"as `(\w+)`", type_name)
        if as_another:
            type_name = "decltype(tested::%s)" % as_another.group(1)
        elif spans(type_name):
            type_name = spans(type_name)[0]
        for name in spans(row.cell("Field")):
            row.checks += check_field(owner, type_name, name, row.cell("Default"))
        return
    setter = row.header[:2] == ["Setter", "Field"]
    column = manual.COLUMNS.get(row.section, 0)
    for text in spans(row.cells[column]):
        if setter or row.section in manual.RESULTS:
            text = manual.RESULTS.get(row.section, "raft_params&") + " " + text
        if re.fullmatch(r"\w+\(\)", text) and text[:-2] != owner.base():
            continue  # A mention.
        found = check_span(owner, text)
        if found is None:
            row.checks = []
            return
        row.checks += found
    if setter:
        row.checks += manual.check_setter(spans(row.cells[0])[0], spans(row.cells[1])[0])


def collect(rows):
    owners = {}
    for row in rows:
        owner = owners.setdefault(row.section, Owner(row.section))
        check_row(owner, row)
        owner.body += row.checks
    for section, extra in manual.EXTRA.items():
        owners.setdefault(section, Owner(section)).body += extra
    return owners


def emit(owners):
    """One file for each main section."""
    files = {}
    for section in sorted(owners, key=lambda s: [int(n) for n in s.split(".")]):
        owner = owners[section]
        if not owner.body:
            continue
        name = "section_" + section.replace(".", "_")
        lines = ["struct %s_scope {" % name] if not owner.name else [
            "typedef %s %s_class;" % (owner.name, name), ""]
        base = "" if not owner.name else " : public %s_class" % name
        lines = lines if owner.name else []
        if owner.overrides:
            lines += ["/// Compiles only if these are virtual.", "struct %s_overrides%s {" % (name, base)]
            lines += sorted(set(owner.overrides)) + ["};", ""]
        lines += ["struct %s_checks%s {" % (name, base), "typedef %s_checks access;" % name]
        if owner.name:
            lines.append("typedef %s_class tested;" % name)
        lines += manual.PREFIX.get(section, [])
        lines += ["static void run(checks& c) {", "(void)c;"]
        for check in owner.body:
            lines.append(check)
        lines += ["}", "};", ""]
        files.setdefault(section.split(".")[0], []).append((name, lines))
    return files


def write(owners):
    for old in HERE.glob("section_*.cxx"):
        old.unlink()
    calls = []
    for number, parts in emit(owners).items():
        path = HERE / ("section_%02d.cxx" % int(number))
        text = ["// Generated by generate.py from the reference of the API; not to be edited.", "",
                '#include "checks.hxx"', "", "namespace nuraft {", "namespace api_surface {", "", "namespace {", ""]
        for name, lines in parts:
            text += lines
        text += ["}  // namespace", "", "void section_%02d(checks& c) {" % int(number)]
        text += ["%s_checks::run(c);" % name for name, _ in parts]
        text += ["}", "", "}  // namespace api_surface", "}  // namespace nuraft", ""]
        path.write_text("\n".join(text), encoding="utf-8")
        calls.append("section_%02d" % int(number))
    listing = ["// Generated by generate.py; not to be edited.", ""]
    listing += ["SECTION(%s)" % c for c in calls]
    (HERE / "sections.inc").write_text("\n".join(listing) + "\n", encoding="utf-8")
    subprocess.run(["clang-format", "-i"] + [str(p) for p in sorted(HERE.glob("section_*.cxx"))],
                   check=True)


def report(rows):
    missing = [r for r in rows if not r.checks and not r.reason]
    for section in dict.fromkeys(r.section for r in rows):
        mine = [r for r in rows if r.section == section]
        checked = [r for r in mine if r.checks]
        prose = [r for r in mine if r.reason]
        print("%-5s %3d rows: %3d checked (%d checks), %d prose%s" % (
            section, len(mine), len(checked), sum(len(r.checks) for r in checked), len(prose),
            "" if not prose else ": " + "; ".join(dict.fromkeys(r.reason for r in prose))))
        left_out = [n for r in mine for n in r.left_out]
        if left_out:
            print("      left out, see manual.py: " + ", ".join(left_out))
        for row in mine:
            if row in missing:
                print("      MISSING  " + row.key())
    print("%d rows, %d checked, %d prose, %d missing" % (
        len(rows), sum(1 for r in rows if r.checks), sum(1 for r in rows if r.reason), len(missing)))
    return not missing


def main():
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--write"]):
        sys.exit(__doc__)
    rows = read_rows(pathlib.Path(sys.argv[1]))
    owners = collect(rows)
    if sys.argv[2:]:
        write(owners)
    sys.exit(0 if report(rows) else 1)


if __name__ == "__main__":
    main()
