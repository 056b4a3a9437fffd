"""Runs a command in a pseudo terminal, for top.test.ts: python3 terminal.py COLUMNS ROWS COMMAND...

Each line on standard input is a command: `keys HEX`, `size COLUMNS ROWS`. What the command writes goes to standard output; when it
has ended, a last line says its exit code and whether the terminal is as it was: `ended 0 restored`.
"""
import fcntl, os, pty, select, signal, struct, sys, termios

columns, rows, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
pid, master = pty.fork()
if pid == 0:
    os.read(0, 1)  # Until the size is set.
    os.execvp(command[0], command)


def resize(width, height):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


resize(columns, rows)
before = termios.tcgetattr(master)
os.write(master, b"\n")
os.write(1, b"pid %d\n" % pid)
pending = b""
ears = [master, 0]
while True:
    ready, _, _ = select.select(ears, [], [])
    if 0 in ready:
        data = os.read(0, 4096)
        if not data:
            ears.remove(0)
            os.kill(pid, signal.SIGKILL)
        pending += data
        *lines, pending = pending.split(b"\n")
        for line in lines:
            words = line.decode().split()
            if words[0] == "keys":
                os.write(master, bytes.fromhex(words[1]))
            else:
                resize(int(words[1]), int(words[2]))
    if master in ready:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
_, status = os.waitpid(pid, 0)
same = termios.tcgetattr(master) == before
os.write(1, b"\nended %d %s\n" % (os.waitstatus_to_exitcode(status), b"restored" if same else b"changed"))
