"""A process that lacks what Windows lacks, as far as Linux can show it: ``python -m tests.machines.windows COMMAND …``.

Modules of ours see neither POSIX's modules nor its functions and signals; libraries do, because here they are those of
Linux. For all of them an open file can be neither removed nor replaced, and to rename replaces nothing. Other processes
start by spawn, text is opened with its encoding named, and what is printed must fit the code page of the terminal.
"""

import builtins
import importlib
import multiprocessing
import os
import pkgutil
import signal
import sys
import types
import warnings

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "crypt", "nis", "spwd"}
SIGNALS = {f"SIG{name}" for name in "USR1 USR2 HUP KILL QUIT CHLD ALRM PIPE STOP CONT TSTP TTIN TTOU WINCH".split()}
FUNCTIONS = {
    *"fork forkpty register_at_fork getuid geteuid getgid getegid getgroups getpgid getpgrp setpgid setsid".split(),
    *"killpg mkfifo mknod sched_getaffinity sched_setaffinity chown lchown fchown statvfs fstatvfs uname".split(),
    *"getloadavg nice wait wait3 wait4 WNOHANG sysconf sysconf_names pathconf confstr pread pwrite sendfile".split(),
    *"sync fdatasync openpty".split(),
    *"O_NOFOLLOW O_DIRECTORY O_NONBLOCK O_CLOEXEC O_SYNC lockf getxattr setxattr memfd_create getrandom".split(),
    *"pthread_kill pthread_sigmask sigwait setitimer alarm pause siginterrupt sigpending".split(),
}


def pretend() -> None:
    """Make this process one without POSIX; before it imports anything of ours."""
    for name in ("unlink", "remove"):
        setattr(os, name, _refused_while_open(getattr(os, name)))
    os.replace = _refused_while_open(os.replace)
    os.rename = _refused_where_something_is(_refused_while_open(os.rename))
    seen = {module.__name__: _without(module, FUNCTIONS | SIGNALS) for module in (os, signal)}
    seen["os"].kill = _ends_a_process
    original = builtins.__import__

    def imported(name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get("__name__", "")
        if level or not f"{importer}.".startswith("src."):
            return original(name, globals, locals, fromlist, level)
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"{importer} asks for {name}, which Windows lacks", name=name)
        return seen.get(name) or original(name, globals, locals, fromlist, level)

    builtins.__import__ = imported
    warnings.filterwarnings("ignore", category=EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"src\.")


def _without(module: types.ModuleType, names: set[str]) -> types.ModuleType:
    fewer = types.ModuleType(module.__name__)
    fewer.__dict__.update({name: value for name, value in vars(module).items() if name not in names})
    return fewer


def _ends_a_process(process: int, number: int) -> None:
    raise SystemError(f"os.kill({process}, {number}) would end a process on Windows")


def _refused_while_open(function):
    """Remove, or rename, nothing that is open, nor a folder in which something is."""

    def call(*paths, dir_fd=None):
        for path in paths:
            place = os.path.realpath(path if dir_fd is None else f"/proc/self/fd/{dir_fd}/{path}")
            if any(file == place or file.startswith(f"{place}/") for file in _open_files()):
                raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
        return function(*paths) if dir_fd is None else function(*paths, dir_fd=dir_fd)

    return call


def _refused_where_something_is(function):
    def call(path, target):
        if os.path.lexists(target):
            raise FileExistsError(
                17, "Cannot create a file when that file already exists", str(path), None, str(target)
            )
        return function(path, target)

    return call


def _open_files() -> set[str]:
    """Those that this process has opened or mapped."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # that of the list itself
            continue
    with open("/proc/self/maps", encoding="utf-8") as lines:
        return found | {line.split(None, 5)[5].rstrip("\n") for line in lines if "/" in line}


if __name__ != "tests.machines.windows":  # the program, or a worker process of it
    pretend()


def main() -> None:
    """Import all modules, then run the commands that stand between ``--``, up to the first that fails."""
    import src
    from tests.conftest import called

    multiprocessing.set_start_method("spawn")
    for method in ("fork", "forkserver"):
        del multiprocessing.context._concrete_contexts[method]
    for module in pkgutil.walk_packages(src.__path__, "src."):
        importlib.import_module(module.name)
    commands = [command.split("\n") for command in "\n".join(sys.argv[1:]).split("\n--\n")]
    for name, *arguments in commands:
        sys.argv = [name, *arguments]
        if status := called(name):
            sys.exit(status)


if __name__ == "__main__":
    main()
