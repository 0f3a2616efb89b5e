"""The tool that runs shell commands."""

from concurrent.futures import ThreadPoolExecutor


def test_output_error_and_exit_code(shell):
    answer = shell("echo out; echo err >&2; exit 3")
    assert answer["stdout"] == "out\n"
    assert answer["stderr"] == "err\n"
    assert answer["exitCode"] == 3
    assert answer["executionTimeInMilliseconds"] < 5000


def test_a_failed_command_is_no_error_of_the_tool(pool, environment):
    result = pool.call(
        "runShellCommandInRemoteEnvironment", environmentId=environment, shellCommand="false"
    )
    assert result["isError"] is False


def test_a_program_with_arguments_runs_without_a_shell(shell):
    assert shell(["echo", "$HOME", "a  b", ";"])["stdout"] == "$HOME a  b ;\n"


def test_commands_start_in_the_data_directory_with_no_input(shell):
    assert shell("pwd; cat")["stdout"] == "/mnt/data\n"


def test_a_signal_is_128_and_its_number(shell):
    assert shell("kill -TERM $$")["exitCode"] == 143


def test_a_program_that_is_not_there_or_cannot_run(shell):
    answer = shell(["no-such-program"])
    assert (answer["exitCode"], answer["stderr"]) == (
        127,
        "no-such-program: No such file or directory\n",
    )
    assert shell(["/etc/passwd"])["exitCode"] == 126
    assert shell(["echo", "x" * 200_000])["exitCode"] == 126  # one argument: 128 KiB at most


def test_a_background_process_does_not_hold_the_answer(shell):
    left = "while ! test -e go; do sleep 0.05; done; echo late; echo alive > proof"
    assert shell(f"({left}) & echo now")["stdout"] == "now\n"
    # Nor does losing its reader kill it.
    answer = shell("touch go; while ! test -s proof; do sleep 0.05; done; cat proof")
    assert answer["stdout"] == "alive\n"


def test_a_background_process_that_writes_without_end_does_not_hold_the_answer(start):
    pool = start(max_output_bytes=100_000)
    environment_id = pool.launch()
    answer = pool.shell(environment_id, "yes & sleep 0.1; echo end")
    assert len(answer["stdout"]) == 100_000
    assert pool.shell(environment_id, "pkill yes; echo ok")["stdout"] == "ok\n"


def test_large_and_strange_output(shell):
    answer = shell("head -c 5000000 /dev/zero | tr '\\0' x; printf '\\377' >&2")
    assert (len(answer["stdout"]), answer["stderr"]) == (5_000_000, "\ufffd")


def test_files_are_shared_with_python(pool, environment):
    pool.python(environment, "open('f', 'w').write('from python')")
    assert pool.shell(environment, "cat f")["stdout"] == "from python"


def test_commands_run_beside_python_and_beside_each_other(pool, environment):
    pool.python(environment, "import os, time")
    with ThreadPoolExecutor(3) as threads:
        code = "while not os.path.exists('go'): time.sleep(0.01)\n'went'"
        waiting = threads.submit(pool.python, environment, code)
        other = threads.submit(pool.shell, environment, "until test -e go; do sleep 0.01; done")
        assert pool.shell(environment, "touch go")["exitCode"] == 0
        assert waiting.result(5)["executionResult"] == "went"
        assert other.result(5)["exitCode"] == 0


def test_an_interrupt_through_the_shell_reaches_python(pool, environment):
    pid = pool.python(environment, "import os\nos.getpid()")["executionResult"]
    with ThreadPoolExecutor(1) as threads:
        code = "open('busy', 'w').close()\nwhile True: pass"
        waiting = threads.submit(pool.python, environment, code)
        pool.shell(environment, "until test -e busy; do sleep 0.01; done")
        pool.shell(environment, f"kill -INT {pid}")
        assert waiting.result(5)["error"]["name"] == "KeyboardInterrupt"
    pool.shell(environment, f"kill -INT {pid}")  # between two calls it means nothing
    assert pool.python(environment, "1")["executionResult"] == 1
