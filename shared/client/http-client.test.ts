import { afterEach, beforeAll, expect, test } from "bun:test";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { expired, notFound, StatusError } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { ConnectionError } from "./client.ts";
import { HttpClient } from "./http-client.ts";
import { openInformer } from "./informer.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let authority: KeyAndCertificate;
let serverCertificate: KeyAndCertificate;
let clientCertificate: KeyAndCertificate;
beforeAll(async () => {
  authority = await createCertificateAuthority("test");
  serverCertificate = await issueCertificate(authority, { commonName: "server", ipAddresses: ["127.0.0.1"] }, [
    extendedKeyUsages.serverAuth,
  ]);
  clientCertificate = await issueCertificate(authority, { commonName: "somebody" }, [extendedKeyUsages.clientAuth]);
});

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A real TLS server that asks for client certificates, as the API server does. */
async function serve(handle: Handler): Promise<string> {
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handle(request, response, Buffer.concat(chunks).toString()));
  });
  const sockets = new Set<TLSSocket>();
  const tls = createTlsServer(
    {
      key: serverCertificate.keyPem,
      cert: serverCertificate.certificatePem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (socket) => {
      sockets.add(socket);
      http.emit("connection", socket);
    },
  );
  await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
  stops.push(() => {
    for (const socket of sockets) socket.destroy();
    tls.close();
  });
  return `https://127.0.0.1:${(tls.address() as AddressInfo).port}`;
}

function client(servers: string[], more: { watchSilence_ms?: number; token?: string } = {}): HttpClient {
  const credentials = {
    ca: authority.certificatePem,
    certificate: clientCertificate.certificatePem,
    key: clientCertificate.keyPem,
    ...(more.token ? { token: more.token } : {}),
  };
  return new HttpClient({ servers, credentials: () => credentials, ...more });
}

const json = (response: ServerResponse, code: number, body: object, headers: Record<string, string> = {}): void => {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};
const configMap = (name: string, resourceVersion = "1"): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "ns", uid: `uid-${name}`, resourceVersion },
});
const key = { namespace: "ns", name: "a" };
const frame = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const initialEnd = (resourceVersion: string): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { resourceVersion, annotations: { "k8s.io/initial-events-end": "true" } },
});

test("requests are what the API expects, with certificate and token", async () => {
  const seen: string[] = [];
  const url = await serve((request, response, body) => {
    const subject = (request.socket as TLSSocket).getPeerCertificate().subject;
    seen.push(
      `${subject.CN} ${request.headers.authorization} ${request.method} ${request.url} ${request.headers["content-type"] ?? "-"} ${body}`,
    );
    json(response, 200, configMap("a"));
  });
  const api = client([url], { token: "t" });
  await api.get(configMaps, key, { resourceVersion: "0" });
  await api.create(configMaps, configMap("a"), { fieldManager: "m", dryRun: true });
  await api.patch(configMaps, key, { type: "apply", body: {}, force: true }, { fieldManager: "m" });
  await api.patch(configMaps, key, { type: "json", body: [] }, { subresource: "status" });
  await api.delete(configMaps, key, { gracePeriodSeconds: 0 });
  const path = "/api/v1/namespaces/ns/configmaps";
  const object = JSON.stringify(configMap("a"));
  expect(seen.map((line) => line.replace("somebody Bearer t ", ""))).toEqual([
    `GET ${path}/a?resourceVersion=0 - `,
    `POST ${path}?fieldManager=m&dryRun=All application/json ${object}`,
    `PATCH ${path}/a?fieldManager=m&force=true application/apply-patch+yaml {}`,
    `PATCH ${path}/a/status application/json-patch+json []`,
    `DELETE ${path}/a application/json {"gracePeriodSeconds":0}`,
  ]);
});

test("errors of the server and of the connection are told apart", async () => {
  const url = await serve((request, response) => {
    if (request.url?.endsWith("/plain")) {
      response.writeHead(403, { "content-type": "text/plain" });
      response.end("no");
    } else json(response, 404, notFound(configMaps, "a").toStatus());
  });
  const api = client([url]);
  const error = await api.get(configMaps, key).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(StatusError);
  expect(error).toMatchObject({ reason: "NotFound", code: 404, message: 'configmaps "a" not found' });
  expect(await api.raw({ method: "GET", path: "/plain" }).catch((caught: unknown) => caught)).toMatchObject({
    reason: "Forbidden",
    message: "no",
  });
  const nobody = client(["https://127.0.0.1:1"]);
  expect(await nobody.get(configMaps, key).catch((caught: unknown) => caught)).toBeInstanceOf(ConnectionError);
  const stranger = new HttpClient({ servers: [url], credentials: () => ({}) });
  expect(await stranger.get(configMaps, key).catch((caught: unknown) => caught)).toBeInstanceOf(ConnectionError);
});

