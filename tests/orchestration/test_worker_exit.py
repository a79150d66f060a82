"""A worker's process ends before native libraries' threads meet an interpreter that takes itself apart."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = f"""
import atexit, os, signal, sys, weakref
sys.path.insert(0, {str(ROOT / "platform")!r})
atexit.register(print, "an interpreter that takes itself apart")
import ray
from types import SimpleNamespace
ray.get_runtime_context = lambda: SimpleNamespace(gcs_address="127.0.0.1:1")
from rspnet_platform.worker_setup import set_up_worker
set_up_worker()
atexit.register(print, "what came after")
class Folder: pass
folder = Folder()
def take_leave():
    print("a temporary folder")
    os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("in the middle of a clean-up"))
weakref.finalize(folder, take_leave)
print("not yet flushed", end=" ")
sys.exit(1)
"""


def test_a_worker_ends_after_its_own_clean_up_and_before_the_interpreters():
    """Once it is set up as each worker is. What tasks have registered is called, and temporary folders go; output is
    not lost. A SIGTERM on the way, as Ray sends it, changes nothing."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not yet flushed" in done.stdout
    assert "a temporary folder" in done.stdout
    assert "what came after" in done.stdout
    assert "interpreter" not in done.stdout
