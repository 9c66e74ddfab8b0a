import { hostPort } from "#shared/http/host-port.ts";
import type { Board, BoardHost } from "./board.ts";

/** How the first master is told that it shares Bramble's own etcd; further ones learn it from the first. */
export const storeArgs: readonly string[] = ["--store=etcd"];

const pki = "/var/lib/bramble/pki/etcd";

/** Environment and arguments of etcdctl on a master. */
export const etcdctlArgs = (boards: readonly Board[]): string[] => [
  "env",
  "ETCDCTL_API=3",
  "etcdctl",
  `--endpoints=${boards.map(({ address }) => `https://${hostPort(address, 2379)}`).join(",")}`,
  `--cacert=${pki}/ca.crt`,
  `--cert=${pki}/client.pem`,
  `--key=${pki}/client.pem`,
];

/** Starts the member on this board, with what it had before; with further arguments for a first start. */
export function startEtcd(host: BoardHost, extra: readonly string[] = []): void {
  const [, ...args] = host.board.args;
  const script = 'setsid "$@" >>/var/log/etcd.log 2>&1 </dev/null &';
  host.exec(["sh", "-c", script, "sh", host.binary, "etcd", ...args, ...extra]);
}

/** Waits until the member on this board is one that votes: until then the others have no majority without it to lose. */
export function awaitVote(host: BoardHost): void {
  host.exec([host.binary, "etcd", "ready", "--wait", "120"]);
}

/** Kills the member on this board, and waits until it is gone: its files and ports are another's from then on. */
export function killEtcd(host: BoardHost): void {
  const script =
    "pid=$(cut -d' ' -f1 /run/bramble/etcd.pid); kill -KILL $pid; while [ -e /proc/$pid ]; do sleep 0.05; done";
  host.exec(["sh", "-c", script]);
}
