import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { namespaces } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { silentLog } from "#shared/client/log.ts";
import { formatJoinToken } from "#shared/pki/join-token.ts";
import type { Auditor } from "../../master/apiserver/audit/auditor.ts";
import type { ClientAuthorityBundles } from "../../master/apiserver/authn/client-authorities.ts";
import { ServiceAccountIssuer } from "../../master/apiserver/authn/service-account-issuer.ts";
import type { Authorizer } from "../../master/apiserver/authz/authorizer.ts";
import { bootstrapPolicy } from "../../master/apiserver/authz/bootstrap-policy.ts";
import { reconcilePolicy } from "../../master/apiserver/authz/policy-reconciler.ts";
import { BoardDialer } from "../../master/apiserver/connect/board-dialer.ts";
import { connectHandlers } from "../../master/apiserver/connect/handlers.ts";
import { Extensions } from "../../master/apiserver/extensions/extensions.ts";
import { HttpsTransport } from "../../master/apiserver/http/transport.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { createSecurity, type Security, type SecurityOptions } from "../../master/apiserver/security.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import type { ServerParts } from "../../master/apiserver/server-parts.ts";
import { certificateApprover } from "../../master/controllers/certificates/approver.ts";
import { certificateSigner } from "../../master/controllers/certificates/signer.ts";
import { ControllerManager, controllerUser } from "../../master/controllers/manager.ts";
import { nodeUser } from "../../master/identities.ts";
import { BoardClaims } from "../../master/join/board-claims.ts";
import { ensureBootstrapSecret } from "../../master/join/bootstrap-secret.ts";
import { controlPlanePaths } from "../../master/join/control-plane.ts";
import { joinPaths } from "../../master/join/join-paths.ts";
import { renewalPaths } from "../../master/join/renewal-path.ts";
import { ensureMasterPki, type MasterPki } from "../../master/pki/master-pki.ts";
import { etcdFiles } from "../../master/store/store-choice.ts";
import { openMemoryStore } from "../../master/store/testing/memory-store.ts";
import { stepsDone } from "./start-steps.ts";

const apiServerUser = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };

/** A whole API server with its security, over TLS on a free port of loopback, with the certificate controllers. */
export interface SecuredServer {
  readonly url: string;
  readonly dataDir: string;
  readonly pki: MasterPki;
  /** For boards. */
  readonly joinToken: string;
  readonly admin: Client;
  clientWith(credentials: {
    readonly token?: string;
    readonly certificate?: string;
    readonly key?: string;
  }): HttpClient;
  stop(): Promise<void>;
}

export interface SecuredServerOptions
  extends Pick<SecurityOptions, "moreTokens" | "allowsAnonymous" | "authorization" | "frontProxies"> {
  readonly auditor?: Auditor | undefined;
  /** Other than the cluster's own, PEM. */
  readonly authorities?: Partial<ClientAuthorityBundles>;
  /** Serves what CustomResourceDefinitions define. */
  readonly customResources?: boolean;
}

