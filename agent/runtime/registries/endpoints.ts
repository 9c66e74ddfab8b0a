import type { ImageAuth } from "../runtime.ts";
import type { RegistriesConfig, RegistryHost, RegistryMirror, RegistryTls } from "./registries-config.ts";

/** One place to ask for a repository. */
export interface Endpoint {
  /** Of the repository: `https://host/v2/library/nginx`. */
  readonly url: string;
  /** `host[:port]`. */
  readonly host: string;
  /** What a mirror of several registries tells them apart by; undefined at the registry itself. */
  readonly namespace: string | undefined;
  readonly auth: ImageAuth | undefined;
  readonly tls: RegistryTls | undefined;
}

export interface EndpointOptions {
  /** Of the pod's own pull secret; goes to the registry that it was made for, never to another host. */
  readonly auth?: ImageAuth | undefined;
  /** Whether the registry itself is asked when no mirror has it. */
  readonly useRegistryItself: boolean;
}

const hubHost = "registry-1.docker.io";

/** Does the file say anything of this registry? */
export function isConfigured({ mirrors, hosts }: RegistriesConfig, domain: string): boolean {
  return mirrors.has(domain) || mirrors.has("*") || hosts.has(domain) || hosts.has(hostOf(domain)) || hosts.has("*");
}

/** Where a repository may be had, in the order to try (pure). */
export function endpointsFor(
  config: RegistriesConfig,
  { domain, path }: { readonly domain: string; readonly path: string },
  options: EndpointOptions,
): Endpoint[] {
  const mirror = config.mirrors.get(domain) ?? config.mirrors.get("*");
  const rewritten = rewrite(path, mirror?.rewrites ?? []);
  const own = registryItself(domain);
  const found = (mirror?.endpoints ?? []).map((base): Endpoint => {
    const { auth, tls } = hostSettings(config, base.host);
    const isOwn = base.host === own.host;
    return {
      url: `${base.origin}${base.pathname}/${isOwn ? path : rewritten}`,
      host: base.host,
      namespace: isOwn ? undefined : domain,
      auth: isOwn ? (options.auth ?? auth) : auth,
      tls,
    };
  });
  if (!options.useRegistryItself && found.length > 0) return found;
  if (found.some(({ host }) => host === own.host)) return found;
  const settings = hostSettings(config, own.host, domain);
  const url = `${own.origin}/v2/${path}`;
  return [...found, { url, host: own.host, namespace: undefined, ...settings, auth: options.auth ?? settings.auth }];
}

function rewrite(path: string, rewrites: RegistryMirror["rewrites"]): string {
  const found = rewrites.find(({ pattern }) => pattern.matcher(path).find());
  return found ? found.pattern.matcher(path).replaceAll(found.replacement) : path;
}

function hostSettings({ hosts }: RegistriesConfig, ...names: readonly string[]): Required<RegistryHost> {
  const { auth, tls } = names.map((name) => hosts.get(name)).find(Boolean) ?? hosts.get("*") ?? {};
  return { auth, tls };
}

const hostOf = (domain: string): string => (domain === "docker.io" ? hubHost : domain);

/** Registries on the board itself speak HTTP, as Docker takes it too. */
function registryItself(domain: string): { readonly host: string; readonly origin: string } {
  const host = hostOf(domain);
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?$/.test(host);
  return { host, origin: `${isLocal ? "http" : "https"}://${host}` };
}
