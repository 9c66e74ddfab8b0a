import { trimEnd } from "#shared/api/trim-end.ts";
import { parseImageReference } from "./image-reference.ts";
import type { ImageAuth } from "./runtime.ts";

/** What is read of a docker config: `.dockerconfigjson` (with `auths`) or the older `.dockercfg` (the map itself). */
export type DockerConfig = unknown;

/**
 * Credentials for an image out of pull secrets, the best match first: longer registry paths before shorter ones, and
 * in the order given within one length. Keys match as in Kubernetes' docs ("Interpretation of config.json"): host with
 * an optional port, `*` for one label of the host, and a path that the image's path begins with. Each with where it
 * comes from.
 */
export function credentialsFor<Source>(
  image: string,
  dockerConfigs: readonly { readonly config: DockerConfig; readonly from: Source }[],
): { readonly auth: ImageAuth; readonly from: Source }[] {
  const { domain, path } = parseImageReference(image);
  const found: { auth: ImageAuth; from: Source; length: number }[] = [];
  for (const { config, from } of dockerConfigs) {
    for (const [key, entry] of Object.entries(authEntries(config))) {
      const location = parseKey(key);
      if (!hostMatches(location.host, domain) || !pathMatches(location.path, path)) continue;
      const auth = parseEntry(entry, key);
      if (auth !== undefined) found.push({ auth, from, length: location.path.length });
    }
  }
  return found.sort((a, b) => b.length - a.length).map(({ auth, from }) => ({ auth, from }));
}

/** Does a key (host with globs, optional port, path) stand for the image? */
export function matchesImage(key: string, image: string): boolean {
  const { domain, path } = parseImageReference(image);
  const location = parseKey(key);
  return hostMatches(location.host, domain) && pathMatches(location.path, path);
}

function authEntries(config: DockerConfig): Record<string, unknown> {
  if (!isRecord(config)) return {};
  const auths = config["auths"];
  return isRecord(auths) ? auths : "auths" in config ? {} : config;
}

/** `https://index.docker.io/v1/` is how `docker login` writes Docker Hub; `/v1/` and `/v2/` there are API versions. */
function parseKey(key: string): { host: string; path: string } {
  const bare = key.replace(/^https?:\/\//, "");
  const slash = bare.indexOf("/");
  const host = slash < 0 ? bare : bare.slice(0, slash);
  const path = trimEnd((slash < 0 ? "" : bare.slice(slash + 1)).replace(/^v[12](\/|$)/, ""), "/");
  const isHub = host === "index.docker.io" || host === "registry-1.docker.io";
  return { host: isHub ? "docker.io" : host, path };
}

function hostMatches(pattern: string, domain: string): boolean {
  const [patternHost = "", patternPort] = splitPort(pattern);
  const [host = "", port] = splitPort(domain);
  if (patternPort !== port) return false;
  const wanted = patternHost.split(".");
  const labels = host.split(".");
  return wanted.length === labels.length && wanted.every((glob, i) => globMatches(glob, labels[i] ?? ""));
}

function splitPort(host: string): [string, string | undefined] {
  const match = /^(.*?)(?::(\d+))?$/.exec(host);
  return [match?.[1] ?? host, match?.[2]];
}

function globMatches(glob: string, text: string): boolean {
  const parts = glob.split("*");
  const head = parts[0] ?? "";
  if (parts.length === 1) return head === text;
  const tail = parts.at(-1) ?? "";
  if (!text.startsWith(head) || !text.endsWith(tail) || text.length < head.length + tail.length) return false;
  let rest = text.slice(head.length, text.length - tail.length);
  for (const middle of parts.slice(1, -1)) {
    const at = rest.indexOf(middle);
    if (at < 0) return false;
    rest = rest.slice(at + middle.length);
  }
  return true;
}

function pathMatches(prefix: string, path: string): boolean {
  return prefix === "" || path === prefix || path.startsWith(`${prefix}/`);
}

function parseEntry(entry: unknown, serverAddress: string): ImageAuth | undefined {
  if (!isRecord(entry)) return undefined;
  const text = (name: string) => (typeof entry[name] === "string" && entry[name] !== "" ? entry[name] : undefined);
  const identityToken = text("identitytoken");
  const registryToken = text("registrytoken");
  let username = text("username");
  let password = text("password");
  const auth = text("auth");
  if (auth !== undefined) {
    const decoded = Buffer.from(auth, "base64").toString("utf8");
    const colon = decoded.indexOf(":");
    // The pair in `auth` is what docker login writes; it wins over the plain fields, as upstream's decoder has it.
    if (colon > 0) {
      username = decoded.slice(0, colon);
      password = trimEnd(decoded.slice(colon + 1), "\0");
    }
  }
  if (username === undefined && identityToken === undefined && registryToken === undefined) return undefined;
  return { username, password, identityToken, registryToken, serverAddress };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
