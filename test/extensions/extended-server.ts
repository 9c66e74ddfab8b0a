/** The real API server with everything that extends it, and HTTPS servers behind Services that it can reach. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { endpointSlices, services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { authorizerChain, privilegedGroup } from "../../master/apiserver/authz/chain.ts";
import { Extensions, type ExtensionsOptions } from "../../master/apiserver/extensions/extensions.ts";
import { openApiPaths } from "../../master/apiserver/openapi-paths.ts";
import type { Guards, ServerParts } from "../../master/apiserver/server-parts.ts";
import type { RequestTracer } from "../../master/apiserver/tracing/request-tracer.ts";
import { admin, startTestServer, type TestServer } from "../support/apiserver.ts";
import { stepsDone } from "../support/start-steps.ts";

export interface ExtendedServer extends TestServer {
  readonly extensions: Extensions;
  /** Signs what this API server shows to aggregated ones. */
  readonly frontProxyAuthority: KeyAndCertificate;
}

export async function startExtendedServer(
  names: readonly string[],
  options: Pick<ExtensionsOptions, "discoveryWithin_ms"> & {
    readonly tracer?: RequestTracer;
    /** Kinds and subresources beside the usual ones. */
    readonly more?: (parts: ServerParts) => Pick<Guards, "declarations" | "subresources">;
  } = {},
): Promise<ExtendedServer> {
  const frontProxyAuthority = await createCertificateAuthority("front-proxy");
  const frontProxy = await issueCertificate(frontProxyAuthority, { commonName: "front-proxy-client" }, [
    extendedKeyUsages.clientAuth,
  ]);
  let extensions: Extensions | undefined;
  const server = await startTestServer({
    namespaces: names,
    tracer: options.tracer,
    guards: (parts) => {
      const { reader, resources, client } = parts;
      extensions = new Extensions({
        reader,
        resources,
        authorizer: authorizerChain([privilegedGroup]),
        // Every address leads to this machine: endpoints name one that they may have.
        dialer: { boards: ["board"], dial: async (_, target) => dialHere(target) },
        client: client(admin),
        log: silentLog,
        frontProxy: () => frontProxy,
        ...options,
      });
      const { admission, aggregator } = extensions;
      const openApi = openApiPaths(resources, aggregator);
      return {
        ...options.more?.(parts),
        admission,
        aggregator: (info) => aggregator.handlerFor(info),
        remoteVersions: () => aggregator.remoteVersions(),
        paths: openApi.exact,
        pathPrefixes: openApi.prefixes,
      };
    },
  });
  if (!extensions) throw new Error("the server was not built");
  const started = extensions;
  await started.start(server.api, server.api.health.steps);
  await stepsDone(server.api);
  return {
    ...server,
    extensions: started,
    frontProxyAuthority,
    async stop() {
      started.stop();
      await server.stop();
    },
  };
}

function dialHere(target: { readonly kind: string }): Duplex {
  return connect({ host: "127.0.0.1", port: (target as unknown as { port: number }).port });
}

export interface ServedRequest {
  readonly request: IncomingMessage;
  readonly body: string;
  /** Common name of the client's certificate. */
  readonly client: string | undefined;
}

export interface BackingServer {
  readonly port: number;
  /** For caBundle. */
  readonly caBundle: string;
  /** The same of the server's certificate alone. */
  readonly ownBundle: string;
  stop(): void;
}

/** An HTTPS server behind the Service `namespace/name` on port 443. */
export async function startBacking(
  server: TestServer,
  namespace: string,
  name: string,
  answer: (served: ServedRequest, response: ServerResponse) => void,
  clientAuthority?: string,
): Promise<BackingServer> {
  const authority = await createCertificateAuthority(`${name}-ca`);
  const certificate = await issueCertificate(authority, { commonName: name, dnsNames: [`${name}.${namespace}.svc`] }, [
    extendedKeyUsages.serverAuth,
  ]);
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const peer = (request.socket as TLSSocket).getPeerCertificate?.();
      const client = peer?.subject?.CN;
      answer(
        { request, body: Buffer.concat(chunks).toString(), client: typeof client === "string" ? client : undefined },
        response,
      );
    });
  });
  const tls = createTlsServer(
    {
      cert: certificate.certificatePem,
      key: certificate.keyPem,
      requestCert: clientAuthority !== undefined,
      rejectUnauthorized: clientAuthority !== undefined,
      ...(clientAuthority ? { ca: clientAuthority } : {}),
    },
    (socket) => http.emit("connection", socket),
  );
  await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
  const { port } = tls.address() as { port: number };
  await server.client.create(services, serviceOf(namespace, name, port), { namespace });
  await server.client.create(endpointSlices, sliceOf(namespace, name, port), { namespace });
  const [caBundle, ownBundle] = [authority, certificate].map(({ certificatePem }) =>
    Buffer.from(certificatePem).toString("base64"),
  ) as [string, string];
  return { port, caBundle, ownBundle, stop: () => void tls.close() };
}

function serviceOf(namespace: string, name: string, port: number): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { clusterIP: "None", clusterIPs: ["None"], ports: [{ port: 443, targetPort: port, protocol: "TCP" }] },
  } as Service;
}

function sliceOf(namespace: string, name: string, port: number): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-1`, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.42.0.9"], conditions: { ready: true } }],
    ports: [{ name: "", port, protocol: "TCP" }],
  };
}

/** Runs until it holds, for what happens a moment later; fails after a minute, which only a broken program needs. */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error("it did not come to that");
    await Bun.sleep(30);
  }
}
