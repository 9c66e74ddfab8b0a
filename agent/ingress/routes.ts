import { trimEnd } from "#shared/api/trim-end.ts";
import type { Ingress, IngressBackend, IngressTLS } from "#shared/api/types/networking-v1.generated.ts";

/** A Service's port, as an Ingress names it. */
export interface BackendReference {
  readonly namespace: string;
  readonly service: string;
  /** Number or name of the Service's port. */
  readonly port: number | string;
}

export interface SecretKey {
  readonly namespace: string;
  readonly name: string;
}

interface Route {
  readonly path: string;
  readonly isExact: boolean;
  /** undefined: a backend that is no Service. */
  readonly backend: BackendReference | undefined;
}

interface HostRoutes {
  readonly routes: Route[];
  /** Of the routes, their paths of either kind. */
  readonly exact: Set<string>;
  readonly prefixes: Set<string>;
  fallback: BackendReference | undefined;
}

/**
 * Where requests go, by the Ingress API: the host that names it exactly, else the wildcard over its one first label, else
 * rules without a host; in these the longest path, and of two equally long ones the exact. Of two Ingresses that claim the
 * same, the older one has it.
 */
export class RoutingTable {
  private readonly hosts = new Map<string, HostRoutes>();
  private readonly secrets = new Map<string, SecretKey>();
  private fallback: BackendReference | undefined;

  constructor(ingresses: readonly Ingress[]) {
    for (const ingress of [...ingresses].sort(bySeniority)) this.add(ingress);
    for (const { routes } of this.hosts.values())
      routes.sort((a, b) => b.path.length - a.path.length || Number(b.isExact) - Number(a.isExact));
  }

  get isEmpty(): boolean {
    return this.hosts.size === 0 && this.fallback === undefined;
  }

  /** @param host as in the Host header. @param path without query. undefined: nothing is there. */
  match(host: string, path: string): BackendReference | undefined {
    const name = hostName(host);
    const entry = this.hosts.get(name) ?? this.hosts.get(wildcardOf(name)) ?? this.hosts.get("");
    if (entry === undefined) return this.fallback;
    const route = entry.routes.find((one) => matches(one, path));
    return route ? route.backend : (entry.fallback ?? this.fallback);
  }

  /** Every Secret that an Ingress names for TLS. */
  get secretKeys(): readonly SecretKey[] {
    return [...this.secrets.values()];
  }

  /** The TLS Secret for a server name (SNI); that of an Ingress without hosts serves all others. */
  secretFor(serverName: string): SecretKey | undefined {
    const name = hostName(serverName);
    return this.secrets.get(name) ?? this.secrets.get(wildcardOf(name)) ?? this.secrets.get("");
  }

  private add({ metadata, spec }: Ingress): void {
    const { namespace = "" } = metadata;
    const rules = spec.rules ?? [];
    const fallback = spec.defaultBackend && reference(namespace, spec.defaultBackend);
    if (rules.length === 0) this.fallback ??= fallback;
    for (const { host = "", http } of rules) {
      const entry = this.hosts.get(host) ?? { routes: [], exact: new Set(), prefixes: new Set(), fallback: undefined };
      this.hosts.set(host, entry);
      entry.fallback ??= fallback;
      for (const { path = "/", pathType, backend } of http?.paths ?? []) {
        const isExact = pathType === "Exact";
        // ImplementationSpecific is a prefix here.
        const text = isExact ? path : trimEnd(path, "/");
        const taken = isExact ? entry.exact : entry.prefixes;
        if (taken.has(text)) continue;
        taken.add(text);
        entry.routes.push({ path: text, isExact, backend: reference(namespace, backend) });
      }
    }
    for (const tls of spec.tls ?? []) this.addSecret(namespace, tls);
  }

  private addSecret(namespace: string, { hosts, secretName }: IngressTLS): void {
    if (!secretName) return;
    for (const host of hosts?.length ? hosts : [""])
      if (!this.secrets.has(host)) this.secrets.set(host, { namespace, name: secretName });
  }
}

function matches({ path, isExact }: Route, asked: string): boolean {
  return isExact ? asked === path : asked === path || asked.startsWith(`${path}/`);
}

function reference(namespace: string, { service }: IngressBackend): BackendReference | undefined {
  const port = service?.port?.name ?? service?.port?.number;
  return service === undefined || port === undefined ? undefined : { namespace, service: service.name, port };
}

function hostName(host: string): string {
  const bare = host.startsWith("[") ? host : host.replace(/:\d*$/, "");
  return bare.replace(/\.$/, "").toLowerCase();
}

function wildcardOf(name: string): string {
  return `*${name.slice(Math.max(0, name.indexOf(".")))}`;
}

function bySeniority(a: Ingress, b: Ingress): number {
  const key = ({ metadata }: Ingress): string =>
    `${metadata.creationTimestamp ?? ""}/${metadata.namespace}/${metadata.name}`;
  return key(a) < key(b) ? -1 : 1;
}
