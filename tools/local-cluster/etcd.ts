import { createCertificateAuthority, extendedKeyUsages, issueCertificate } from "#shared/pki/certificate.ts";
import type { Board, BoardHost } from "./board.ts";

/** Where a board has its member's certificates; beside them those with which a master shows itself. */
const folder = "/etc/bramble/etcd";

/** What an etcd member on a board is started with, and where. */
interface EtcdMember {
  readonly name: string;
  readonly args: readonly string[];
}

const clientUrl = (board: Board): string => `https://${board.address}:2379`;
const peerUrl = (board: Board): string => `https://${board.address}:2380`;

/** The member on `board` of a cluster with one on each of `boards`. */
function etcdMember(board: Board, boards: readonly Board[]): EtcdMember {
  const tls = (prefix: string): string[] => [
    `--${prefix}cert-file=${folder}/server.crt`,
    `--${prefix}key-file=${folder}/server.key`,
    `--${prefix}trusted-ca-file=${folder}/ca.crt`,
    `--${prefix}client-cert-auth`,
  ];
  return {
    name: board.name,
    args: [
      `--name=${board.name}`,
      "--data-dir=/var/lib/bramble/etcd",
      `--listen-client-urls=${clientUrl(board)}`,
      `--advertise-client-urls=${clientUrl(board)}`,
      `--listen-peer-urls=${peerUrl(board)}`,
      `--initial-advertise-peer-urls=${peerUrl(board)}`,
      `--initial-cluster=${boards.map((each) => `${each.name}=${peerUrl(each)}`).join(",")}`,
      ...tls(""),
      ...tls("peer-"),
    ],
  };
}

/** How the first master is told of it; further ones learn it from the first. */
export const storeArgs = (boards: readonly Board[]): string[] => [
  `--store=etcd=${boards.map(clientUrl).join(",")}`,
  `--etcd-cafile=${folder}/ca.crt`,
  `--etcd-certfile=${folder}/client.crt`,
  `--etcd-keyfile=${folder}/client.key`,
];

/** Environment and arguments of etcdctl on a board. */
export const etcdctlArgs = (boards: readonly Board[]): string[] => [
  "env",
  "ETCDCTL_API=3",
  "etcdctl",
  `--endpoints=${boards.map(clientUrl).join(",")}`,
  `--cacert=${folder}/ca.crt`,
  `--cert=${folder}/client.crt`,
  `--key=${folder}/client.key`,
];

/** Makes an authority and writes each board's certificates to where it will find them. */
export async function writeEtcdCertificates(hosts: readonly BoardHost[]): Promise<void> {
  const ca = await createCertificateAuthority("etcd-ca");
  const { serverAuth, clientAuth } = extendedKeyUsages;
  const client = await issueCertificate(ca, { commonName: "bramble" }, [clientAuth]);
  for (const host of hosts) {
    const { name, address } = host.board;
    const usages = [serverAuth, clientAuth];
    const server = await issueCertificate(ca, { commonName: name, ipAddresses: [address] }, usages);
    write(host, "ca.crt", ca.certificatePem);
    for (const [file, pair] of [["server", server] as const, ["client", client] as const]) {
      write(host, `${file}.crt`, pair.certificatePem);
      write(host, `${file}.key`, pair.keyPem);
    }
  }
}

function write(host: BoardHost, file: string, text: string): void {
  const script = 'umask 077; mkdir -p "$1"; printf %s "$3" >"$1/$2"';
  host.exec(["sh", "-c", script, "sh", folder, file, text]);
}

const pidFile = "/run/etcd.pid";

/** Starts the member on this board, with what it had before. */
export function startEtcd(host: BoardHost, boards: readonly Board[]): void {
  const script = `setsid etcd "$@" >>/var/log/etcd.log 2>&1 </dev/null & echo $! >${pidFile}`;
  const { args } = etcdMember(host.board, boards);
  host.exec(["env", "ETCD_UNSUPPORTED_ARCH=arm64", "sh", "-c", script, "sh", ...args]);
}

/** Kills the member on this board. */
export function killEtcd(host: BoardHost): void {
  host.exec(["sh", "-c", `kill -KILL "$(cat ${pidFile})"`]);
}