test("another server takes over, and stays the one that is asked", async () => {
  let asked = 0;
  const url = await serve((_request, response) => {
    asked++;
    json(response, 200, configMap("a"));
  });
  const api = client(["https://127.0.0.1:1", url]);
  await api.create(configMaps, configMap("a"));
  expect(api.server).toBe(url);
  await api.get(configMaps, key);
  expect(asked).toBe(2);
});

test("a server is away from a failure, or from silence, until one answers", async () => {
  const clock = new ManualClock();
  const held: (() => void)[] = [];
  const url = await serve((request, response) => {
    if (request.url?.includes("quick")) json(response, 200, configMap("a"));
    else held.push(() => json(response, 200, configMap("a")));
  });
  const servers = ["https://127.0.0.1:1"];
  const credentials = { ca: authority.certificatePem };
  const api = new HttpClient({ servers, credentials: () => credentials, clock });
  expect(api.isAway).toBe(false);
  await api.get(configMaps, key).catch(() => undefined);
  expect(api.isAway).toBe(true);
  servers[0] = url;
  await api.raw({ method: "GET", path: "/quick" });
  expect(api.isAway).toBe(false);
  const waiting = api.get(configMaps, key);
  while (held.length === 0) await Bun.sleep(1);
  expect(api.isAway).toBe(false);
  await clock.advance(3_000);
  expect(api.isAway).toBe(true);
  for (const answer of held) answer();
  await waiting;
  expect(api.isAway).toBe(false);
  expect(new HttpClient({ servers, credentials: () => credentials, startsAway: true }).isAway).toBe(true);
});

test("a server that has long been silent is asked over a connection of its own", async () => {
  const clock = new ManualClock();
  const ports: (number | undefined)[] = [];
  let isDeaf = false;
  const url = await serve((request, response) => {
    ports.push(request.socket.remotePort);
    // What was asked arrives, and the answer does not: so a cut of one direction looks.
    if (!isDeaf) setImmediate(() => json(response, 200, configMap("a")));
  });
  const credentials = { ca: authority.certificatePem };
  const api = new HttpClient({ servers: [url], credentials: () => credentials, clock, timeout_ms: 60_000 });
  await Promise.all([1, 2, 3].map(() => api.get(configMaps, key)));
  const kept = new Set(ports.splice(0));
  isDeaf = true;
  const stop = new AbortController();
  const ask = async (): Promise<number | undefined> => {
    const before = ports.length;
    api.raw({ method: "GET", path: "/", signal: stop.signal }).catch(() => undefined);
    while (ports.length === before) await Bun.sleep(1);
    return ports.at(-1);
  };
  expect(kept).toContain(await ask());
  await clock.advance(10_000);
  expect(kept).not.toContain(await ask());
  stop.abort();
});

test("a busy server is asked again", async () => {
  let asked = 0;
  const url = await serve((_request, response) => {
    if (asked++ === 0) json(response, 429, {}, { "retry-after": "0" });
    else json(response, 200, configMap("a"));
  });
  expect((await client([url]).get(configMaps, key)).metadata.name).toBe("a");
  expect(asked).toBe(2);
});

test("requests are held to a rate where there is one, and watches are not", async () => {
  let asked = 0;
  const url = await serve((request, response) => {
    asked++;
    if (!request.url?.includes("watch=")) return json(response, 200, configMap("a"));
    response.writeHead(200, { "content-type": "application/json" });
    response.write(frame("ADDED", configMap("a")));
  });
  const clock = new ManualClock();
  const credentials = { ca: authority.certificatePem };
  const rate = { perSecond: 2, burst: 1 };
  const api = new HttpClient({ servers: [url], credentials: () => credentials, clock, rate });
  await api.get(configMaps, key);
  const second = api.get(configMaps, key);
  const stop = new AbortController();
  for await (const { type } of api.watch(configMaps, { resourceVersion: "0", signal: stop.signal })) {
    expect([type, asked]).toEqual(["ADDED", 2]);
    stop.abort();
  }
  await clock.advance(500);
  await second;
  expect(asked).toBe(3);
});

test("a watch gives what comes, ends with the signal, and fails with what the server says", async () => {
  const url = await serve((request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    if (request.url?.includes("resourceVersion=1")) response.end(frame("ERROR", expired("too old").toStatus()));
    else {
      const text = frame("ADDED", configMap("a")) + frame("MODIFIED", configMap("a", "2"));
      // Frames do not end where chunks end.
      response.write(text.slice(0, 50));
      setImmediate(() => response.write(text.slice(50)));
    }
  });
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const { type, object } of client([url]).watch(configMaps, { signal: stop.signal })) {
    seen.push(`${type} ${object.metadata.resourceVersion}`);
    if (seen.length === 2) stop.abort();
  }
  expect(seen).toEqual(["ADDED 1", "MODIFIED 2"]);
  const failing = (async () => {
    const signal = new AbortController().signal;
    for await (const event of client([url]).watch(configMaps, { resourceVersion: "1", signal })) void event;
  })();
  expect(await failing.catch((caught: unknown) => caught)).toMatchObject({ reason: "Expired", code: 410 });
});

