#!/usr/bin/env python3
"""Each rule of tidy.py, once broken and once kept, in a small tree."""
import tempfile
import unittest
from pathlib import Path

import tidy


class TidyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def found(self, check) -> list:
        return [str(violation) for violation in check(tidy.Tree(self.root))]

    def assert_found(self, check, *parts: str) -> None:
        found = self.found(check)
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def assert_clean(self, check) -> None:
        self.assertEqual(self.found(check), [])

    # Arrows

    def test_forbidden_arrows(self):
        forbidden = {
            "src/cli/verbs.cc": '"engine.h"',
            "src/embedded/engine.cc": '"postgres/pool.h"',
            "src/postgres/engine.cc": '"embedded/keyspace.h"',
            "src/coordination/lock.cc": '"embedded/engine.h"',
            "src/coordination/claim.cc": '"engine.h"',
            "src/os/clock.cc": '"commands.h"',
            "src/plan.cc": '"os/clock.h"',
            "src/store.cc": '"embedded/engine.h"',
            "src/view.cc": '"cli/args.h"',
            "src/glob.cc": '"../include/tuskv/error.h"',
            "include/tuskv/a.h": '"status.h"',
            "include/tuskv/b.h": "<functional>",
            "include/tuskv/c.h": "<nlohmann/json.hpp>",
            "src/embedded/log.cc": "<libpq-fe.h>",
            "src/encryption/engine.cc": '"embedded/engine.h"',
            "src/sealer.cc": "<openssl/evp.h>",
            "tests/plan_test.cc": '"cli/args.h"',
            "examples/start.cc": '"status.h"',
        }
        for name, target in forbidden.items():
            with self.subTest(name=name):
                self.write(name, f"// An idea.\n#include {target}\n")
                self.assert_found(tidy.check_arrows, f"{name}:2:")
                (self.root / name).unlink()

    def test_allowed_arrows(self):
        allowed = {
            "src/cli/verbs.cc": '"tuskv/tuskv.h"',
            "src/cli/main.cc": '"cli/verbs.h"',
            "src/embedded/engine.cc": '"plan.h"',
            "src/embedded/log.cc": '"os/file_system.h"',
            "src/postgres/engine.cc": "<libpq-fe.h>",
            "src/coordination/lock.cc": '"commands.h"',
            "src/encryption/engine.cc": '"engine.h"',
            "src/encryption/aes.cc": "<openssl/evp.h>",
            "src/os/clock.cc": '"status.h"',
            "src/open.cc": '"embedded/engine.h"',
            "include/tuskv/a.h": '"tuskv/error.h"',
            "include/tuskv/b.h": "<optional>",
            "include/tuskv/json.h": "<nlohmann/json.hpp>",
            "tests/cli/args_test.cc": '"cli/args.h"',
        }
        for name, target in allowed.items():
            self.write(name, f"#include {target}\n")
        self.assert_clean(tidy.check_arrows)

    # Sizes

    @staticmethod
    def body(lines: int) -> str:
        return "".join(f"  f({i});\n" for i in range(lines - 2))

    def test_function_of_71_lines(self):
        self.write("src/a.cc", "namespace x {\nvoid A::g(int b)\n    const {\n" + self.body(70) + "}\n}\n")
        self.assert_found(tidy.check_sizes, "src/a.cc:2:", "function A::g has 71 lines")

    def test_function_of_70_lines(self):
        self.write("src/a.cc", "void g(int b) {\n" + self.body(70) + "}\n")
        self.assert_clean(tidy.check_sizes)

    def test_functions_in_classes_after_templates_and_member_lists(self):
        text = ('template <class T, class U>\n  requires(sizeof(T) > 1)\nclass A final {\n public:\n'
                '  A(int b) : b_{b}, c_(b) {\n' + self.body(80) + '  }\n\n private:\n  int b_{0};\n};\n')
        self.write("src/a.h", text)
        self.assert_found(tidy.check_sizes, "src/a.h:5:", "function A has 80 lines")

    def test_annotated_class_is_no_function(self):
        self.write("src/a.h", 'class CAPABILITY("mutex") A final {\n' + self.body(90) + "};\n")
        self.assert_clean(tidy.check_sizes)

    def test_braces_in_comments_and_strings_do_not_count(self):
        text = 'void g() {\n  f("}{{");  // }\n  f(R"x(}})x");\n  f(\'}\');\n  f(1\'000);\n' + self.body(70) + "}\n"
        self.write("src/a.cc", text)
        self.assert_found(tidy.check_sizes, "function g has 74 lines")

    def test_test_macros_are_named(self):
        self.write("tests/a.cc", "TEST(Plan, Adds) {\n" + self.body(72) + "}\n")
        self.assert_found(tidy.check_sizes, "function Plan.Adds has 72 lines")

    def test_python_function(self):
        self.write("tools/a.py", "def f():\n" + "    g()\n" * 70)
        self.assert_found(tidy.check_sizes, "tools/a.py:1:", "function f has 71 lines")

    def test_file_of_501_lines(self):
        self.write("src/a.cc", "int a;\n" * 501)
        self.assert_found(tidy.check_sizes, "src/a.cc:1:", "file has 501 lines, more than 500")

    def test_ratchet_only_shrinks(self):
        self.write("src/a.cc", "int a;\n" * 520)
        self.write(tidy.RATCHET, "src/a.cc 520\n")
        self.assert_clean(tidy.check_sizes)
        self.write(tidy.RATCHET, "src/a.cc 530\n")
        self.assert_found(tidy.check_sizes, "lower it to 520")
        self.write(tidy.RATCHET, "src/a.cc 510\n")
        self.assert_found(tidy.check_sizes, "520 lines, more than 510")
        self.write("src/a.cc", "int a;\n")
        self.assert_found(tidy.check_sizes, "remove it from")
        (self.root / "src/a.cc").unlink()
        self.assert_found(tidy.check_sizes, "is gone")

    def test_width(self):
        self.write("src/a.cc", "// " + "a" * 117 + "\n")
        self.assert_clean(tidy.check_width)
        self.write("src/a.cc", "// " + "a" * 118 + "\n")
        self.assert_found(tidy.check_width, "src/a.cc:1:", "121 characters")

    # Names

    def test_empty_words(self):
        self.write("src/string_util.cc", "")
        self.assert_found(tidy.check_names, "src/string_util.cc:1:", '"util"')
        (self.root / "src/string_util.cc").unlink()
        self.write("src/a.h", "class PoolManager;\n")
        self.assert_found(tidy.check_names, "src/a.h:1:", '"manager"')
        self.write("src/a.h", "class Uncommon;  // a manager\n")
        self.assert_clean(tidy.check_names)

    def test_a_slip_of_the_shell(self):
        self.write("built here#", "x\n")
        self.assert_found(tidy.check_names, "built here#:1:", "slip")
        (self.root / "built here#").unlink()
        self.write("tools/a-1_b.c++.txt", "")
        self.assert_clean(tidy.check_names)

    # Calls

    def test_banned_calls(self):
        banned = {
            "auto t = std::chrono::steady_clock::now();": "clock",
            "int r = fsync(fd);": "FileSystem",
            "int r = ::open(path, 0);": "FileSystem",
            "::rename(a, b);": "FileSystem",
            "std::ifstream in(path);": "FileSystem",
            "auto* p = new Node();": "make_unique",
            "delete p;": "make_unique",
            "delete[] p;": "make_unique",
            "std::cout << 1;": "prints",
            'printf("x");': "prints",
            "std::mutex m;": "os::Mutex",
        }
        for line, advice in banned.items():
            with self.subTest(line=line):
                self.write("src/embedded/a.cc", f"\n{line}\n")
                self.assert_found(tidy.check_calls, "src/embedded/a.cc:2:", advice)

    def test_throw_below_the_api(self):
        self.write("src/store.cc", "throw Error();\n")
        self.assert_clean(tidy.check_calls)
        self.write("src/embedded/log.cc", "throw Error();\n")
        self.assert_found(tidy.check_calls, "src/embedded/log.cc:1:", "Status")

    def test_what_only_looks_like_a_banned_call(self):
        self.write("src/embedded/a.cc", "\n".join((
            "A(const A&) = delete;", "file_system.open(path, mode);", "file_system->rename(a, b);", "Store::open(url);",
            "// new things, delete nothing, std::cout", 'f("new x");', "snprintf(b, 1, c);", "int new_size = 1;",
            "file->unlink(x);", "Result<File> open(const std::string& path);", "noexcept(true);",
            "throw std::bad_alloc();")))
        self.assert_clean(tidy.check_calls)

    def test_banned_calls_in_their_place(self):
        self.write("src/os/posix_file_system.cc", "int a = ::open(path, 0); fdatasync(a);\n")
        self.write("src/cli/main.cc", 'printf("x");\n')
        self.assert_clean(tidy.check_calls)

    # Lists

    def test_source_missing_in_cmake(self):
        self.write("src/CMakeLists.txt", "target_sources(tuskv PRIVATE\n  b.cc  # a.cc\n)\n")
        self.write("src/a.cc", "")
        self.assert_found(tidy.check_lists, "src/a.cc:1:", "CMakeLists.txt")
        self.write("src/CMakeLists.txt", "target_sources(tuskv PRIVATE\n  a.cc\n)\n")
        self.assert_clean(tidy.check_lists)
        self.write("src/os/a.cc", "")
        self.assert_found(tidy.check_lists, "src/os/a.cc:1:")

    def test_folder_added_by_nothing(self):
        self.write("CMakeLists.txt", "add_subdirectory(tests)\n")
        self.write("tests/CMakeLists.txt", "add_subdirectory(api)  # and cli\n")
        self.write("tests/api/CMakeLists.txt", "")
        self.write("tests/install/CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(consumer)\n")
        self.assert_clean(tidy.check_folders)
        self.write("tests/cli/CMakeLists.txt", "")
        self.assert_found(tidy.check_folders, "tests/cli/CMakeLists.txt:1:", "tests/CMakeLists.txt")

    def test_header_included_by_nothing(self):
        self.write("src/os/a.h", "")
        self.assert_found(tidy.check_lists, "src/os/a.h:1:", "included by nothing")
        self.write("src/b.h", '#include "os/a.h"\n')
        self.assert_found(tidy.check_lists, "src/b.h:1:")

    # Text

    def test_unfinished_and_machine_paths(self):
        for line in ("# TO" + "DO later", "cd /wo" + "rk/x", "see (/ro" + "ot/y)"):
            self.write("README.md", f"a\n{line}\n")
            self.assert_found(tidy.check_text, "README.md:2:")
        self.write("README.md", "TODOS in http://x.org/work/y, ./work/z and build/work/\n")
        self.assert_clean(tidy.check_text)


if __name__ == "__main__":
    unittest.main()
