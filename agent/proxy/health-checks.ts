import { createServer, type Server } from "node:http";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { isPortNumber } from "./usable-values.ts";

/** What a balancer outside the cluster is told of one Service on this board. */
export interface ServiceHealth {
  readonly namespace: string;
  readonly name: string;
  /** A balancer that comes by one family is told of the endpoints that it reaches by it. */
  readonly localEndpoints: Readonly<Record<IpFamily, number>>;
}

/** Services that ask for a health check port, by that port (externalTrafficPolicy Local). */
export function serviceHealth(
  services: readonly Service[],
  slicesOf: (service: Service) => readonly EndpointSlice[],
  nodeName: string,
): Map<number, ServiceHealth> {
  return new Map(
    services.flatMap((service): [number, ServiceHealth][] => {
      const { spec, metadata } = service;
      if (!spec?.healthCheckNodePort || !isPortNumber(spec.healthCheckNodePort)) return [];
      if (spec.externalTrafficPolicy !== "Local") return [];
      const localEndpoints = (family: IpFamily): number => {
        const slices = slicesOf(service).filter(({ addressType }) => addressType === family);
        const ready = slices.flatMap(({ endpoints }) =>
          (endpoints ?? []).filter((each) => each.nodeName === nodeName && each.conditions?.ready !== false),
        );
        return new Set(ready.flatMap(({ addresses }) => addresses?.[0] ?? [])).size;
      };
      return [
        [
          spec.healthCheckNodePort,
          {
            namespace: metadata.namespace ?? "",
            name: metadata.name ?? "",
            localEndpoints: { IPv4: localEndpoints("IPv4"), IPv6: localEndpoints("IPv6") },
          },
        ],
      ];
    }),
  );
}

interface OpenPort {
  readonly server: Server;
  health: ServiceHealth;
}

/** Answers on the health check ports of Services as kube-proxy does: 200 where an endpoint is on this board, else 503. */
export class HealthChecks {
  private readonly open = new Map<number, OpenPort>();
  /** Ports that cannot be had: told once. */
  private readonly refused = new Set<number>();

  constructor(
    private readonly log: Log,
    private readonly isProxyHealthy: () => boolean,
  ) {}

  /** Opens and closes ports so that exactly these are served. */
  serve(wanted: ReadonlyMap<number, ServiceHealth>): void {
    for (const [port, { server }] of this.open) {
      if (wanted.has(port)) continue;
      this.open.delete(port);
      server.close();
      server.closeAllConnections();
    }
    for (const [port, health] of wanted) {
      const present = this.open.get(port);
      if (present) present.health = health;
      else this.listen(port, health);
    }
  }

  private listen(port: number, health: ServiceHealth): void {
    const server = createServer((request, response) => {
      const { namespace, name } = entry.health;
      // One socket for both families shows an IPv4 address as one of IPv6.
      const isIpv4 = request.socket.remoteAddress?.includes(".") ?? false;
      const localEndpoints = entry.health.localEndpoints[isIpv4 ? "IPv4" : "IPv6"];
      const serviceProxyHealthy = this.isProxyHealthy();
      response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
        "content-type": "application/json",
        "x-content-type-options": "nosniff",
        "x-load-balancing-endpoint-weight": String(localEndpoints),
      });
      response.end(JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }));
    });
    const entry: OpenPort = { server, health };
    server.maxConnections = 100;
    server.requestTimeout = 10_000;
    server.on("error", (error) => {
      // The port is tried again at the next sync.
      this.open.delete(port);
      const { namespace, name } = entry.health;
      if (!this.refused.has(port)) this.log.warn("cannot serve a health check port", { port, namespace, name, error });
      this.refused.add(port);
    });
    server.on("listening", () => this.refused.delete(port));
    this.open.set(port, entry);
    server.listen(port);
  }
}
