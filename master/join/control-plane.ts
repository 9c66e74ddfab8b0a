/** How a further master gets what all masters of a cluster share: keys, settings, and the way to the store. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { conflict, methodNotAllowed } from "#shared/api/errors.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import type { Log } from "#shared/client/log.ts";
import { dnsAddress } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { explainRefusal, tokenCredentials } from "#shared/pki/board-join.ts";
import { joinCertificates } from "#shared/pki/certificate-bundle.ts";
import { parseJoinToken, verifyAuthority } from "#shared/pki/join-token.ts";
import type { PathAnswer } from "../apiserver/server-parts.ts";
import { etcdPaths, keepEtcd, knownMembers } from "../etcd/files.ts";
import {
  allAuthorityFiles,
  authoritiesOf,
  authorityFiles,
  PkiError,
  readAuthorityFiles,
} from "../pki/cluster-authorities.ts";
import { parseEncryptionKeys } from "../store/encryption-keys.ts";
import {
  encryptionKeyFile,
  etcdFiles,
  etcdFilesOf,
  isOwnEtcd,
  parseStoreChoice,
  type StoreSettings,
} from "../store/store-choice.ts";

const controlPlanePath = "/bramble/v1/control-plane";

/** Settings that are the cluster's, not one master's. */
const clusterSettings = [
  "clusterCidr",
  "serviceCidr",
  "clusterDns",
  "clusterDomain",
  "serviceNodePortRange",
  "store",
] as const;

type ClusterSettings = Readonly<Record<(typeof clusterSettings)[number], string>>;

/** What travels. */
export interface ControlPlane {
  /** Texts by their path below the data folder. */
  readonly files: Readonly<Record<string, string>>;
  readonly settings: ClusterSettings;
  /** Of an etcd that Bramble runs: where its members are. */
  readonly etcdMembers?: readonly string[] | undefined;
}

/** Where a further master keeps the cluster's settings. */
export const settingsFile = "control-plane.json";

/** Hands what masters share to a further master that shows a token for masters. It travels only on TLS whose server the
 *  new master has checked against the token. */
export function controlPlanePaths(settings: StoreSettings & ClusterSettings): Readonly<Record<string, PathAnswer>> {
  return {
    [controlPlanePath]: async ({ method }) => {
      if (method !== "GET") throw methodNotAllowed({ group: "", plural: "control-plane" }, method.toLowerCase());
      const answer = await sharedControlPlane(settings);
      return { kind: "object", code: 200, value: () => answer, text: () => JSON.stringify(answer) };
    },
  };
}

async function sharedControlPlane(settings: StoreSettings & ClusterSettings): Promise<ControlPlane> {
  if (parseStoreChoice(settings.store).kind === "sqlite") {
    throw conflict(
      { group: "", plural: "masters" },
      "",
      "this cluster's state rests on its one master: `bramble store move` brings it to etcd, where several masters can share it",
    );
  }
  const { dataDir } = settings;
  const present = await readdir(join(dataDir, "pki"));
  const keys = present.filter((name) => name.startsWith("encryption") || allAuthorityFiles.includes(name));
  const isOwn = isOwnEtcd(settings.store);
  const etcd = etcdFilesOf(settings);
  const paths: readonly (readonly [name: string, path: string])[] = [
    ...keys.map((file) => [`pki/${file}`, join(dataDir, "pki", file)] as const),
    ...(isOwn
      ? [etcdPaths.caKey, etcdPaths.ca].map((path) => [path, join(dataDir, path)] as const)
      : (["ca", "cert", "key"] as const).map((part) => [etcdFiles[part], etcd[part]] as const)),
  ];
  const files = await Promise.all(paths.map(async ([name, path]) => [name, await readFile(path, "utf8")] as const));
  const own = Object.fromEntries(clusterSettings.map((name) => [name, settings[name]])) as ClusterSettings;
  const shared = { ...own, clusterDns: dnsAddress(settings) };
  return {
    files: Object.fromEntries(files),
    settings: shared,
    ...(isOwn ? { etcdMembers: knownMembers(dataDir) } : {}),
  };
}

export interface ControlPlaneJoin {
  readonly servers: readonly string[];
  /** A join token for masters. */
  readonly token: string;
  readonly dataDir: string;
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
}

const patience_ms = 15_000;

