import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { ConfigError } from "#shared/config/option.ts";
import { etcdPaths, knownMembers } from "../etcd/files.ts";
import { encryptedPrefixes } from "./encryption-keys.ts";
import { type Encryption, openSealed, restingTransformer } from "./resting-values.ts";
import { ShiftedStore } from "./shifted-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { type Revision, type Store, StoreUnavailableError } from "./store.ts";
import { plainText } from "./value-transformer.ts";

/** Does Bramble itself run the etcd that this names? */
export function isOwnEtcd(text: string): boolean {
  const choice = parseStoreChoice(text);
  return choice.kind === "etcd" && choice.endpoints === undefined;
}

/** Where a cluster's state rests. */
export type StoreChoice =
  | { readonly kind: "sqlite" }
  /** Endpoints undefined: the etcd that Bramble runs itself, whose members are known from its files. */
  | { readonly kind: "etcd"; readonly endpoints: readonly string[] | undefined };

/** Reads `sqlite`, `etcd` or `etcd=https://a:2379,https://b:2379`. Throws ConfigError. */
export function parseStoreChoice(text: string): StoreChoice {
  if (text === "sqlite") return { kind: "sqlite" };
  if (text === "etcd") return { kind: "etcd", endpoints: undefined };
  const [, list] = /^etcd=(.+)$/.exec(text) ?? [];
  if (list === undefined)
    throw new ConfigError(`store: expected sqlite, etcd or etcd=https://HOST:2379,…, got ${text}`);
  const endpoints = list.split(",").map((part) => part.trim());
  for (const endpoint of endpoints) {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (url?.protocol !== "https:" || url.pathname !== "/") {
      throw new ConfigError(`store: expected https://HOST:2379 for each member of etcd, got ${endpoint}`);
    }
  }
  return { kind: "etcd", endpoints };
}

/** What opening a store takes of a master's settings. */
export interface StoreSettings {
  readonly dataDir: string;
  readonly store: string;
  readonly etcdCafile: string;
  readonly etcdCertfile: string;
  readonly etcdKeyfile: string;
  readonly encryptionProviderConfig?: string | undefined;
  readonly encryptionProviderConfigAutomaticReload?: boolean | undefined;
}

const retry_ms = 3_000;

export const encryptionKeyFile = "pki/encryption.key";

/** Where a master that joined another one finds what proves it to etcd; flags name other files. */
export const etcdFiles = { ca: "pki/etcd/ca.crt", cert: "pki/etcd/client.crt", key: "pki/etcd/client.key" } as const;

/** The files with which a master shows itself to etcd, as paths. */
export function etcdFilesOf(settings: StoreSettings): {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
} {
  const { dataDir, etcdCafile, etcdCertfile, etcdKeyfile } = settings;
  if (isOwnEtcd(settings.store)) {
    const [ca, client] = [join(dataDir, etcdPaths.ca), join(dataDir, etcdPaths.client)];
    return { ca, cert: client, key: client };
  }
  return {
    ca: etcdCafile || join(dataDir, etcdFiles.ca),
    cert: etcdCertfile || join(dataDir, etcdFiles.cert),
    key: etcdKeyfile || join(dataDir, etcdFiles.key),
  };
}

/** Where etcd keeps by how much its revisions are raised. */
const shiftKey = "bramble_revision_shift";

export interface OpenOptions {
  /** For a store that is filled with a cluster from elsewhere: its revisions go on after this one. */
  readonly after?: Revision | undefined;
  /** Of sqlite, another file than the master's. */
  readonly path?: string | undefined;
}

/** Where a master keeps its state that keeps it in sqlite. */
export const databaseOf = ({ dataDir }: Pick<StoreSettings, "dataDir">): string => join(dataDir, "store", "store.db");

/** Opens the store that the settings name; code for etcd is loaded only for etcd. Rejects with ConfigError for files that
 *  are not there, StoreUnavailableError where no majority of etcd answers, StoreDamagedError for a damaged file of sqlite. */
export function openStore(settings: StoreSettings, log: Log, options: OpenOptions = {}): Promise<Store> {
  const encryption = { keyFile: join(settings.dataDir, encryptionKeyFile), prefixes: encryptedPrefixes };
  return openSealed(settings, encryption, log, (own) => openEngine(settings, log, options, own));
}

/** The same with values as they rest, both ways: no keys are needed, and no key service. */
export const openStoreAsItRests = (settings: StoreSettings, log: Log): Promise<Store> =>
  openEngine(settings, log, {}, undefined);

async function openEngine(
  settings: StoreSettings,
  log: Log,
  options: OpenOptions,
  encryption: Encryption | undefined,
): Promise<Store> {
  const choice = parseStoreChoice(settings.store);
  if (choice.kind === "sqlite") {
    const path = options.path ?? databaseOf(settings);
    return openSqliteStore({ path, encryption, after: options.after }, (error) => {
      // As etcd does: whoever starts it anew is answered from what the disk really has.
      log.error("ending, since the store cannot go on: look at the disk", { path, error });
      process.exit(1);
    });
  }
  if (!choice.endpoints) await untilPrepared(settings, log);
  const files = etcdFilesOf(settings);
  const credentials = () => ({ ca: read(files.ca), cert: read(files.cert), key: read(files.key) });
  const { endpoints = () => knownMembers(settings.dataDir) } = choice;
  // A missing file is told before anything waits for etcd.
  credentials();
  const { openEtcdStore } = await import("./etcd/etcd-store.ts");
  const transformer = encryption ? restingTransformer(encryption) : plainText;
  // Boards that got power together come up in any order: etcd needs a majority of its members before it answers.
  const trouble = new StandingTrouble(log, { wrong: "waiting for etcd", over: "etcd answers" });
  for (;;) {
    try {
      const etcd = await openEtcdStore({ endpoints, credentials, transformer, log });
      const store = await shifted(etcd, options);
      trouble.end();
      return store;
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      const asked = typeof endpoints === "function" ? endpoints() : endpoints;
      trouble.tell(error, { endpoints: asked.join(",") });
      await Bun.sleep(retry_ms);
    }
  }
}

/** Closes what it is given where that does not serve any more. */
async function shifted(etcd: Store, { after }: OpenOptions): Promise<Store> {
  try {
    if (after !== undefined) await raiseRevisions(etcd, after);
    const shift = Number((await etcd.get(shiftKey))?.value ?? 0);
    return shift === 0 ? etcd : new ShiftedStore(etcd, shift);
  } catch (error) {
    await etcd.close();
    throw error;
  }
}

/** `bramble etcd` writes the certificates and whom to ask. */
async function untilPrepared({ dataDir }: StoreSettings, log: Log): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    if (knownMembers(dataDir).length > 0 && existsSync(join(dataDir, etcdPaths.client))) return;
    if (attempt % 10 === 0) log.warn("waiting for this board's etcd: `bramble etcd` with the same flags runs it");
    await Bun.sleep(retry_ms);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(
      `etcd is reached with certificates, but ${path} cannot be read (${(error as Error).message}): \`bramble etcd\` makes its own; those of an etcd that you run are named with --etcd-cafile, --etcd-certfile and --etcd-keyfile`,
    );
  }
}

async function raiseRevisions(etcd: Store, after: Revision): Promise<void> {
  const now = await etcd.now();
  const present = await etcd.get(shiftKey);
  if (now + Number(present?.value ?? 0) > after) return;
  // Who knows a revision from before must list again: this etcd cannot show what has changed since.
  await etcd.compact(now);
  const shift = String(after - now + 2);
  if (present) await etcd.update(shiftKey, shift, present.revision);
  else await etcd.create(shiftKey, shift);
}
