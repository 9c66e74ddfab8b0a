import { chmodSync, mkdirSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { dirname } from "node:path";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { StatusError, unauthorized } from "#shared/api/errors.ts";
import type { Client } from "#shared/client/client.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import type { Gate, KubeletServer } from "./kubelet-server.ts";

/** A listener of the kubelet's server. */
export interface Door {
  /** Resolves when the last connection is gone. */
  stop(): Promise<void>;
}

interface DoorCertificates {
  /** Whose clients count, PEM. */
  readonly ca: string;
  readonly serving: KeyAndCertificate;
}

/** A door that takes other certificates while it is open, for connections from then on. */
export interface TlsDoor extends Door {
  use(certificates: DoorCertificates): void;
}

/** Who asks, from a certificate or a token. */
interface Caller {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string | undefined;
}

const answerFor_ms = 30_000;
const mostAnswers = 256;

/** The door for what comes through the tunnel: a socket that only root can open, so who is there may pass. */
export async function openLocalDoor(server: KubeletServer, path: string): Promise<Door> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  rmSync(path, { force: true });
  const door = server.door(() => Promise.resolve());
  await new Promise<void>((done, fail) => {
    door.once("error", fail);
    door.listen(path, () => done());
  });
  chmodSync(path, 0o600);
  return { stop: () => closed(door) };
}

/** The kubelet's port: mutual TLS or a bearer token, each request authorised by the API server as the kubelet's own API. */
export async function openTlsDoor(
  server: KubeletServer,
  options: DoorCertificates & { readonly port: number; readonly client: Client },
): Promise<TlsDoor> {
  const door = server.door(reviewGate(options.client));
  const contextOf = ({ ca, serving }: DoorCertificates) => ({ ca, cert: serving.certificatePem, key: serving.keyPem });
  const listener = createTlsServer(
    {
      ...contextOf(options),
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
    },
    (socket) => door.emit("connection", socket),
  );
  await new Promise<void>((done, fail) => {
    listener.once("error", fail);
    listener.listen(options.port, () => done());
  });
  return {
    stop: () => closed(listener),
    use: (certificates) => void listener.setSecureContext(contextOf(certificates)),
  };
}

function closed(server: { close(done: () => void): unknown }): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

/** Asks the API server who the caller is (TokenReview) and what he may do (SubjectAccessReview); answers are kept a while. */
function reviewGate(client: Client): Gate {
  const answers = new Map<string, { readonly allowed: boolean; readonly until_ms: number }>();
  return async (request) => {
    const caller = await callerOf(request, client);
    const attributes = {
      verb: verbOf(request.method),
      resource: "nodes",
      subresource: subresourceOf(request.url ?? "/"),
      version: "v1",
    };
    const key = JSON.stringify([caller, attributes]);
    const known = answers.get(key);
    const allowed =
      known && known.until_ms > performance.now() ? known.allowed : await isAllowed(client, caller, attributes);
    answers.delete(key);
    answers.set(key, { allowed, until_ms: performance.now() + answerFor_ms });
    const oldest = answers.keys().next().value;
    if (answers.size > mostAnswers && oldest !== undefined) answers.delete(oldest);
    if (!allowed) {
      const what = `user=${caller.user}, verb=${attributes.verb}, resource=nodes, subresource(s)=[${attributes.subresource}]`;
      throw new StatusError("Forbidden", `Forbidden (${what})`);
    }
  };
}

async function callerOf(request: IncomingMessage, client: Client): Promise<Caller> {
  const socket = request.socket as TLSSocket;
  if (socket.authorized) {
    const subject = socket.getPeerCertificate().subject as unknown as
      | { CN?: string; O?: string | string[] }
      | undefined;
    if (subject?.CN) return { user: subject.CN, groups: [...[subject.O ?? []].flat(), "system:authenticated"] };
  }
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) throw unauthorized();
  const review = (await client.raw({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } },
  })) as { status?: { authenticated?: boolean; user?: { username?: string; groups?: string[]; uid?: string } } };
  const { authenticated, user } = review.status ?? {};
  if (!authenticated || !user?.username) throw unauthorized();
  return { user: user.username, groups: user.groups ?? [], uid: user.uid };
}

async function isAllowed(client: Client, caller: Caller, resourceAttributes: object): Promise<boolean> {
  const review = (await client.raw({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: caller.user,
        groups: caller.groups,
        ...(caller.uid ? { uid: caller.uid } : {}),
        resourceAttributes,
      },
    },
  })) as { status?: { allowed?: boolean } };
  return review.status?.allowed === true;
}

/** Which right a path needs, as upstream's kubelet maps them. */
function subresourceOf(url: string): string {
  const path = url.split("?")[0] ?? "/";
  if (path.startsWith("/stats")) return "stats";
  if (path.startsWith("/metrics")) return "metrics";
  if (path.startsWith("/logs")) return "log";
  if (path === "/healthz") return "healthz";
  if (path === "/pods") return "pods";
  return "proxy";
}

function verbOf(method = "GET"): string {
  const verbs: Record<string, string> = { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };
  return verbs[method] ?? "get";
}
