/** A real API server on TLS with all built-in kinds: what tests of components and of the server itself talk to. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlreadyExists } from "#shared/api/errors.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { ConnectionLimits } from "#shared/http/connections.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { authenticatorChain } from "../../master/apiserver/authn/chain.ts";
import { ClientIdentities } from "../../master/apiserver/authn/client-identity.ts";
import { ClientCertificates } from "../../master/apiserver/authn/x509.ts";
import { authorizerChain, privilegedGroup } from "../../master/apiserver/authz/chain.ts";
import { HttpsTransport, type TransportOptions } from "../../master/apiserver/http/transport.ts";
import { openApiPaths } from "../../master/apiserver/openapi-paths.ts";
import type { ResourceDeclaration } from "../../master/apiserver/registry/declaration.ts";
import type { User } from "../../master/apiserver/request.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import type { Guards, ServerParts } from "../../master/apiserver/server-parts.ts";
import type { RequestTracer } from "../../master/apiserver/tracing/request-tracer.ts";
import { openSqliteStore } from "../../master/store/sqlite-store.ts";
import type { Store } from "../../master/store/store.ts";
import { openMemoryStore } from "../../master/store/testing/memory-store.ts";
import { type CommandResult, clientBinaries, runClient } from "./kubectl.ts";

export const admin: User = { name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] };

export interface TestServerOptions {
  /** `memory` unless said otherwise; a function opens another one. */
  readonly store?: "memory" | "sqlite" | ((folder: string) => Promise<Store>) | undefined;
  /** Over the plain ones: client certificates, and system:masters may do everything. */
  readonly guards?: ((parts: ServerParts) => Partial<Guards>) | undefined;
  /** Others than all kinds that are served without a setting. */
  readonly declarations?: readonly ResourceDeclaration[] | undefined;
  /** Of connections, other than the usual ones. */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  readonly rules?: TransportOptions["rules"];
  readonly tls?: TransportOptions["tls"];
  readonly tracer?: RequestTracer | undefined;
  /** Made at the start, beside `default` and `kube-system`. */
  readonly namespaces?: readonly string[] | undefined;
}

export interface TestServer {
  readonly api: ApiServer;
  readonly store: Store;
  readonly url: string;
  readonly authority: KeyAndCertificate;
  /** Of system:masters. */
  readonly client: Client;
  readonly kubeconfig: string;
  readonly folder: string;
  connectionCount(): number;
  /** From now on, client certificates count if they are of these authorities (PEM). */
  trustClientsOf(authorities: string): void;
  clientAs(user: User): Client;
  /** A client certificate of this authority. */
  issue(commonName: string, organizations?: readonly string[]): Promise<KeyAndCertificate>;
  /** HTTPS with the admin's certificate. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  kubectl(args: readonly string[], input?: string): Promise<CommandResult>;
  stop(): Promise<void>;
}

async function openStoreOf(choice: TestServerOptions["store"], folder: string): Promise<Store> {
  if (typeof choice === "function") return choice(folder);
  return choice === "sqlite" ? openSqliteStore({ path: join(folder, "state.db") }) : openMemoryStore();
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "bramble-api-"));
  const store = await openStoreOf(options.store, folder);
  const api = new ApiServer({
    store,
    declarations: options.declarations ?? builtinDeclarations,
    tracer: options.tracer,
    guards: (parts) => ({
      authenticator: authenticatorChain([new ClientCertificates(new ClientIdentities())]),
      authorizer: authorizerChain([privilegedGroup]),
      admission: [],
      paths: openApiPaths(parts.resources).exact,
      pathPrefixes: openApiPaths(parts.resources).prefixes,
      ...options.guards?.(parts),
    }),
  });
  await api.start();
  const authority = await createCertificateAuthority("test");
  const issue = (commonName: string, organizations: readonly string[] = []): Promise<KeyAndCertificate> =>
    issueCertificate(authority, { commonName, organizations }, [extendedKeyUsages.clientAuth]);
  const serving = await issueCertificate(
    authority,
    { commonName: "kube-apiserver", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
    [extendedKeyUsages.serverAuth],
  );
  const own = { certificate: serving.certificatePem, key: serving.keyPem };
  const transport = new HttpsTransport(api, {
    host: "127.0.0.1",
    port: 0,
    ...own,
    authorities: { clients: authority.certificatePem, frontProxies: "" },
    limits: options.limits,
    rules: options.rules,
    tls: options.tls,
    log: (message) => console.error(message),
  });
  const url = `https://127.0.0.1:${await transport.listen()}`;
  const client = api.client(admin, "test");
  for (const name of ["default", "kube-system", ...(options.namespaces ?? [])]) {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} } as const;
    // Over a store from before they are there.
    await client.create(namespaces, namespace).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
  }
  const certificate = await issue("kubernetes-admin", ["system:masters"]);
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigFor(url, authority, certificate), { mode: 0o600 });
  return {
    api,
    store,
    url,
    authority,
    client,
    kubeconfig,
    folder,
    connectionCount: () => transport.connectionCount,
    trustClientsOf: (clients) => transport.useCertificates({ ...own, authorities: { clients, frontProxies: "" } }),
    clientAs: (user) => api.client(user),
    issue,
    fetch: (path, init) =>
      fetch(`${url}${path}`, {
        ...init,
        tls: { ca: authority.certificatePem, cert: certificate.certificatePem, key: certificate.keyPem },
      } as RequestInit),
    kubectl: (args, input) => runClient(clientBinaries().kubectl, kubeconfig, args, input),
    async stop() {
      api.stop();
      await transport.stop();
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function kubeconfigFor(url: string, authority: KeyAndCertificate, certificate: KeyAndCertificate): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [
      { name: "test", cluster: { server: url, "certificate-authority-data": base64(authority.certificatePem) } },
    ],
    users: [
      {
        name: "test",
        user: {
          "client-certificate-data": base64(certificate.certificatePem),
          "client-key-data": base64(certificate.keyPem),
        },
      },
    ],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
  });
}