/** Fetches what masters share into the data folder of a further master, before its first start; later
 *  only keys of the store that were changed meanwhile. Rejects with PkiError when the folder belongs to another cluster. */
export async function joinControlPlane(options: ControlPlaneJoin): Promise<void> {
  const { token, dataDir } = options;
  const authorityFile = join(dataDir, "pki/ca.crt");
  const present = await readIfPresent(authorityFile);
  if (present !== undefined) {
    try {
      const { trusted, former } = await authoritiesOf(await readAuthorityFiles(join(dataDir, "pki")));
      verifyAuthority(parseJoinToken(token), joinCertificates(trusted, former), authorityFile);
    } catch (error) {
      const message = `${dataDir} holds the keys of another cluster. To join this one, move that folder away first`;
      throw new PkiError(message, { cause: error });
    }
    return keepShared(options);
  }
  const { files, settings, etcdMembers } = await fetchControlPlane(options);
  const names = Object.keys(files);
  const missing = authorityFiles.filter((file) => !names.includes(`pki/${file}`));
  if (missing.length > 0) throw new PkiError(`the master did not send ${missing.join(", ")}`);
  const strange = names.find((name) => !/^[a-z0-9-]+(\/[a-z0-9.-]+)+$/.test(name) || name.includes(".."));
  if (strange !== undefined) throw new PkiError(`the master sent a file of an unexpected name: ${strange}`);
  await writeSecureFile(join(dataDir, settingsFile), `${JSON.stringify(settings, undefined, 2)}\n`);
  await keepEtcdMembers(dataDir, etcdMembers);
  // The CA's certificate last: a start that finds it finds everything.
  const ordered = [...names.filter((name) => name !== "pki/ca.crt"), "pki/ca.crt"];
  for (const name of ordered) await writeSecureFile(join(dataDir, name), files[name] ?? "");
}

async function fetchControlPlane({ servers, token, signal }: ControlPlaneJoin): Promise<ControlPlane> {
  const credentials = await tokenCredentials(servers, token, signal);
  const client = new HttpClient({ servers, credentials: () => credentials, timeout_ms: patience_ms });
  const request = { method: "GET", path: controlPlanePath, signal } as const;
  return (await client.raw(request).catch(explainRefusal)) as ControlPlane;
}

/** A member of etcd that begins asks these; one that runs keeps the list itself. */
async function keepEtcdMembers(dataDir: string, members: readonly string[] | undefined): Promise<void> {
  if (members && knownMembers(dataDir).length === 0) await keepEtcd(dataDir, { members, cluster: undefined });
}

/** The keys that open the store may have been changed while this master was away, and they are not in it. */
async function keepShared(options: ControlPlaneJoin): Promise<void> {
  const { dataDir, log } = options;
  try {
    const { files, etcdMembers } = await fetchControlPlane(options);
    await keepEtcdMembers(dataDir, etcdMembers);
    const text = files[encryptionKeyFile];
    const path = join(dataDir, encryptionKeyFile);
    if (text === undefined || text === (await readIfPresent(path))) return;
    parseEncryptionKeys(text, encryptionKeyFile);
    await writeSecureFile(path, text);
    log?.info("took over the keys that encrypt Secrets in the store");
  } catch (error) {
    // It has joined: a token that has expired, or a first master that is away, is no reason not to serve.
    log?.info("the other masters were not asked for their keys", { error });
  }
}

/**
 * The settings with which a master runs: of one that was told to join others, the cluster's are taken over (the store's
 * address unless it is given). Rejects with ConfigError for a first start without a token.
 */
export async function joinedSettings(given: MasterSettings, log: Log): Promise<MasterSettings> {
  const { server: servers, token, dataDir } = given;
  if (servers.length > 0) {
    const hasJoined = (await readIfPresent(join(dataDir, "pki/ca.crt"))) !== undefined;
    if (token !== "") await joinControlPlane({ servers, token, dataDir, log });
    else if (!hasJoined) {
      throw new ConfigError("a master joins another with a token: `bramble token create --master` there prints one");
    }
    if (!hasJoined) log.info("joined the cluster's masters", { servers: servers.join(",") });
  }
  const text = await readIfPresent(join(dataDir, settingsFile));
  if (text === undefined) return given;
  const shared = JSON.parse(text) as ClusterSettings;
  return { ...given, ...shared, store: given.store === "sqlite" ? shared.store : given.store };
}
