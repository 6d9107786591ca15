"""What a program gets, and has to have, that builds tuskv or is built with it; configured where that is enough.

The library is the one of the directory of the build, TUSKV_BUILD, which is installed; run.sh builds others.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ["TUSKV_BUILD"])
CONSUMER = SOURCE / "tests/install"
LIBRARY_ALONE = ("-DTUSKV_TESTS=OFF", "-DTUSKV_CLI=OFF", "-DTUSKV_EXAMPLES=OFF")
TIMEOUT_S = 600

# Loads a shared object, uses it, and prints what it gave.
LOAD = """
import ctypes, sys
plugin = ctypes.CDLL(sys.argv[1])
print(plugin.count_visits(b"memory:"), plugin.count_visits(b"file:./data"))
"""


class PackagingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(prefix="tuskv-packaging-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, True)
        cls.prefix = cls.directory / "prefix"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", cls.prefix], stdout=subprocess.DEVNULL, check=True)

    def setUp(self):
        self.scratch = self.directory / self._testMethodName
        self.scratch.mkdir()

    def run_tool(self, *words, code=0, **environment):
        """What it printed."""
        done = subprocess.run(words, cwd=self.scratch, env={**os.environ, **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)
        printed = done.stdout.decode()
        self.assertEqual(done.returncode != 0, code != 0, f"{words}\n{printed}")
        return printed

    def configure(self, source, *arguments, **options):
        return self.run_tool("cmake", "-G", "Ninja", "-S", source, "-B", self.scratch / "build",
                             f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_CXX_FLAGS=-O0", *arguments, **options)

    def build(self, target):
        self.run_tool("cmake", "--build", self.scratch / "build", "--target", target)

    def configure_project(self, text, **options):
        """A project of the user's, with this text."""
        source = self.scratch / "source"
        source.mkdir(exist_ok=True)
        header = "cmake_minimum_required(VERSION 3.25)\nproject(user LANGUAGES CXX)\n"
        (source / "CMakeLists.txt").write_text(header + text, encoding="utf-8")
        return self.configure(source, **options)

    def cache(self):
        """The names in the cache of the build that was configured."""
        text = (self.scratch / "build/CMakeCache.txt").read_text(encoding="utf-8")
        return set(re.findall(r"^([\w-]+):", text, re.M))

    def pkg_config_files(self, *names):
        """The path of a folder with these alone."""
        folder = self.scratch / "pkgconfig"
        folder.mkdir()
        for name in names:
            found = self.run_tool("pkg-config", "--variable=pcfiledir", name).strip()
            (folder / f"{name}.pc").symlink_to(Path(found) / f"{name}.pc")
        return {"PKG_CONFIG_LIBDIR": str(folder), "PKG_CONFIG_PATH": ""}

    def parts_that_are_built(self):
        """Of a build of tuskv that was configured: the optional libraries that its users link."""
        text = (self.scratch / "build/tuskv.pc").read_text(encoding="utf-8")
        return {name for name in ("-lpq", "libcrypto") if name in text}

    def assert_plugin_works(self, plugin):
        printed = self.run_tool(sys.executable, "-c", LOAD, str(plugin))
        self.assertEqual(printed, "2 2\n", "what it counted")
        self.assertIn("NODELETE", self.run_tool("readelf", "-d", str(plugin)), "threads of tuskv may be in it")

    def test_S190_the_static_library_goes_into_a_shared_object(self):
        self.configure(CONSUMER, "-DPLUGIN=ON")
        self.build("plugin")
        self.assert_plugin_works(self.scratch / "build/libplugin.so")

    def test_S190_so_it_does_by_pkg_config(self):
        folder = next(self.prefix.rglob("tuskv.pc")).parent
        flags = self.run_tool("pkg-config", "--static", "--cflags", "--libs", "tuskv", PKG_CONFIG_PATH=str(folder))
        plugin = self.scratch / "plugin.so"
        self.run_tool("g++", "-std=c++20", "-fPIC", "-shared", CONSUMER / "plugin.cc", "-o", plugin, *flags.split())
        self.assert_plugin_works(plugin)

    def test_S191_pkg_config_of_a_shared_build_wants_no_other_package(self):
        self.configure(SOURCE, *LIBRARY_ALONE, "-DBUILD_SHARED_LIBS=ON")
        alone = {"PKG_CONFIG_LIBDIR": str(self.scratch / "build"), "PKG_CONFIG_PATH": ""}
        for static in ((), ("--static",)):
            flags = self.run_tool("pkg-config", *static, "--cflags", "--libs", "tuskv", **alone).split()
            self.assertIn("-ltuskv", flags)
            self.assertIn("-DTUSKV_SHARED", flags)

    def test_S192_an_optional_library_that_comes_later_is_found(self):
        few = self.pkg_config_files("libxxhash")
        printed = self.configure(SOURCE, *LIBRARY_ALONE, "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON", **few)
        self.assertRegex(printed, "No libpq.*no PostgreSQL engine.*TUSKV_POSTGRES")
        self.assertRegex(printed, "No OpenSSL.*no AES-256-GCM.*TUSKV_ENCRYPTION")
        self.assertEqual(self.parts_that_are_built(), set())
        printed = self.configure(SOURCE, "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=OFF")
        self.assertNotRegex(printed, "No libpq|No OpenSSL")
        self.assertEqual(self.parts_that_are_built(), {"-lpq", "libcrypto"})

    def test_S192_what_the_user_has_said_of_it_stays(self):
        self.configure(SOURCE, *LIBRARY_ALONE, "-DTUSKV_POSTGRES=OFF", "-DTUSKV_ENCRYPTION=ON")
        self.configure(SOURCE)
        self.assertEqual(self.parts_that_are_built(), {"libcrypto"})
        self.configure(SOURCE, "-DTUSKV_POSTGRES=AUTO", "-DTUSKV_ENCRYPTION=OFF")
        self.assertEqual(self.parts_that_are_built(), {"-lpq"})

    def test_S192_what_the_user_wants_and_is_not_there_is_an_error(self):
        few = self.pkg_config_files("libxxhash")
        printed = self.configure(SOURCE, *LIBRARY_ALONE, "-DTUSKV_POSTGRES=ON", code=1, **few)
        self.assertRegex(printed, "TUSKV_POSTGRES is ON, and there is no\\s+libpq")

    # Libraries that a project has brought along under the names that tuskv links.
    OWN_LIBRARIES = """
        find_package(PkgConfig REQUIRED)
        pkg_check_modules(own_abseil REQUIRED IMPORTED_TARGET absl_btree)
        pkg_check_modules(own_xxhash REQUIRED IMPORTED_TARGET libxxhash)
        add_library(absl::btree ALIAS PkgConfig::own_abseil)
        add_library(PkgConfig::libxxhash ALIAS PkgConfig::own_xxhash)
        set(CMAKE_DISABLE_FIND_PACKAGE_absl ON)
        """

    def test_S193_libraries_of_the_project_around_are_used(self):
        self.configure_project(f"{self.OWN_LIBRARIES}\nadd_subdirectory({SOURCE} tuskv)\n")

    def test_S193_so_they_are_with_an_installed_tuskv(self):
        self.configure_project(f"""{self.OWN_LIBRARIES}
            find_package(tuskv 0.1 CONFIG REQUIRED)
            add_executable(consumer {CONSUMER}/consumer.cc)
            target_link_libraries(consumer PRIVATE tuskv::tuskv)
            """)
        self.build("consumer")
        self.run_tool(self.scratch / "build/consumer")

    def test_S194_a_nested_tuskv_adds_no_option_but_its_own(self):
        self.configure_project(f"add_subdirectory({SOURCE} tuskv)\n")
        self.assertIn("TUSKV_POSTGRES", self.cache())
        self.assertNotIn("BUILD_SHARED_LIBS", self.cache())

    def test_S194_an_installed_tuskv_leaves_no_setting_changed(self):
        printed = self.configure_project("""
            find_package(Threads)
            get_cmake_property(before VARIABLES)
            find_package(tuskv 0.1 CONFIG REQUIRED)
            get_cmake_property(names VARIABLES)
            list(REMOVE_ITEM names ${before})
            list(FILTER names INCLUDE REGEX "^(BUILD_|CMAKE_|THREADS_)")
            message(STATUS "new: ${names}.")
            """)
        self.assertIn("-- new: .\n", printed)

    def test_what_the_readme_wants_is_enough(self):
        """Its command configures without what only the tool and the tests need."""
        command = re.search(r"`cmake -B build ([^`]*)`", (SOURCE / "README.md").read_text(encoding="utf-8"))
        without = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON"
                   for name in ("GTest", "CLI11", "nlohmann_json", "Protobuf", "Python3", "OpenSSL")]
        self.configure(SOURCE, *command.group(1).split(), *without, **self.pkg_config_files("libxxhash"))


if __name__ == "__main__":
    unittest.main()
