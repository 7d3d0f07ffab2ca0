"""What a service manager sees: readiness, watchdog, reload, a socket handed over; and the configuration file."""
import os
import signal
import socket
import subprocess
import tempfile
import unittest
import http.client

from kennel_test import KENNELD, until


class Manager:
    """Stands in for systemd: $NOTIFY_SOCKET, and $LISTEN_FDS where asked for."""

    def __init__(self, *options, fds=(), **environment):
        self.folder = tempfile.TemporaryDirectory()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(f"{self.folder.name}/notify")
        self.notify.settimeout(60)
        self.log = tempfile.TemporaryFile("w+")
        script = 'export LISTEN_PID=$$; exec "$@"'
        for target, fd in enumerate(fds, 3):
            script = f"exec {target}<&{fd.fileno()}; " + script
        self.process = subprocess.Popen(
            ["sh", "-c", script, "sh", KENNELD, "--state", f"{self.folder.name}/state", *options],
            env={**os.environ, "NOTIFY_SOCKET": f"{self.folder.name}/notify", "LISTEN_FDS": str(len(fds)),
                 **environment}, pass_fds=[fd.fileno() for fd in fds], stderr=self.log)

    def message(self):
        return self.notify.recv(4096).decode()

    def wait_for(self, word):
        while word not in (text := self.message()):
            pass
        return text

    def end(self):
        self.process.terminate()
        status = self.process.wait(60)
        self.notify.close()
        self.folder.cleanup()
        self.log.seek(0)
        text = self.log.read()
        self.log.close()
        return status, text


class Service(unittest.TestCase):
    def test_ready_reload_stopping(self):
        manager = Manager("--listen", "127.0.0.1:0")
        self.assertEqual(manager.message(), "READY=1")
        manager.process.send_signal(signal.SIGHUP)
        self.assertRegex(manager.message(), r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.assertEqual(manager.message(), "READY=1")
        manager.process.terminate()
        self.assertEqual(manager.message(), "STOPPING=1")
        self.assertEqual(manager.end()[0], 0)

    def test_watchdog(self):
        manager = Manager("--listen", "127.0.0.1:0", WATCHDOG_USEC="300000")
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        self.assertEqual(manager.end()[0], 0)

    def test_socket_activation(self):
        with socket.create_server(("127.0.0.1", 0)) as ours:
            port = ours.getsockname()[1]
            manager = Manager("--listen", "127.0.0.1:1", fds=[ours])
            manager.wait_for("READY=1")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/")
            self.assertEqual(connection.getresponse().read(), b"Healthy")
            connection.close()
            self.assertEqual(manager.end()[0], 0)

    def test_sockets_that_are_refused(self):
        with socket.create_server(("0.0.0.0", 0)) as beyond, socket.create_server(("127.0.0.1", 0)) as good, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for fds, word in (([beyond], "no keys"), ([datagrams], "does not listen"), ([good, good], "use for one")):
                manager = Manager(fds=fds)
                manager.process.wait(60)
                status, log = manager.end()
                self.assertEqual(status, 2, log)
                self.assertIn(word, log)


class Configuration(unittest.TestCase):
    def run_with(self, text, *options):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/kennel.conf", "w") as file:
                file.write(text.replace("FOLDER", folder))
            words = [KENNELD, "--config", f"{folder}/kennel.conf", *options]
            process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
            if "port-file" in text:
                until(lambda: os.path.exists(f"{folder}/port") or process.poll() is not None)
                process.terminate()
            return process.communicate(timeout=60)[1], process.returncode

    def test_options_from_a_file(self):
        good = "# where\nstate = FOLDER/state\nlisten = 127.0.0.1:0\nport-file = FOLDER/port\nscore-queue = 7\n"
        log, status = self.run_with(good)
        self.assertEqual(status, 0, log)
        self.assertIn("FOLDER/state".split("/")[1], log)
        log, status = self.run_with(good.replace("127.0.0.1:0", "nonsense"), "--listen", "127.0.0.1:0")
        self.assertEqual(status, 0, f"the command line comes last: {log}")

    def test_bad_files(self):
        for text, words in (("nonsense = 1", "line 1: unknown option"), ("\nscore-queue = 0", "line 2: score-queue must be"),
                            ("allow-remote = perhaps", "must be true or false"), ("listen", "expected NAME = VALUE")):
            log, status = self.run_with(text)
            self.assertEqual(status, 2)
            self.assertIn(words, log)


if __name__ == "__main__":
    unittest.main()
