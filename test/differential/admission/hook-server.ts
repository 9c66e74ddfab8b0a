/** A webhook whose paths answer as objects say, for upstream's server (record.ts) and for ours (the test) alike. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";

type Fields = Record<string, unknown>;

/** An object that says what the webhook is to do. */
interface Told extends Fields {
  readonly data?: Record<string, string>;
  readonly metadata?: { readonly annotations?: Record<string, string> };
}

/** `request` of an AdmissionReview. */
export interface ReviewRequest extends Fields {
  readonly uid: string;
  readonly object: Told | null;
  readonly oldObject: Told | null;
}

export interface Call {
  /** Path and query. */
  readonly path: string;
  readonly request: ReviewRequest | undefined;
}

/** What an object's `answer` tells the webhook to say. */
export interface Said {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the review; `UID` in it stands for the request's. */
  readonly response?: object | null;
  /** Instead of a review with that response. */
  readonly body?: string;
  /** Instead of an answer. */
  readonly act?: "hang" | "reset" | "truncate";
}

export interface HookServer {
  readonly url: string;
  /** The same, by an address that its certificate does not name. */
  readonly otherUrl: string;
  /** Where plain HTTP is spoken. */
  readonly plainUrl: string;
  /** Where nobody listens. */
  readonly closedUrl: string;
  readonly caBundle: string;
  /** Gives what was called since it was last taken. */
  taken(): Call[];
  /** A text without what differs from one server to the next. */
  comparable(text: string): string;
  stop(): void;
}

export async function startHookServer(): Promise<HookServer> {
  const authority = await createCertificateAuthority("hooks");
  const names = { commonName: "hook", ipAddresses: ["127.0.0.1"] };
  const { keyPem, certificatePem } = await issueCertificate(authority, names, [extendedKeyUsages.serverAuth]);
  let calls: Call[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const asked = text === "" ? undefined : (JSON.parse(text) as { readonly request: ReviewRequest }).request;
      const path = request.url ?? "";
      calls.push({ path, request: asked });
      send(saidOf(path.split("?", 1)[0] ?? "", asked), asked?.uid ?? "", response);
    });
  };
  const secure = createServer({ key: keyPem, cert: certificatePem }, answer);
  const plain = createHttpServer(answer);
  const closed = createHttpServer(answer);
  const ports: number[] = [];
  for (const each of [secure, plain, closed]) {
    await new Promise<void>((resolve) => each.listen(0, resolve));
    ports.push((each.address() as AddressInfo).port);
  }
  closed.close();
  const [port, plainPort, closedPort] = ports;
  return {
    url: `https://127.0.0.1:${port}`,
    otherUrl: `https://127.0.0.2:${port}`,
    plainUrl: `https://127.0.0.1:${plainPort}`,
    closedUrl: `https://127.0.0.1:${closedPort}`,
    caBundle: Buffer.from(authority.certificatePem).toString("base64"),
    taken() {
      const taken = calls;
      calls = [];
      return taken;
    },
    comparable: (text) =>
      ports
        .reduce((each, number) => each.replaceAll(`:${number}`, ":PORT"), text)
        .replace(/( on [\d.]+:53)?(: (no such host|server misbehaving|i\/o timeout))/g, "$2"),
    stop() {
      for (const each of [secure, plain]) {
        each.closeAllConnections();
        each.close();
      }
    },
  };
}

const patch = (steps: unknown): object => ({
  uid: "UID",
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(typeof steps === "string" ? steps : JSON.stringify(steps)).toString("base64"),
});
const allowed = { response: { uid: "UID", allowed: true } };

/** By path: `/say` what the object's `answer` is, `/patch` with its `patch` (there or among its annotations), `/append/x` puts x behind its `log`, `/once/x` the same
 *  if it is not there yet, `/container/x` adds one to a Pod that lacks it, `/step/x` makes the step of a patch that x is in base64, `/respond/x` says what x is so, and `/allow` nothing. */
function saidOf(path: string, request: ReviewRequest | undefined): Said {
  const [, verb = "", what = ""] = path.split("/");
  const { data = {}, metadata } = request?.object ?? request?.oldObject ?? {};
  const { log = "" } = data;
  switch (verb) {
    case "say":
      return JSON.parse(data["answer"] ?? "{}") as Said;
    case "patch":
      return { response: patch(data["patch"] ?? metadata?.annotations?.["patch"] ?? "[]") };
    case "append":
    case "once":
      if (verb === "once" && log.includes(what)) return allowed;
      return { response: patch([{ op: "add", path: "/data/log", value: log + what }]) };
    case "container": {
      const { containers = [] } = (request?.object?.["spec"] ?? {}) as { containers?: { name: string }[] };
      if (containers.some(({ name }) => name === what)) return allowed;
      return { response: patch([{ op: "add", path: "/spec/containers/-", value: { name: what, image: what } }]) };
    }
    case "respond":
      return { response: { uid: "UID", ...(JSON.parse(Buffer.from(what, "base64url").toString()) as object) } };
    case "step":
      return { response: patch([JSON.parse(Buffer.from(what, "base64url").toString())]) };
    default:
      return allowed;
  }
}

function send({ status = 200, headers, response, body, act }: Said, uid: string, answer: ServerResponse): void {
  if (act === "hang") return;
  if (act === "reset") return void answer.destroy();
  const review = { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", response };
  const text = (body ?? JSON.stringify(review)).replaceAll("UID", uid);
  const length = Buffer.byteLength(text) + (act === "truncate" ? 5 : 0);
  answer.writeHead(status, { "content-type": "application/json", "content-length": String(length), ...headers });
  if (act !== "truncate") return void answer.end(text);
  answer.write(text);
  setTimeout(() => answer.destroy(), 100);
}
