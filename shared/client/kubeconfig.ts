import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import type { Credentials } from "./http-transport.ts";

/** Where a cluster is and who one is there, from one context of a kubeconfig. */
export interface ClientConfig {
  readonly servers: readonly string[];
  /** Reads files again when asked, so that renewed ones take hold; gives the same object while nothing changed. */
  readonly credentials: () => Credentials;
  /** The context's namespace, `default` when it names none. */
  readonly namespace: string;
}

class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

type Mapping = Readonly<Record<string, unknown>>;

/** Reads a kubeconfig file (the format of kubectl). Files that it names are relative to its folder.
 *  Throws KubeconfigError when something is missing or not supported (exec and auth-provider plugins). */
export function loadKubeconfig(path: string, contextName?: string): ClientConfig {
  const read = (): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new KubeconfigError(`cannot read the kubeconfig ${path}: ${(error as Error).message}`, { cause: error });
    }
  };
  let text = read();
  let config = parseKubeconfig(text, dirname(path), contextName);
  const fresh = remembered(() => {
    try {
      const now = read();
      if (now !== text) [config, text] = [parseKubeconfig(now, dirname(path), contextName), now];
    } catch (error) {
      // Gone, or unfit since it was changed: what it said before still holds.
      if (!(error instanceof KubeconfigError)) throw error;
    }
    return config.credentials();
  });
  return {
    get servers() {
      fresh();
      return config.servers;
    },
    namespace: config.namespace,
    credentials: fresh,
  };
}

/** @param folder of the file, for the relative paths in it. Throws KubeconfigError. */
export function parseKubeconfig(text: string, folder: string, contextName?: string): ClientConfig {
  const config = mapping(parsed(text));
  const name = contextName ?? textOf(config, "current-context");
  if (!name) throw new KubeconfigError("the kubeconfig names no current context");
  const context = named(config, "contexts", name, "context");
  const cluster = named(config, "clusters", textOf(context, "cluster") ?? "", "cluster");
  const user = named(config, "users", textOf(context, "user") ?? "", "user");
  for (const plugin of ["exec", "auth-provider"]) {
    if (user[plugin]) throw new KubeconfigError(`the kubeconfig's user logs in by ${plugin}, which is not supported`);
  }
  const server = textOf(cluster, "server");
  if (!server) throw new KubeconfigError(`the cluster of context ${name} names no server`);

  const ca = pem(cluster, "certificate-authority", folder);
  const { certificate, key, token } = proofsOf(user, folder);
  return {
    servers: [...new Set([server, ...furtherServers(cluster)].map((each) => each.replace(/\/+$/, "")))],
    namespace: textOf(context, "namespace") ?? "default",
    credentials: remembered(() => ({
      ca: ca(),
      certificate: certificate(),
      key: key(),
      token: token(),
      serverName: textOf(cluster, "tls-server-name"),
      insecureSkipTlsVerify: cluster["insecure-skip-tls-verify"] === true,
    })),
  };
}

/** What a user of a kubeconfig shows to a server, read anew each time where a file has it. */
export interface UserProofs {
  /** PEM. */
  readonly certificate: () => string | undefined;
  readonly key: () => string | undefined;
  readonly token: () => string | undefined;
  /** For basic authentication. */
  readonly password: { readonly username: string; readonly password: string } | undefined;
}

/** Every user of a kubeconfig by name, `""` being the one of its current context, if it has one. For who signs in at many
 *  servers and finds the user by the server. Throws KubeconfigError. */
export function kubeconfigUsers(text: string, folder: string): ReadonlyMap<string, UserProofs> {
  const config = mapping(parsed(text) ?? {});
  const users = entriesOf(config, "users").map(
    (entry) => [textOf(entry, "name") ?? "", proofsOf(mapping(entry["user"] ?? {}), folder)] as const,
  );
  const found = new Map(users);
  const context = entriesOf(config, "contexts").find(({ name }) => name === textOf(config, "current-context"));
  const current = found.get(textOf(mapping(context?.["context"] ?? {}), "user") ?? "");
  return current ? found.set("", current) : found;
}

function proofsOf(user: Mapping, folder: string): UserProofs {
  const tokenFile = textOf(user, "tokenFile");
  const [username, password] = [textOf(user, "username"), textOf(user, "password")];
  return {
    certificate: pem(user, "client-certificate", folder),
    key: pem(user, "client-key", folder),
    token: () => (tokenFile ? fileOf("tokenFile", resolve(folder, tokenFile)).trim() : textOf(user, "token")),
    password: username || password ? { username: username ?? "", password: password ?? "" } : undefined,
  };
}

function pem(from: Mapping, key: string, folder: string): () => string | undefined {
  const inline = textOf(from, `${key}-data`);
  if (inline) {
    const decoded = Buffer.from(inline, "base64").toString("utf8");
    return () => decoded;
  }
  const path = textOf(from, key);
  return path ? () => fileOf(key, resolve(folder, path)) : () => undefined;
}

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new KubeconfigError(`the kubeconfig is no YAML: ${(error as Error).message}`, { cause: error });
  }
}

function fileOf(key: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new KubeconfigError(`the kubeconfig's ${key} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The extension of a cluster's entry that names more API servers of the same cluster, for when the first is away. Other
 *  clients pass it over. */
export const serversExtension = "servers.bramble.dev";

function furtherServers(cluster: Mapping): string[] {
  const extensions = Array.isArray(cluster["extensions"]) ? cluster["extensions"].map(mapping) : [];
  const found = extensions.find(({ name }) => name === serversExtension);
  const servers = found && mapping(found["extension"])["servers"];
  return Array.isArray(servers) ? servers.filter((each) => typeof each === "string" && URL.canParse(each)) : [];
}

const reread_ms = 60_000;

/** Reads at most once a minute, and gives the former object while the texts are the same. */
function remembered(read: () => Credentials): () => Credentials {
  let known = read();
  let read_ms = performance.now();
  return () => {
    if (performance.now() - read_ms < reread_ms) return known;
    read_ms = performance.now();
    const fresh = read();
    if (JSON.stringify(fresh) !== JSON.stringify(known)) known = fresh;
    return known;
  };
}

function entriesOf(config: Mapping, list: string): Mapping[] {
  const entries = config[list];
  return Array.isArray(entries) ? entries.map(mapping) : [];
}

function named(config: Mapping, list: string, name: string, field: string): Mapping {
  const entry = entriesOf(config, list).find((one) => one["name"] === name);
  if (!entry) throw new KubeconfigError(`the kubeconfig has no ${field} "${name}"`);
  return mapping(entry[field] ?? {});
}

function mapping(value: unknown): Mapping {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new KubeconfigError("the kubeconfig is malformed: a mapping is missing");
  return value as Mapping;
}

function textOf(from: Mapping, key: string): string | undefined {
  const value = from[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}