export async function startSecuredServer({
  auditor,
  customResources = false,
  authorities,
  ...more
}: SecuredServerOptions = {}): Promise<SecuredServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "secured-server-"));
  const pki = await ensureMasterPki({
    dataDir,
    kubeconfigPath: join(dataDir, "kubeconfig.yaml"),
    server: "https://127.0.0.1:6443",
    names: { hostNames: [], addresses: [], extra: [], serviceIp: "10.43.0.1", clusterDomain: "cluster.local" },
  });
  const issuer = new ServiceAccountIssuer(
    "https://kubernetes.default.svc.cluster.local",
    pki.authorities.serviceAccountKeys,
  );
  const store = openMemoryStore();
  let security: Security | undefined;
  let extensions: Extensions | undefined;
  const dialer = new BoardDialer(silentLog);
  const server = new ApiServer({
    store,
    auditor,
    declarations: builtinDeclarations,
    guards: (parts) => {
      const client = () => parts.client(apiServerUser);
      const authorizer: Authorizer = { authorize: (attributes) => built.authorizer.authorize(attributes) };
      if (customResources) extensions = extensionsOf(parts, authorizer, client());
      const built: Security = createSecurity({
        reader: parts.reader,
        issuer,
        client,
        externalAddress: () => "127.0.0.1:6443",
        admissionExtensions: extensions?.admission ?? [],
        ...more,
      });
      security = built;
      const join = joinPaths({
        trusted: () => pki.authorities.trusted,
        claims: new BoardClaims(client()),
        settings: { clusterDomain: "cluster.local" },
      });
      const renew = renewalPaths({
        authorities: () => pki.authorities.trusted,
        claims: new BoardClaims(client()),
        client: client(),
        clientOfNode: (name) => parts.client(nodeUser(name)),
        log: silentLog,
      });
      return {
        ...built,
        subresources: {
          ...built.subresources,
          "": { ...built.subresources?.[""], ...connectHandlers({ dialer, reader: parts.reader }) },
        },
        paths: { ...built.paths, ...join, ...renew, ...controlPlanePaths(sharedSettings(dataDir)) },
      };
    },
  });
  await server.start();
  await extensions?.start(server, server.health.steps);
  server.metrics.add(() => extensions?.aggregator.families() ?? []);
  const admin = server.client(apiServerUser);
  for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"])
    await admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} });
  await reconcilePolicy(admin, bootstrapPolicy());
  await ensureBootstrapSecret(admin, pki.joinToken);
  const manager = new ControllerManager({
    client: server.client({ name: "system:kube-controller-manager", groups: ["system:authenticated"] }),
    clientFor: (account) => server.client(controllerUser(account)),
    controllers: [certificateApprover(), certificateSigner(() => pki.authorities.ca)],
  });
  await manager.start();
  await stepsDone(server);
  const transport = new HttpsTransport(server, {
    host: "127.0.0.1",
    port: 0,
    certificate: pki.certificates.serving.certificatePem,
    key: pki.certificates.serving.keyPem,
    authorities: { clients: pki.authorities.trusted, frontProxies: pki.authorities.frontProxyTrusted, ...authorities },
    log: (message) => process.stderr.write(`${message}\n`),
  });
  const url = `https://127.0.0.1:${await transport.listen()}`;
  return {
    url,
    dataDir,
    pki,
    joinToken: formatJoinToken(pki.joinToken),
    admin,
    clientWith(credentials) {
      const all = { ca: pki.authorities.ca.certificatePem, ...credentials };
      return new HttpClient({ servers: [url], credentials: () => all });
    },
    async stop() {
      await manager.stop();
      extensions?.stop();
      security?.stop();
      dialer.close();
      server.stop();
      await transport.stop();
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

function extensionsOf({ reader, resources }: ServerParts, authorizer: Authorizer, client: Client): Extensions {
  const dial = async (): Promise<never> => Promise.reject(new Error("no board can be reached from here"));
  const frontProxy = (): never => {
    throw new Error("no API is aggregated here");
  };
  return new Extensions({
    reader,
    resources,
    authorizer,
    dialer: { boards: [], dial },
    client,
    log: silentLog,
    frontProxy,
  });
}

/** As of a master on etcd, which is not asked for anything here. */
function sharedSettings(dataDir: string): Parameters<typeof controlPlanePaths>[0] {
  for (const [part, file] of Object.entries(etcdFiles)) {
    mkdirSync(dirname(join(dataDir, file)), { recursive: true });
    writeFileSync(join(dataDir, file), `the ${part} of etcd`);
  }
  return {
    dataDir,
    store: "etcd=https://etcd:2379",
    etcdCafile: "",
    etcdCertfile: "",
    etcdKeyfile: "",
    clusterCidr: "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
    clusterDns: "10.43.0.10",
    clusterDomain: "cluster.local",
    serviceNodePortRange: "30000-32767",
  };
}
