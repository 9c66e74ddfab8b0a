import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Server as TcpServer,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createSecureContext } from "node:tls";
import { gzipSync } from "node:zlib";
import WebSocket, { WebSocketServer } from "ws";
import { secrets } from "#shared/api/resources.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { startTestServer, type TestServer } from "../../test/support/apiserver.ts";
import { Seal } from "../checkpoint/seal.ts";
import { Checkpoint } from "../kubelet/checkpoint.ts";
import type { Backend } from "./backends.ts";
import { IngressCertificates } from "./certificates.ts";
import { IngressServer } from "./ingress-server.ts";

setDefaultTimeout(300_000);
const big = Buffer.alloc(8 * 1024 * 1024, "x");

describe("the ingress data path", () => {
  let pod: Server;
  let grpc: Http2Server;
  let ingress: IngressServer;
  let backends: Record<string, Backend>;
  /** What the pod has been asked for. */
  const requested: string[] = [];
  const released = Promise.withResolvers<void>();

  /** It knows no other protocol, and answers one request after the other. */
  const plainPod = createTcpServer((socket) => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      text += String(bytes);
      for (const [, path = ""] of text.matchAll(/^GET (\S+) [\s\S]*?\r\n\r\n/gm)) {
        requested.push(path);
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nplain\r\n0\r\n\r\n");
      }
      text = text.slice(text.lastIndexOf("\r\n\r\n") + 4);
    });
  });
  const listening = (server: Server | Http2Server | TcpServer): Promise<number> =>
    new Promise((done) => server.listen(0, "127.0.0.1", () => done((server.address() as AddressInfo).port)));
  const endpoint = (port: number) => ({ ip: "127.0.0.1", port });

  beforeAll(async () => {
    pod = createHttpServer(async (request, response) => {
      requested.push(request.url ?? "");
      switch (request.url) {
        case "/headers":
          return response.end(JSON.stringify(request.headers));
        case "/gzip":
          return response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("packed"));
        case "/moved":
          return response.writeHead(302, { location: "/headers", "set-cookie": ["a=1", "b=2"] }).end();
        case "/stream":
          response.write("first");
          await released.promise;
          return response.end("second");
        case "/big":
          return response.end(big);
        case "/silent":
          return;
        default: {
          let length = 0;
          for await (const chunk of request) length += (chunk as Buffer).length;
          return response.end(`${request.method} ${length}`);
        }
      }
    });
    new WebSocketServer({ server: pod }).on("connection", (socket) =>
      socket.on("message", (data) => socket.send(`echo ${data}`)),
    );
    grpc = createHttp2Server();
    grpc.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("wantTrailers", () =>
        stream.sendTrailers({ "grpc-status": "0", "grpc-message": String(headers[":path"]) }),
      );
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("data", (chunk: Buffer) => stream.write(chunk));
      stream.on("end", () => stream.end());
    });
    const [podPort, grpcPort] = [await listening(pod), await listening(grpc)];
    backends = {
      "web.test": { endpoints: [endpoint(podPort)], protocol: "http1" },
      "grpc.test": { endpoints: [endpoint(grpcPort)], protocol: "h2c" },
      "plain.test": { endpoints: [endpoint(await listening(plainPod))], protocol: "http1" },
      // Its Ingress has no more than /public.
      "paths.test": { endpoints: [endpoint(podPort)], protocol: "http1" },
      // The first takes no connection.
      "half.test": { endpoints: [endpoint(1), endpoint(podPort)], protocol: "http1" },
      "empty.test": { endpoints: [], protocol: "http1" },
    };
    ingress = await listeningIngress(60_000);
  });
  const listeningIngress = async (idle_ms: number): Promise<IngressServer> => {
    const made = new IngressServer({
      httpPort: 0,
      httpsPort: 0,
      idle_ms,
      log: silentLog,
      backendFor: (host, path) =>
        host === "paths.test" && !path.startsWith("/public/") ? undefined : backends[host.replace(/:\d+$/, "")],
      contextFor: async () => undefined,
    });
    await made.listen();
    return made;
  };
  afterAll(async () => {
    await ingress.close();
    pod.closeAllConnections();
    pod.close();
    plainPod.close();
    grpc.close();
  });

  const curl = async (host: string, path: string, ...args: string[]): Promise<string> => {
    const [scheme, port] = args.includes("--tls") ? ["https", ingress.httpsPort] : ["http", ingress.httpPort];
    const words = args.filter((word) => word !== "--tls");
    const cmd = [
      "curl",
      "-sk",
      "-m",
      "240",
      "--connect-to",
      `::127.0.0.1:${port}`,
      ...words,
      `${scheme}://${host}${path}`,
    ];
    const child = Bun.spawn({ cmd, stdin: "ignore", stdout: "pipe" });
    return new Response(child.stdout).text();
  };

  test("a pod sees the client, whatever the client says of itself", async () => {
    const seen = JSON.parse(
      await curl(
        "web.test",
        "/headers",
        "-H",
        "X-Forwarded-For: 1.2.3.4",
        "-H",
        "X-Forwarded-Port: 8443",
        "-H",
        "Connection: x-secret",
        "-H",
        "X-Secret: 1",
      ),
    );
    expect(seen).toMatchObject({
      host: "web.test",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
      "x-real-ip": "127.0.0.1",
    });
    expect(seen).not.toContainKey("x-forwarded-port");
    const secure = JSON.parse(await curl("web.test", "/headers", "--tls", "--http2"));
    expect(secure).toMatchObject({ host: "web.test", "x-forwarded-proto": "https", "x-forwarded-host": "web.test" });
  });

  test("answers pass unchanged: redirects, cookies, codings", async () => {
    const head = await curl("web.test", "/moved", "-i");
    expect(head).toContain("302");
    expect(head.toLowerCase()).toContain("set-cookie: a=1");
    expect(head.toLowerCase()).toContain("set-cookie: b=2");
    expect(await curl("web.test", "/gzip", "--compressed")).toBe("packed");
    expect(await curl("web.test", "/headers", "-I")).toContain("200");
  });

  test("bodies of both directions, with and without a length, by HTTP/1.1 and HTTP/2", async () => {
    const file = `/tmp/ingress-${process.pid}`;
    await Bun.write(file, big);
    for (const version of [[], ["--tls"], ["--tls", "--http2"]]) {
      expect(await curl("web.test", "/post", ...version, "--data-binary", `@${file}`)).toBe(`POST ${big.length}`);
      expect(await curl("web.test", "/put", ...version, "-H", "Transfer-Encoding: chunked", "-T", file)).toBe(
        `PUT ${big.length}`,
      );
      expect((await curl("web.test", "/big", ...version)).length).toBe(big.length);
    }
    await Bun.file(file).delete();
  });

  test("an answer comes through as the pod sends it", async () => {
    const response = await fetch(`http://127.0.0.1:${ingress.httpPort}/stream`, { headers: { host: "web.test" } });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("first");
    released.resolve();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("second");
  });

  test("WebSocket, plain and over TLS", async () => {
    for (const url of [`ws://127.0.0.1:${ingress.httpPort}/ws`, `wss://127.0.0.1:${ingress.httpsPort}/ws`]) {
      const socket = new WebSocket(url, { headers: { Host: "web.test" }, rejectUnauthorized: false });
      const answer = new Promise((done, fail) => {
        socket.on("error", fail);
        socket.on("message", (data) => done(String(data)));
      });
      socket.on("open", () => socket.send("hello"));
      expect(await answer).toBe("echo hello");
      socket.close();
    }
  });

  /** All that comes by a connection on which this was sent, once the other side has ended it. */
  const conversation = async (text: string, then = ""): Promise<string> => {
    const socket = connectTcp(ingress.httpPort ?? 0, "127.0.0.1");
    socket.write(text);
    let got = "";
    for await (const chunk of socket) {
      if (got === "" && then !== "") socket.write(then);
      got += String(chunk);
    }
    return got;
  };
  const lines = (...all: string[]): string => `${all.join("\r\n")}\r\n\r\n`;
  const second = lines("GET /hidden HTTP/1.1", "Host: web.test");

  test("a pod that stays with HTTP is asked for nothing but what an Ingress has seen", async () => {
    const asked = lines("GET /plain HTTP/1.1", "Host: plain.test", "Connection: Upgrade", "Upgrade: websocket");
    for (const [at, later] of [
      [`${asked}${second}`, ""],
      [asked, second],
    ] as const) {
      requested.length = 0;
      const answer = await conversation(at, later);
      expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(answer).toEndWith("\r\n\r\nplain");
      expect(requested).toEqual(["/plain"]);
    }
  });

  test("a pod that answers no HTTP and then nothing costs its client the request, and nobody else anything", async () => {
    const impatient = await listeningIngress(200);
    const ended = Promise.withResolvers<void>();
    const strange = createTcpServer((socket) => {
      socket.on("error", () => undefined).once("close", () => ended.resolve());
      socket.once("data", () => socket.write("no HTTP\r\n\r\n"));
    });
    backends["strange.test"] = { endpoints: [endpoint(await listening(strange))], protocol: "http1" };
    // A client may hold its own side open for as long as it likes.
    const client = connectTcp({ port: impatient.httpPort ?? 0, host: "127.0.0.1", allowHalfOpen: true });
    client.write(lines("GET / HTTP/1.1", "Host: strange.test", "Connection: Upgrade", "Upgrade: websocket"));
    const told = new Promise((done) => client.once("data", (bytes) => done(String(bytes).split("\r\n")[0])));
    expect(await told).toBe("HTTP/1.1 503 Service Unavailable");
    await ended.promise;
    client.destroy();
    strange.close();
    await impatient.close();
  });

  test("HTTP/2 is no protocol to change to: the request is answered as what it is", async () => {
    const upgrade = ["Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
    const answer = await conversation(lines("GET /headers HTTP/1.1", "Host: web.test", ...upgrade));
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(answer).not.toContain("h2c");
    expect(await curl("web.test", "/post", "--http2", "--data", "four")).toBe("POST 4");
  });

  test("a body is what its coding says, whatever length stands beside it", async () => {
    requested.length = 0;
    const coded = ["Content-Length: 4", "Transfer-Encoding: chunked", "Connection: close"];
    await conversation(`${lines("POST /post HTTP/1.1", "Host: web.test", ...coded)}0\r\n\r\n${second}`);
    expect(requested).not.toContain("/hidden");
  });

  test("what leads out of a path goes where it leads", async () => {
    expect(await curl("paths.test", "/public/../big", "--path-as-is", "-w", "%{http_code}")).toContain("404");
    expect(await curl("paths.test", "/x/../public/a", "--path-as-is")).toBe("GET 0");
    expect(await curl("paths.test", "/public/..%2fbig", "-w", " %{http_code}")).toEndWith("400");
  });

  test("gRPC: HTTP/2 from end to end, with trailers", async () => {
    const session = connectHttp2(`https://127.0.0.1:${ingress.httpsPort}`, { rejectUnauthorized: false });
    const call = async (path: string): Promise<unknown> => {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        ":authority": "grpc.test",
        te: "trailers",
        "content-type": "application/grpc",
      });
      const trailers = new Promise<Record<string, unknown>>((done) => stream.on("trailers", (got) => done(got)));
      stream.end("message");
      let text = "";
      for await (const chunk of stream) text += chunk;
      const { "grpc-status": status, "grpc-message": message } = await trailers;
      return { text, status, message };
    };
    const calls = await Promise.all(["/a", "/b", "/c"].map(call));
    expect(calls).toEqual(["/a", "/b", "/c"].map((message) => ({ text: "message", status: "0", message })));
    session.close();
  });

  test("who has no Ingress, no pod, a pod that is down, and one that says nothing", async () => {
    const status = (host: string, path = "/headers"): Promise<string> =>
      curl(host, path, "-o", "/dev/null", "-w", "%{http_code}");
    expect(await status("unknown.test")).toBe("404");
    expect(await status("empty.test")).toBe("503");
    expect([await status("half.test"), await status("half.test")]).toEqual(["200", "200"]);
    const patient = ingress;
    ingress = await listeningIngress(500);
    try {
      expect(await status("web.test", "/silent")).toBe("504");
    } finally {
      await ingress.close();
      ingress = patient;
    }
  });
});

