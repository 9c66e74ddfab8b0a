"""The official client's streams to a pod that runs: logs, exec, attach, port-forward, proxy. POD names it, in `default`; it is
busybox with a web server at port 8080 that answers with the pod's name."""

import json
import os

from kubernetes import client, config, watch
from kubernetes.stream import portforward, stream
from transcript import attempt

POD, NAMESPACE = os.environ["POD"], "default"


def main():
    config.load_kube_config()
    core = client.CoreV1Api()

    def execute(*command, **options):
        settings = dict(command=list(command), stderr=True, stdin=False, stdout=True, tty=False) | options
        return stream(core.connect_get_namespaced_pod_exec, POD, NAMESPACE, **settings)

    attempt("log", lambda: core.read_namespaced_pod_log(POD, NAMESPACE, tail_lines=5))
    attempt("log limited", lambda: core.read_namespaced_pod_log(POD, NAMESPACE, limit_bytes=3))
    attempt("log with times", lambda: core.read_namespaced_pod_log(POD, NAMESPACE, timestamps=True))
    attempt("log of no container", lambda: core.read_namespaced_pod_log(POD, NAMESPACE, container="none"))
    attempt("log before", lambda: core.read_namespaced_pod_log(POD, NAMESPACE, previous=True))
    attempt("log followed", lambda: next(watch.Watch().stream(core.read_namespaced_pod_log, name=POD, namespace=NAMESPACE)))
    attempt("exec", lambda: execute("echo", "hi there"))
    attempt("exec in terminal", lambda: execute("sh", "-c", "test -t 0 && echo terminal", tty=True, stdin=True))
    def refused():
        try:
            execute("true", container="none")
        except client.ApiException as error:
            # Between the two, the answer's headers.
            reason, *_, body = error.reason.split(" -+-+- ")
            return [reason, json.loads(body)]

    attempt("exec in no container", refused)

    def conversation(binary=False):
        them = execute("sh", "-c", "read a; echo out-$a; echo err-$a >&2; exit 7", stdin=True, _preload_content=False, binary=binary)
        them.write_stdin(b"x\n" if binary else "x\n")
        them.run_forever(timeout=30)
        out, err = them.read_stdout(), them.read_stderr()
        return [str(out), str(err), them.returncode]

    attempt("exec talks", conversation)
    attempt("exec talks in bytes", lambda: conversation(binary=True))

    def much():
        them = execute("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x", _preload_content=False)
        size = 0
        while them.is_open():
            them.update(timeout=5)
            size += len(them.read_stdout()) if them.peek_stdout() else 0
        return [size, them.returncode]

    attempt("exec says much", much)

    def attached():
        them = stream(core.connect_get_namespaced_pod_attach, POD, NAMESPACE, stdout=True, stderr=True, stdin=False, tty=False, _preload_content=False)
        them.update(timeout=1)
        is_open = them.is_open()
        them.close()
        return is_open

    attempt("attach", attached)

    def forwarded(port):
        them = portforward(core.connect_get_namespaced_pod_portforward, POD, NAMESPACE, ports=str(port))
        connection = them.socket(port)
        connection.setblocking(True)
        connection.settimeout(20)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = b""
        while chunk := connection.recv(65536):
            said += chunk
        return [said.split(b"\r\n")[0].decode(), said.decode().strip().endswith(POD), them.error(port)]

    attempt("port-forward", lambda: forwarded(8080))
    attempt("proxy", lambda: core.connect_get_namespaced_pod_proxy(f"{POD}:8080", NAMESPACE).strip() == POD)

    def ephemeral():
        body = {"spec": {"ephemeralContainers": [{"name": "look", "image": os.environ["IMAGE"], "command": ["sleep", "1"], "targetContainerName": "web"}]}}
        return [each.name for each in core.patch_namespaced_pod_ephemeralcontainers(POD, NAMESPACE, body).spec.ephemeral_containers]

    attempt("ephemeral container", ephemeral)


if __name__ == "__main__":
    main()
