/** Where the etcd that Bramble runs itself has its files, and what stands in them. */

import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { ifPresentSync, readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { inUrl, outOfUrl } from "#shared/http/host-port.ts";
import type { EtcdMember } from "../store/etcd/maintenance-messages.ts";

const clientPort = 2379;
const peerPort = 2380;
/** For loopback alone: /health and /metrics without certificates, as kubeadm's members have it. */
export const healthPort = 2381;

/** Paths below the data folder. */
export const etcdPaths = {
  ca: "pki/etcd/ca.crt",
  caKey: "pki/etcd/ca.key",
  /** Key and certificate in one file each. */
  server: "pki/etcd/server.pem",
  peer: "pki/etcd/peer.pem",
  client: "pki/etcd/client.pem",
  config: "etcd/etcd.yaml",
  data: "etcd/data",
  /** The cluster as it was last seen; not beside the data, which can be lost with a disk of their own. */
  members: "etcd-members.json",
} as const;

export const clientUrl = (address: string): string => `https://${inUrl(address)}:${clientPort}`;
export const peerUrl = (address: string): string => `https://${inUrl(address)}:${peerPort}`;

export interface EtcdConfig {
  readonly dataDir: string;
  readonly name: string;
  readonly address: string;
  readonly quota_bytes: number;
  /** How the member finds its cluster at its first start; later its data tell. */
  readonly initial: {
    readonly state: "new" | "existing";
    /** Peer URLs by name, this member's among them. */
    readonly members: readonly (readonly [name: string, peerUrl: string])[];
  };
}

/** etcd's file of settings. Pure. */
export function renderConfig({ dataDir, name, address, quota_bytes, initial }: EtcdConfig): string {
  const tls = (file: string) => ({
    "cert-file": join(dataDir, file),
    "key-file": join(dataDir, file),
    "trusted-ca-file": join(dataDir, etcdPaths.ca),
    "client-cert-auth": true,
  });
  const anywhere = isIPv6(address) ? "::" : "0.0.0.0";
  const settings = {
    name,
    "data-dir": join(dataDir, etcdPaths.data),
    // At every address of the board: DHCP may change them while it runs. Nobody is served without a certificate.
    "listen-client-urls": clientUrl(anywhere),
    "advertise-client-urls": clientUrl(address),
    "listen-peer-urls": peerUrl(anywhere),
    "initial-advertise-peer-urls": peerUrl(address),
    "listen-metrics-urls": `http://127.0.0.1:${healthPort}`,
    "initial-cluster": initial.members.map(([member, url]) => `${member}=${url}`).join(","),
    "initial-cluster-state": initial.state,
    "client-transport-security": tls(etcdPaths.server),
    "peer-transport-security": tls(etcdPaths.peer),
    // A card may take a tenth of a second for a write, and its board be busy.
    "heartbeat-interval": 200,
    "election-timeout": 2_000,
    "quota-backend-bytes": quota_bytes,
    // Nanoseconds. What was acknowledged is in the log; the database may follow later, and writes some 30 kB each time that
    // it does. What waits is held in memory.
    "backend-batch-interval": 10_000_000_000,
    "backend-batch-limit": 100,
    // Entries between snapshots are held in memory (etcd 3.4: 100,000).
    "snapshot-count": 5_000,
    // Each takes 64 MB of the card.
    "max-wals": 2,
    "max-snapshots": 2,
    "log-level": "warn",
    logger: "zap",
  };
  // JSON is YAML.
  return `${JSON.stringify(settings, undefined, 2)}\n`;
}

/** What a board knows of the cluster of etcd. */
export interface KnownEtcd {
  /** The members' client URLs; empty where none are known yet. */
  readonly members: readonly string[];
  /** The cluster's number, in hexadecimal; undefined until its etcd has answered. */
  readonly cluster: string | undefined;
}

export function knownEtcd(dataDir: string): KnownEtcd {
  const text = ifPresentSync(() => readFileSync(join(dataDir, etcdPaths.members), "utf8"));
  if (text === undefined) return { members: [], cluster: undefined };
  const known = JSON.parse(text) as Partial<KnownEtcd>;
  return { members: (known.members ?? []).filter((url) => URL.canParse(url)), cluster: known.cluster };
}

export const knownMembers = (dataDir: string): readonly string[] => knownEtcd(dataDir).members;

/** This board's member as it was last started; undefined where it never was. */
export function ownClientUrl(dataDir: string): string | undefined {
  const text = ifPresentSync(() => readFileSync(join(dataDir, etcdPaths.config), "utf8"));
  if (text === undefined) return undefined;
  return String((JSON.parse(text) as Record<string, unknown>)["advertise-client-urls"]);
}

/** Keeps it; writes only what has changed. */
export async function keepEtcd(dataDir: string, { members, cluster }: KnownEtcd): Promise<void> {
  const known: KnownEtcd = { members: [...new Set(members)].sort(), cluster };
  await writeIfChanged(join(dataDir, etcdPaths.members), `${JSON.stringify(known)}\n`);
}

/** Where a member is asked. One that has not started yet names no address for clients, and one whose board got another address
 *  names the former one until it starts again: both are where their peers find them. */
export function clientUrlsOf({ clientUrls, peerUrls }: EtcdMember): string[] {
  const named = clientUrls.filter((url) => url.startsWith("https:"));
  return [...new Set([...named, ...peerUrls.map((url) => clientUrl(outOfUrl(new URL(url).hostname)))])];
}

export async function writeIfChanged(path: string, text: string): Promise<void> {
  if ((await readIfPresent(path)) !== text) await writeSecureFile(path, text);
}

/** What a client shows to this etcd; read anew for each connection. */
export function etcdCredentials(dataDir: string): { readonly ca: string; readonly cert: string; readonly key: string } {
  const pem = readFileSync(join(dataDir, etcdPaths.client), "utf8");
  return { ca: readFileSync(join(dataDir, etcdPaths.ca), "utf8"), cert: pem, key: pem };
}
