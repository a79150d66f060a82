"""A job's manners, at the door: stdout, exit status, wrong recipes and keys."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rspnet_platform.command_line import say, say_step

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'platform')!r})\n"
    head = path + "from rspnet_platform.command_line import run_job\n"
    return subprocess.run([sys.executable, "-c", head + code, *arguments], capture_output=True, text=True)


def run_pretrain(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "jobs" / "pretrain.py"), *arguments],
        capture_output=True,
        text=True,
        cwd="/tmp",
        env=os.environ | {"COLUMNS": "200"},
    )


def unwrapped(text: str) -> str:
    """Without the frames and line ends that a terminal's width makes."""
    return " ".join(text.replace("│", " ").split())


def test_a_job_reads_names_as_utf8_under_any_locale():
    """Its processes do too: the job is started anew where the locale is another one's."""
    code = (
        "import os, sys\nrun_job(list, lambda _: {'utf8': sys.flags.utf8_mode, 'asked': os.environ.get('PYTHONUTF8')})"
    )
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'platform')!r})\n"
    head = path + "from rspnet_platform.command_line import run_job\n"
    environment = {key: value for key, value in os.environ.items() if key not in ("LANG", "LC_CTYPE", "PYTHONUTF8")}
    environment |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, env=environment)
    assert json.loads(done.stdout) == {"utf8": 1, "asked": "1"}, done.stderr


def test_stdout_holds_the_result_alone():
    """Whatever else prints, natively too, goes to stderr."""
    done = run(
        "import os\ndef job(config):\n    print('noise'); os.system('echo native'); return {'n': 1}\nrun_job(list, job)"
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"n": 1})
    assert "noise" in done.stderr
    assert "native" in done.stderr


def test_a_users_mistake_is_one_message_without_a_traceback():
    """Status 1, and nothing on stdout."""
    done = run("def job(config):\n    raise ValueError('margin is 3; accepted are 0 to 2')\nrun_job(list, job)")
    assert (done.returncode, done.stdout) == (1, "")
    first, *others = done.stderr.splitlines()
    assert first.endswith(" s  loading the job")
    assert others == ["error: margin is 3; accepted are 0 to 2"]


def test_no_line_of_a_job_holds_a_password(monkeypatch, capsys):
    """Neither an address's nor that of a variable that names a secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret-key")
    say("signed with planted-secret-key for http://someone:planted-password@host")
    say_step("asking http://someone:planted-password@host")
    printed = capsys.readouterr().err
    assert printed.startswith("signed with *** for http://someone:***@host\n")
    assert "planted" not in printed


def test_no_error_of_a_job_holds_a_password():
    """With its traceback or without; nor one in its arguments."""
    error = "{}('no answer from http://someone:planted-password@host')"
    fails = "    raise " + error
    for code in (
        f"def job(config):\n{fails.format('ValueError')}\nrun_job(list, job)",
        f"def job(config):\n{fails.format('RuntimeError')}\nrun_job(list, job)",
        f"def parse(arguments):\n{fails.format('ValueError')}\nrun_job(parse, dict)",
    ):
        done = run(code)
        assert done.stderr.endswith("error: no answer from http://someone:***@host\n")
        assert "@host" not in done.stdout
        assert "planted" not in done.stderr.replace(code, "")


def test_our_own_mistake_shows_its_traceback():
    """So that it can be reported."""
    done = run("def job(config):\n    raise RuntimeError('broken')\nrun_job(list, job)")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-recipe"], "there is no recipe 'no_such_recipe'; accepted are tiny_cpu"),
        (["tiny_cpu", "--task.temprature", "0.1"], "--task.temperature"),
        (["--task.temperature", "0"], "temperature is 0.0; accepted are numbers above 0"),
        (["--scaling.num-workers", "many"], "accepted are 0, N or MIN:MAX"),
        (["--scaling.num-workers", "0:2"], "accepted are 0, N, or MIN:MAX with 1 <= MIN"),
        (["--task.clips.playback-speeds", "2", "2"], "accepted: two or more different"),
    ],
)
def test_wrong_words_are_told_what_is_right(arguments, message):
    """Recipe, key and value alike; nothing starts."""
    done = run_pretrain(*arguments)
    assert done.returncode != 0
    assert message in unwrapped(done.stderr)
    assert done.stdout == ""


def test_help_lists_every_recipe():
    """With a line each."""
    done = run_pretrain("--help")
    assert done.returncode == 0
    assert "tiny_cpu: RSPNet with a tiny encoder" in done.stdout
    assert "rspnet_r3d18: RSPNet with R3D-18" in done.stdout
