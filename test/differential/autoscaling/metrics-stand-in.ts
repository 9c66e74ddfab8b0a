/** A server behind the APIServices of the three metrics APIs, which tells controllers what a scenario says. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createServer as createTlsServer, type Server } from "node:tls";
import { apiServices, namespaces, services } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { until } from "#shared/testing/until.ts";

export const metricsApis = {
  resource: { group: "metrics.k8s.io", version: "v1beta1" },
  // The older of its versions, which many adapters serve alone.
  custom: { group: "custom.metrics.k8s.io", version: "v1beta1" },
  external: { group: "external.metrics.k8s.io", version: "v1beta1" },
} as const;

export type MetricsApi = keyof typeof metricsApis;

export interface MetricsRequest {
  readonly api: MetricsApi;
  // Behind the namespace: `pods`, `pods/*/hits`, `services/web/hits`, `queue`.
  readonly path: string;
  readonly query: URLSearchParams;
}

/** An answer that is no list. */
export interface Refusal {
  readonly code: number;
  readonly contentType: string;
  readonly body: string;
}

/** The items that are told of; undefined: nothing is known of what was asked. */
export type Answerer = (request: MetricsRequest) => readonly object[] | Refusal | undefined;

const place = { namespace: "metrics-stand-in", name: "metrics" };

export class MetricsStandIn {
  readonly #answerers = new Map<string, Answerer>();
  readonly #asked = new Map<string, Set<string>>();
  readonly #connections = new Set<Socket>();
  readonly #server: Server;

  private constructor(
    server: Server,
    /** For the caBundle of APIServices. */
    readonly caBundle: string,
  ) {
    this.#server = server;
  }

  static async open(): Promise<MetricsStandIn> {
    const authority = await createCertificateAuthority("metrics-ca");
    const name = `${place.name}.${place.namespace}.svc`;
    const { certificatePem, keyPem } = await issueCertificate(authority, { commonName: name, dnsNames: [name] }, [
      extendedKeyUsages.serverAuth,
    ]);
    const http = createServer((request, response) => standIn.#answer(request, response));
    const server = createTlsServer({ cert: certificatePem, key: keyPem }, (socket) => http.emit("connection", socket));
    const standIn = new MetricsStandIn(server, Buffer.from(authority.certificatePem).toString("base64"));
    server.on("connection", (socket: Socket) => {
      standIn.#connections.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => standIn.#connections.delete(socket));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return standIn;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#connections) socket.destroy();
  }

  /** Puts the server behind the APIServices, and waits until they are available. */
  async register(client: Client): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    const { namespace, name } = place;
    await client.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } } as never);
    const spec = { type: "ExternalName", externalName: "localhost" };
    await client.create(services, { apiVersion: "v1", kind: "Service", metadata: { name }, spec } as never, {
      namespace,
    });
    for (const { group, version } of Object.values(metricsApis)) {
      const metadata = { name: `${version}.${group}` };
      await client.create(apiServices, {
        apiVersion: "apiregistration.k8s.io/v1",
        kind: "APIService",
        metadata,
        spec: {
          group,
          version,
          groupPriorityMinimum: 100,
          versionPriority: 100,
          caBundle: this.caBundle,
          service: { ...place, port },
        },
      });
      await until(`${metadata.name} is available`, async () => {
        const { status } = await client.get(apiServices, metadata);
        return status?.conditions?.some((each) => each.type === "Available" && each.status === "True") ?? false;
      });
    }
  }

  /** From now on requests for metrics of a namespace are answered so. */
  serve(namespace: string, answerer: Answerer): void {
    this.#answerers.set(namespace, answerer);
  }

  /** What was asked for a namespace so far, each once: paths with their queries. */
  askedFor(namespace: string): string[] {
    return [...(this.#asked.get(namespace) ?? [])].toSorted();
  }

  #answer({ url = "" }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams: query } = new URL(url, "https://metrics");
    const [, , group = "", version = "", , namespace = "", ...rest] = pathname.split("/").map(decodeURIComponent);
    const [api] = Object.entries(metricsApis).find(([, each]) => each.group === group) ?? [];
    if (api === undefined || namespace === "") {
      send(response, 200, api ? discoveryOf(group, version) : {});
      return;
    }
    query.sort();
    const path = rest.join("/");
    const asked = this.#asked.get(namespace) ?? new Set();
    this.#asked.set(namespace, asked.add(`${group}/${version} ${path} ${query}`));
    const answer = this.#answerers.get(namespace)?.({ api: api as MetricsApi, path, query });
    if (answer === undefined) send(response, 404, unknown(path));
    else if ("code" in answer) response.writeHead(answer.code, { "content-type": answer.contentType }).end(answer.body);
    else send(response, 200, { apiVersion: `${group}/${version}`, ...listKinds[api as MetricsApi], items: answer });
  }
}

const listKinds: Readonly<Record<MetricsApi, object>> = {
  resource: { kind: "PodMetricsList", metadata: {} },
  custom: { kind: "MetricValueList", metadata: {} },
  external: { kind: "ExternalMetricValueList", metadata: {} },
};

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const discoveryOf = (group: string, version: string): object => ({
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: `${group}/${version}`,
  resources: [],
});

const unknown = (path: string): object => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: `nothing is known of ${path}`,
  reason: "NotFound",
  code: 404,
});
