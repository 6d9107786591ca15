"""What a program gets, and has to have, that builds tuskv or is built with it; configured where that is enough.

The library is the one of the directory of the build, TUSKV_BUILD, which is installed; run.sh builds others.
"""
import os
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

# Loads a shared object, uses it, lets it go, and prints what it gave and whether it is still there.
LOAD = """
import _ctypes, ctypes, sys
plugin = ctypes.CDLL(sys.argv[1])
print(plugin.count_visits(b"memory:"), plugin.count_visits(b"file:./data"))
_ctypes.dlclose(plugin._handle)
print(sys.argv[1] in open("/proc/self/maps").read())
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

    def assert_plugin_works(self, plugin):
        printed = self.run_tool(sys.executable, "-c", LOAD, str(plugin))
        self.assertEqual(printed, "2 2\nTrue\n", "what it counted, and that it stays: threads of tuskv may be in it")

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


if __name__ == "__main__":
    unittest.main()
