#!/usr/bin/env python3
"""Style that no other tool checks: which folder may include which, sizes, names, calls that have one place, and lists
that must be complete. Run as a test; prints one line per violation, naming the file, the line and what to do instead.

Usage: tidy.py [ROOT]
"""
import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
LINE_WIDTH_MAX = 120
# Files and functions over the limits, one a line: `PATH LINES` or `PATH FUNCTION LINES`. The list may only shrink.
RATCHET = "tools/tidy_ratchet.txt"

CODE = (".cc", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt", "/dev", ".ci/run")
OWN = ("tools/tidy.py", "tools/tidy_test.py")

BANNED_WORDS = {"manager", "helper", "helpers", "util", "utils", "utility", "common", "misc"}

# Standard headers that cost every user of a public header too much to compile.
HEAVY_HEADERS = {"functional", "variant", "ranges", "thread", "mutex", "iostream"}
# The optional public headers exist for one library each.
OPTIONAL_HEADERS = {"json.h": ("nlohmann/",), "protobuf.h": ("google/protobuf/",), "asio.h": ("boost/asio", "asio")}

# What each folder may include with quotes: prefixes, where "" stands for the headers directly under src/.
ARROWS = {
    "include": ("tuskv/",),
    "src": ("tuskv/", "", "os/", "coordination/", "encryption/"),
    "src/os": ("tuskv/error.h", "tuskv/export.h", "os/", "status.h", "named_limits.h"),
    "src/embedded": ("tuskv/", "", "os/", "embedded/"),
    "src/postgres": ("tuskv/", "", "os/", "postgres/"),
    "src/coordination": ("tuskv/", "", "os/", "coordination/"),
    "src/encryption": ("tuskv/", "", "os/", "encryption/"),
    "src/cli": ("tuskv/", "cli/"),
    "examples": ("tuskv/",),
}
ENGINES = ("embedded/", "postgres/")
NAMES_ENGINES = "src/open.cc"
# Beyond the prefixes: headers a folder must not include although its prefix allows it, and why.
FORBIDDEN = {
    "src/coordination": {"engine.h": "coordination is built from commands, never from an engine"},
    "src/plan": {"engine.h": "plan is pure", "os/mutex.h": "plan is pure", "os/clock.h": "plan is given the time"},
}


class Call(NamedTuple):
    """A call that has one place: a pattern, where it applies, where it is allowed, and what to use instead."""

    pattern: re.Pattern
    folders: tuple
    allowed: tuple
    instead: str


FILE_CALLS = r"(?:open|openat|creat|rename|renameat|unlink|unlinkat|ftruncate|link|mkdir|rmdir|pwrite|pread)"
CALLS = (
    Call(re.compile(r"\b(?:system|steady|high_resolution)_clock::now\b"), ("src/", "include/"),
         ("src/os/", "src/cli/"),
         "the time comes from a src/os clock that is passed in"),
    Call(re.compile(r"(?<![\w.>:])(?:::)?(?:fsync|fdatasync|unlink|pwrite|pread|ftruncate|fopen)\s*\("),
         ("src/",), ("src/os/", "src/cli/"), "files are reached through os::FileSystem only"),
    Call(re.compile(r"(?<![\w>])::" + FILE_CALLS + r"\s*\("), ("src/",), ("src/os/", "src/cli/"),
         "files are reached through os::FileSystem only"),
    Call(re.compile(r"\bstd::(?:rename|fopen|[io]?fstream|filesystem::)"), ("src/", "include/"),
         ("src/os/", "src/cli/"), "files are reached through os::FileSystem only"),
    Call(re.compile(r"\bnew\s+[A-Za-z_:(]|\bnew\s*\(|(?<!= )(?<!operator )\bdelete\b(?!\s*[;,)])"),
         ("src/", "include/", "tests/", "examples/"),
         ("src/operation.cc", "src/embedded/stored_entry.cc", "tests/embedded/allocation_failure_test.cc"),
         "std::make_unique, or a container"),
    Call(re.compile(r"\bstd::(?:cout|cerr|clog)\b|(?<![\w.>])(?:std::)?(?:printf|fprintf|puts|fputs)\s*\("),
         ("src/", "include/"), ("src/cli/",), "the library never prints; report through Options::on_event or a Status"),
    Call(re.compile(r"\bstd::(?:mutex|shared_mutex|recursive_mutex|condition_variable\w*|lock_guard|scoped_lock|"
                    r"unique_lock|shared_lock)\b"), ("src/",), ("src/os/", "src/cli/"),
         "os::Mutex, os::MutexLock, os::CondVar (src/os/mutex.h), which clang checks"),
    Call(re.compile(r"\bthrow\b(?!\.h\")(?!\s+std::bad_alloc\b)"),
         ("src/os/", "src/embedded/", "src/postgres/", "src/plan"), (),
         "below the API failures are values: return a Status"),
)

UNFINISHED = re.compile(r"\b(?:FIX" + r"ME|TO" + r"DO|HA" + r"CK|XX" + r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:wo" + r"rk|ro" + r"ot|fa" + r"rm)/")


class Violation(NamedTuple):
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class Tree:
    """The text files of the project: what git tracks, and what it would if added."""

    def __init__(self, root: Path):
        self.root = root
        self.files = {}
        for name in self._names():
            path = root / name
            if path.is_symlink() or not path.is_file():
                continue
            try:
                self.files[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue

    def _names(self) -> list:
        command = ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        try:
            listed = subprocess.run(command, capture_output=True, text=True, check=True)
            return sorted(name for name in set(listed.stdout.split("\0")) if name)
        except (OSError, subprocess.CalledProcessError):
            pass  # not a clone, or no git: whatever is there
        found = (path.relative_to(self.root) for path in self.root.rglob("*"))
        return sorted(str(path) for path in found if path.parts[0] not in (".git", "build"))

    def cpp(self) -> Iterator:
        return ((name, text) for name, text in self.files.items() if name.endswith((".cc", ".h")))


def blank_comments_and_strings(text: str) -> str:
    """The same text with comments and the insides of literals turned to spaces; lines stay where they are."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'',
        re.DOTALL)

    def blank(match: re.Match) -> str:
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]

    # An include keeps its name: it looks like a string but is not one.
    lines = text.split("\n")
    kept = {i: line for i, line in enumerate(lines) if re.match(r"\s*#\s*include", line)}
    blanked = pattern.sub(blank, text).split("\n")
    for i, line in kept.items():
        blanked[i] = line
    return "\n".join(blanked)


def includes(text: str) -> Iterator:
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def folder_of(name: str) -> str:
    parts = name.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def allowed_by(prefixes: tuple, target: str) -> bool:
    return any(target == prefix or (prefix.endswith("/") and target.startswith(prefix)) or
               (prefix == "" and "/" not in target) for prefix in prefixes)


def check_quoted_include(name: str, target: str) -> str:
    folder = folder_of(name)
    for owner, targets in FORBIDDEN.items():
        if name.startswith(owner) and target in targets:
            return f'includes "{target}": {targets[target]}'
    if ".." in target.split("/"):
        return f'includes "{target}": write the path from include/ or src/'
    if target.startswith("cli/") and folder != "src/cli" and not name.startswith("tests/cli/"):
        return f'includes "{target}": nothing includes the command line'
    if target.startswith(ENGINES) and folder == "src":
        return "" if name == NAMES_ENGINES else f'includes "{target}": only {NAMES_ENGINES} names an engine'
    if folder in ARROWS and not allowed_by(ARROWS[folder], target):
        return f'{folder} must not include "{target}" (arrows: {", ".join(p or "src/*.h" for p in ARROWS[folder])})'
    return ""


def check_system_include(name: str, target: str) -> str:
    if target == "libpq-fe.h" and not name.startswith(("src/postgres/", "tests/", "bench/")):
        return "libpq is used in src/postgres only"
    if target.startswith("openssl/") and not name.startswith("src/encryption/"):
        return "OpenSSL is used in src/encryption only"
    if not name.startswith("include/"):
        return ""
    if target in HEAVY_HEADERS:
        return f"<{target}> is too heavy for a public header; move what needs it into a source"
    if re.fullmatch(r"[a-z_]+", target):
        return ""
    if target.startswith(OPTIONAL_HEADERS.get(name.rsplit("/", 1)[-1], ("\0",))):
        return ""
    return f"public headers include only themselves and standard headers, not <{target}>"


def check_arrows(tree: Tree) -> Iterator[Violation]:
    for name, text in tree.cpp():
        for number, target, quoted in includes(text):
            problem = check_quoted_include(name, target) if quoted else check_system_include(name, target)
            if problem:
                yield Violation(name, number, problem)


def declaration(header: str) -> str:
    """A header without the preprocessor lines and access specifiers before it."""
    return re.sub(r"^\s*(?:#[^\n]*\n\s*|(?:public|private|protected)\s*:\s*)*", "", header)


def without_template_prefix(header: str) -> str:
    while header.startswith("template"):
        depth = 0
        for i, character in enumerate(header):
            if character == "<":
                depth += 1
            elif character == ">":
                depth -= 1
                if depth == 0:
                    header = header[i + 1:].lstrip()
                    break
        else:
            return header
    return header


def brace_kind(code: str, header: str, position: int) -> str:
    """What a brace opens: `scope` (namespace, class), `function`, or `other` (an initialiser, an enum)."""
    header = without_template_prefix(declaration(header))
    if re.match(r"(?:inline\s+)?namespace\b|(?:friend\s+|typedef\s+)?(?:class|struct|union)\b|extern\s*\"", header):
        return "scope"
    if re.match(r"requires\b", header) and re.search(r"\s(?:class|struct|union)\s+[^()]+$", header):
        return "scope"
    # clang-format puts a space before the brace of a body and none before the brace of an initialiser.
    before = code[position - 1] if position else "\n"
    if "(" in header and before.isspace() and not re.search(r"(?:=|,|\(|return)\s*$", header):
        return "function"
    return "other"


def function_name(header: str) -> str:
    header = without_template_prefix(declaration(header))
    macro = re.match(r"(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|BENCHMARK\w*)\s*\(([^)]*)\)", header)
    if macro:
        return re.sub(r"\s*,\s*", ".", macro.group(1).strip())
    match = re.search(r"(?<!\w)((?!requires\b|decltype\b)(?:\w+::)*(?:~?\w+|operator\W+))\s*\(", header)
    return match.group(1) if match else "function"


def functions(text: str) -> Iterator:
    """(name, first line, lines) of every outermost function body, found by counting braces."""
    code = blank_comments_and_strings(text)
    stack, start, position = [], 0, 0
    for match in re.finditer(r"[{};]", code):
        position, found = match.start(), match.group(0)
        if found == "{":
            inside = stack and stack[-1][0] != "scope"
            kind = "other" if inside else brace_kind(code, code[start:position], position)
            header_start = position - len(declaration(code[start:position]))
            stack.append((kind, header_start, code[start:position]))
            if kind != "other":
                start = position + 1
        elif found == "}" and stack:
            kind, header_start, header = stack.pop()
            if kind == "function":
                first = code.count("\n", 0, header_start) + 1
                yield function_name(header), first, code.count("\n", 0, position) + 2 - first
            if kind != "other":
                start = position + 1
        elif found == ";" and not (stack and stack[-1][0] != "scope"):
            start = position + 1


def python_functions(text: str) -> Iterator:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def read_ratchet(tree: Tree) -> dict:
    entries = {}
    for line in tree.files.get(RATCHET, "").splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            entries[" ".join(words[:-1])] = int(words[-1])
    return entries


def measured(tree: Tree) -> Iterator:
    """(key in the ratchet list, path, line, what, lines, limit) of everything with a size limit."""
    for name, text in tree.files.items():
        if name.endswith(CODE) or name == "dev":
            yield name, name, 1, "file", text.count("\n"), FILE_LINES_MAX
        found = python_functions(text) if name.endswith(".py") else ()
        if name.endswith((".cc", ".h")):
            found = functions(text)
        for function, line, lines in found:
            yield f"{name} {function}", name, line, f"function {function}", lines, FUNCTION_LINES_MAX


def check_sizes(tree: Tree) -> Iterator[Violation]:
    ratchet = read_ratchet(tree)
    for key, name, line, what, lines, limit in measured(tree):
        allowed = ratchet.pop(key, None)
        if allowed is not None and lines < allowed:
            advice = "remove it from" if lines <= limit else f"lower it to {lines} in"
            yield Violation(name, line, f"{what} has shrunk to {lines} lines: {advice} {RATCHET}")
        elif lines > (limit if allowed is None else allowed):
            yield Violation(name, line, f"{what} has {lines} lines, more than {allowed or limit}; split it")
    for key in ratchet:
        yield Violation(RATCHET, 1, f"{key} is gone: remove it from the list")


def check_width(tree: Tree) -> Iterator[Violation]:
    for name, text in tree.files.items():
        if not (name.endswith(CODE) or name == "dev"):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > LINE_WIDTH_MAX and "://" not in line:
                yield Violation(name, number, f"line of {len(line)} characters, more than {LINE_WIDTH_MAX}")


def words_of(name: str) -> set:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def check_names(tree: Tree) -> Iterator[Violation]:
    for name in tree.files:
        if not re.fullmatch(r"[\w.+/-]+", name, re.ASCII):
            yield Violation(name, 1, "a name of letters, digits and . _ - + only: was it a slip of the shell?")
        for word in sorted(words_of(name) & BANNED_WORDS):
            yield Violation(name, 1, f'"{word}" in a file name says nothing; name the idea')
    for name, text in tree.cpp():
        code = blank_comments_and_strings(text)
        for match in re.finditer(r"\b(?:class|struct|enum(?:\s+class)?|union|concept|using)\s+(\w+)", code):
            for word in sorted(words_of(match.group(1)) & BANNED_WORDS):
                line = code.count("\n", 0, match.start()) + 1
                yield Violation(name, line, f'"{word}" in type {match.group(1)} says nothing; name the idea')


def check_calls(tree: Tree) -> Iterator[Violation]:
    for name, text in tree.cpp():
        code = blank_comments_and_strings(text)
        code = re.sub(r"=\s*delete\b", lambda match: " " * len(match.group(0)), code)
        for call in CALLS:
            if not name.startswith(call.folders) or name.startswith(call.allowed or ("\0",)):
                continue
            for match in call.pattern.finditer(code):
                line = code.count("\n", 0, match.start()) + 1
                yield Violation(name, line, f"`{match.group(0).strip()}` has its place elsewhere: {call.instead}")


def listed_in_cmake(tree: Tree, name: str) -> bool:
    """Whether a CMakeLists.txt of the file's folder or of one above names it, by its path from there."""
    parts = name.split("/")
    for depth in range(len(parts) - 1, -1, -1):
        text = tree.files.get("/".join(parts[:depth] + ["CMakeLists.txt"]))
        relative = re.escape("/".join(parts[depth:]))
        if text and re.search(rf"(?<![\w/.-]){relative}(?![\w.-])", re.sub(r"#[^\n]*", "", text)):
            return True
    return False


def check_lists(tree: Tree) -> Iterator[Violation]:
    included = {target for _, text in tree.cpp() for _, target, quoted in includes(text) if quoted}
    for name, _ in tree.cpp():
        if (name.endswith(".cc") or name.startswith("include/")) and not listed_in_cmake(tree, name):
            yield Violation(name, 1, "is in no CMakeLists.txt: it would never be built or installed")
        if name.endswith(".h") and not name.startswith("include/"):
            parts = name.split("/")
            if not any("/".join(parts[depth:]) in included for depth in range(len(parts))):
                yield Violation(name, 1, "is included by nothing: use it or remove it")


def check_folders(tree: Tree) -> Iterator[Violation]:
    """A folder that the one above does not add is silently neither built nor tested."""
    for name, text in tree.files.items():
        above, _, folder = name.removesuffix("/CMakeLists.txt").rpartition("/")
        if not (name.endswith("/CMakeLists.txt") and above) or re.search(r"^project\(", text, re.M):
            continue  # the top decides by options; a project of its own is built apart
        adding = tree.files.get(above + "/CMakeLists.txt", "")
        if not re.search(rf"^\s*add_subdirectory\({re.escape(folder)}\b", adding, re.M):
            yield Violation(name, 1, f"is not added by {above}/CMakeLists.txt: nothing in it is built or tested")


def check_text(tree: Tree) -> Iterator[Violation]:
    for name, text in tree.files.items():
        if name in OWN:
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if UNFINISHED.search(line):
                yield Violation(name, number, "unfinished work is not committed: finish it, or say what is left out")
            if MACHINE_PATH.search(line):
                yield Violation(name, number, "a path of one machine: make it relative or a setting")


CHECKS = (check_arrows, check_sizes, check_width, check_names, check_calls, check_lists, check_folders, check_text)


def violations(root: Path) -> list:
    tree = Tree(root)
    return sorted({violation for check in CHECKS for violation in check(tree)})


def main(arguments: list) -> int:
    root = Path(arguments[1]) if len(arguments) > 1 else Path(__file__).resolve().parent.parent
    found = violations(root)
    for violation in found:
        print(violation)
    if found:
        print(f"{len(found)} violations", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