describe("certificates", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ namespaces: ["shop"] });
  });
  afterAll(() => server.stop());

  test("come from Secrets, stay while the master is away, and unusable ones are none", async () => {
    const authority = await createCertificateAuthority("test");
    const { certificatePem, keyPem } = await issueCertificate(
      authority,
      { commonName: "a.test", dnsNames: ["a.test"] },
      [extendedKeyUsages.serverAuth],
    );
    const encoded = (text: string): string => Buffer.from(text).toString("base64");
    const make = (name: string, cert: string) =>
      server.client.create(secrets, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { namespace: "shop", name },
        type: "kubernetes.io/tls",
        data: { "tls.crt": encoded(cert), "tls.key": encoded(keyPem) },
      });
    await make("good", certificatePem);
    await make("bad", "no certificate");
    const certificates = new IngressCertificates(server.client, silentLog);
    const key = (name: string) => ({ namespace: "shop", name });
    const context = await certificates.contextOf(key("good"));
    expect(context).toBeInstanceOf(createSecureContext({}).constructor);
    expect(await certificates.contextOf(key("good"))).toBe(context as NonNullable<typeof context>);
    expect(await certificates.contextOf(key("bad"))).toBeUndefined();
    expect(await certificates.contextOf(key("absent"))).toBeUndefined();

    // With a card: sealed there as soon as an Ingress names them, served at a boot with the master away, gone with it.
    const folder = mkdtempSync(join(tmpdir(), "bramble-certificates-"));
    const seal = await Seal.open(join(folder, "key"), "test");
    const open = (client: Client): IngressCertificates =>
      new IngressCertificates(client, silentLog, new Checkpoint(folder, silentLog, seal));
    await open(server.client).retain([key("good"), key("absent")]);
    const kept = readdirSync(join(folder, "secrets"));
    expect(kept).toEqual(["shop_good.sealed"]);
    expect(readFileSync(join(folder, "secrets", "shop_good.sealed")).includes("PRIVATE")).toBe(false);
    const away = { isAway: true, get: () => Promise.reject(new ConnectionError("away")) } as unknown as Client;
    expect(await open(away).contextOf(key("good"))).toBeInstanceOf(createSecureContext({}).constructor);
    expect(await open(away).contextOf(key("other"))).toBeUndefined();
    await open(server.client).retain([]);
    expect(readdirSync(join(folder, "secrets"))).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  test("a renewed one is served to who comes then, and connections that are open go on", async () => {
    const authority = await createCertificateAuthority("test");
    const dataOf = async (commonName: string): Promise<Record<string, string>> => {
      const { certificatePem, keyPem } = await issueCertificate(authority, { commonName, dnsNames: ["b.test"] }, [
        extendedKeyUsages.serverAuth,
      ]);
      const encoded = (text: string): string => Buffer.from(text).toString("base64");
      return { "tls.crt": encoded(certificatePem), "tls.key": encoded(keyPem) };
    };
    const key = { namespace: "shop", name: "renewed" };
    const secret = { apiVersion: "v1", kind: "Secret", metadata: key, type: "kubernetes.io/tls" } as const;
    await server.client.create(secrets, { ...secret, data: await dataOf("old") });
    const certificates = new IngressCertificates(server.client, silentLog, undefined, 0);
    const pod = createHttpServer();
    new WebSocketServer({ server: pod }).on("connection", (socket) =>
      socket.on("message", (data) => socket.send(`echo ${data}`)),
    );
    await new Promise<void>((done) => pod.listen(0, "127.0.0.1", done));
    const { port } = pod.address() as AddressInfo;
    const ingress = new IngressServer({
      httpPort: 0,
      httpsPort: 0,
      idle_ms: 60_000,
      log: silentLog,
      backendFor: () => ({ endpoints: [{ ip: "127.0.0.1", port }], protocol: "http1" }),
      contextFor: () => certificates.contextOf(key),
    });
    await ingress.listen();
    try {
      const url = `wss://127.0.0.1:${ingress.httpsPort}/ws`;
      const held = new WebSocket(url, { headers: { Host: "b.test" }, rejectUnauthorized: false });
      const ask = (text: string): Promise<unknown> =>
        new Promise((done, fail) => {
          held.once("error", fail);
          held.once("message", (data) => done(String(data)));
          held.send(text);
        });
      await new Promise((done) => held.once("open", done));
      expect(await ask("one")).toBe("echo one");
      expect(await servedName(ingress.httpsPort ?? 0)).toBe("old");
      const body = { data: await dataOf("new") };
      await server.client.patch(secrets, key, { type: "merge", body });
      expect(await servedName(ingress.httpsPort ?? 0)).toBe("new");
      expect(await ask("two")).toBe("echo two");
      held.close();
    } finally {
      await ingress.close();
      pod.closeAllConnections();
      pod.close();
    }
  });
});

/** The common name of the certificate that a new client is shown. */
function servedName(port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, servername: "b.test", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN as string | undefined);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