test("a watch that falls silent is given up", async () => {
  const url = await serve((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write(frame("ADDED", configMap("a")));
  });
  const watching = (async () => {
    const options = { signal: new AbortController().signal, allowWatchBookmarks: true };
    for await (const event of client([url], { watchSilence_ms: 50 }).watch(configMaps, options)) void event;
  })();
  expect(await watching.catch((caught: unknown) => caught)).toBeInstanceOf(ConnectionError);
});

test("an informer follows, resumes, and finds by comparing what it missed", async () => {
  const requests: string[] = [];
  let breakConnection = (): void => undefined;
  const url = await serve((request, response) => {
    const query = new URL(request.url ?? "", "https://x").searchParams;
    requests.push(query.get("sendInitialEvents") === "true" ? "initial" : `from ${query.get("resourceVersion")}`);
    response.writeHead(200, { "content-type": "application/json" });
    switch (requests.length) {
      case 1:
        for (const name of ["a", "b"]) response.write(frame("ADDED", configMap(name)));
        response.write(frame("BOOKMARK", initialEnd("5")));
        response.write(frame("MODIFIED", configMap("a", "6")));
        breakConnection = () => response.socket?.destroy();
        break;
      case 2:
        response.end(frame("ERROR", expired("too old").toStatus()));
        break;
      default:
        for (const name of ["a", "c"]) response.write(frame("ADDED", configMap(name, "9")));
        response.write(frame("BOOKMARK", initialEnd("10")));
    }
  });
  const informer = openInformer(client([url]), configMaps);
  const seen: string[] = [];
  const done = Promise.withResolvers<void>();
  informer.addHandler(({ type, object }) => {
    seen.push(`${type} ${object.metadata.name} ${object.metadata.resourceVersion}`);
    // Not before all was read: what a broken connection still carries is lost.
    if (object.metadata.resourceVersion === "6") breakConnection();
    if (type === "delete") done.resolve();
  });
  informer.start();
  await informer.synced;
  await done.promise;
  expect(seen).toEqual(["add a 1", "add b 1", "update a 6", "update a 9", "add c 9", "delete b 1"]);
  expect(requests).toEqual(["initial", "from 6", "initial"]);
  expect(informer.lister.list("ns").map(({ metadata }) => metadata.name)).toEqual(["a", "c"]);
  await informer.stop();
});

test.each([
  // Upstream without the feature; and over an etcd that is too old for it, which tells so in the stream.
  ["refuses that", "Invalid"],
  ["fails at it", "InternalError"],
] as const)("an informer lists by pages where the server does not stream lists: it %s", async (_, reason) => {
  const url = await serve((request, response) => {
    const query = new URL(request.url ?? "", "https://x").searchParams;
    const status = new StatusError(reason, "sendInitialEvents is not possible").toStatus();
    if (query.has("sendInitialEvents") && reason === "Invalid") json(response, 422, status);
    else if (query.has("sendInitialEvents"))
      response.writeHead(200, { "content-type": "application/json" }).end(frame("ERROR", status));
    else if (query.has("watch")) response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    else {
      const second = query.get("continue") === "more";
      const metadata = second ? { resourceVersion: "7" } : { resourceVersion: "7", continue: "more" };
      json(response, 200, { metadata, items: [{ metadata: configMap(second ? "b" : "a").metadata }] });
    }
  });
  const informer = openInformer(client([url]), configMaps);
  informer.start();
  await informer.synced;
  expect(informer.lister.get("ns/b")?.kind).toBe("ConfigMap");
  expect(informer.lister.size).toBe(2);
  await informer.stop();
});

test("a client whose signal aborts gives up what is under way, and asks nothing more", async () => {
  const asked = Promise.withResolvers<void>();
  let requests = 0;
  const server = await serve(() => {
    requests += 1;
    asked.resolve();
  });
  const ending = new AbortController();
  const client = new HttpClient({
    servers: [server],
    credentials: () => ({ ca: authority.certificatePem }),
    signal: ending.signal,
  });
  const underWay = client.get(configMaps, { namespace: "a", name: "x" }).catch((error: unknown) => error);
  await asked.promise;
  ending.abort(new ConnectionError("the process ends"));
  expect(await underWay).toBe(ending.signal.reason);
  expect(await client.get(configMaps, { namespace: "a", name: "y" }).catch((error: unknown) => error)).toBe(
    ending.signal.reason,
  );
  expect(requests).toBe(1);
});
