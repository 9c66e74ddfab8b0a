import { afterEach, describe, expect, test } from "bun:test";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Probe } from "#shared/api/types/core-v1.generated.ts";
import type { ProbeResult } from "../planner/observed-pod.ts";
import { checkGrpcHealth } from "./grpc-health.ts";
import { ProbeWorker } from "./probe-worker.ts";
import { type ProbeOutcome, runProbe } from "./run-probe.ts";

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(listener: RequestListener): Promise<number> {
  const server: Server = createHttpServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const probe = (probe: Probe): Promise<ProbeOutcome> =>
  runProbe(probe, {
    // HTTP and TCP probes do not ask the runtime.
    runtime: undefined as unknown as ContainerRuntime,
    container: { name: "c", ports: [{ name: "web", containerPort: 1 }] },
    containerId: "id",
    podIP: "127.0.0.1",
  });

describe("HTTP", () => {
  test("success, failure, and the headers that are sent", async () => {
    const seen: Record<string, unknown>[] = [];
    const port = await serve((request, response) => {
      seen.push(request.headers);
      response.statusCode = request.url === "/ok" ? 200 : 500;
      response.end("body");
    });
    const httpHeaders = [{ name: "X-Mine", value: "1" }];
    expect(await probe({ httpGet: { port, path: "/ok", httpHeaders } })).toEqual({ result: "success", output: "body" });
    expect(seen[0]).toMatchObject({ "x-mine": "1", "user-agent": "kube-probe/1.35", accept: "*/*" });
    expect(await probe({ httpGet: { port, path: "/bad" } })).toEqual({
      result: "failure",
      output: "HTTP probe failed with statuscode: 500",
    });
  });

  test("a header is sent by the name that came first, one that is made empty is not, and what frames the request is the client's", async () => {
    const lines: string[][] = [];
    const port = await serve((request, response) => {
      lines.push(request.rawHeaders);
      response.end();
    });
    const httpHeaders = [
      ["X-Mine", "1"],
      ["x-mine", "2"],
      ["Host", "one.example"],
      ["host", "two.example"],
      ["User-Agent", ""],
      ["accept", ""],
      ["Content-Length", "5"],
      ["Transfer-Encoding", "chunked"],
    ].map(([name = "", value = ""]) => ({ name, value }));
    expect((await probe({ httpGet: { port, httpHeaders } })).result).toBe("success");
    const sent = (lines[0] ?? []).map((text) => text.toLowerCase());
    const names = sent.filter((_, index) => index % 2 === 0);
    expect(sent[names.indexOf("host") * 2 + 1]).toBe("one.example");
    expect(sent.join(" ")).toMatch(/x-mine (1 x-mine )?,? ?2|x-mine 1, 2/);
    for (const absent of ["user-agent", "accept", "content-length", "transfer-encoding"])
      expect(names).not.toContain(absent);
  });

  test("redirects are followed on the host, and end with a warning elsewhere", async () => {
    const port = await serve((request, response) => {
      const targets: Record<string, string> = { "/near": "/there", "/far": "http://192.0.2.1/" };
      const target = targets[request.url ?? ""];
      response.writeHead(target ? 302 : 200, target ? { Location: target } : {}).end("here");
    });
    expect((await probe({ httpGet: { port, path: "/near" } })).result).toBe("success");
    expect(await probe({ httpGet: { port, path: "/far" } })).toEqual({
      result: "warning",
      output: "Probe terminated redirects, Response body: here",
    });
  });

  test("a redirect to what HTTP does not lead to is a failure, and no more", async () => {
    const port = await serve((_, response) => void response.writeHead(302, { Location: "ftp://127.0.0.1/" }).end());
    expect(await probe({ httpGet: { port }, timeoutSeconds: 1 })).toEqual({
      result: "failure",
      output: 'Get "ftp://127.0.0.1/": unsupported protocol scheme "ftp"',
    });
    const httpHeaders = [{ name: "X-Mine", value: "a\nb" }];
    expect(await probe({ httpGet: { port, httpHeaders }, timeoutSeconds: 1 })).toMatchObject({ result: "failure" });
    // Nothing is left that would end the process when its time is over.
    await Bun.sleep(1_100);
  });

  test("no answer in time, and nobody there", async () => {
    const port = await serve(() => undefined);
    expect(await probe({ httpGet: { port }, timeoutSeconds: 1 })).toMatchObject({
      result: "failure",
      output: expect.stringContaining("context deadline exceeded"),
    });
    const silent = createServer((socket) => socket.on("data", () => socket.end()));
    servers.push(silent);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port: ends } = silent.address() as AddressInfo;
    expect((await probe({ httpGet: { port: ends } })).output).toBe(`Get "http://127.0.0.1:${ends}/": EOF`);
    await expect(probe({ httpGet: { port: "80x" } })).rejects.toThrow('strconv.Atoi: parsing "80x": invalid syntax');
    const refused = await probe({ httpGet: { port: "web" } });
    expect(refused.output).toBe('Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused');
  });
});

test("TCP", async () => {
  const port = await serve(() => undefined);
  expect((await probe({ tcpSocket: { port } })).result).toBe("success");
  expect((await probe({ tcpSocket: { port: "web" } })).output).toContain("connection refused");
  // A host that no URL may have.
  expect(await probe({ tcpSocket: { port, host: "no such host" } })).toMatchObject({ result: "failure" });
});

/** grpc.health.v1.Health on a port: `bad` is not serving, `none` knows no such protocol. Gives the port. */
async function serveHealth(port: number): Promise<number> {
  const server = createHttp2Server();
  servers.push(server);
  server.on("stream", (stream: ServerHttp2Stream) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const service = Buffer.concat(chunks).subarray(7).toString();
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": service === "none" ? "12" : "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, service === "bad" ? 2 : 1]));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

test("gRPC health", async () => {
  const port = await serveHealth(0);
  const check = (service: string): Promise<ProbeOutcome> => checkGrpcHealth("127.0.0.1", port, service, 5_000);
  expect(await check("")).toEqual({ result: "success", output: "service healthy" });
  expect((await check("bad")).output).toBe('service unhealthy (responded with "NOT_SERVING")');
  expect((await check("none")).output).toContain("does not implement the grpc health protocol");
});

test("gRPC: a server that speaks something else is not reached", async () => {
  const port = await serve((_, response) => void response.end("plain"));
  expect(await checkGrpcHealth("127.0.0.1", port, "", 100)).toEqual({
    result: "failure",
    output: `timeout: failed to connect service "127.0.0.1:${port}" within 100ms: context deadline exceeded`,
  });
});

test("gRPC: a server that nobody reaches yet is tried again for as long as the probe may take", async () => {
  const port = await serve(() => undefined);
  servers.splice(0)[0]?.close();
  expect(await checkGrpcHealth("127.0.0.1", port, "", 100)).toEqual({
    result: "failure",
    output: `timeout: failed to connect service "127.0.0.1:${port}" within 100ms: context deadline exceeded`,
  });
  const checking = checkGrpcHealth("127.0.0.1", port, "", 60_000);
  await Bun.sleep(100);
  await serveHealth(port);
  expect(await checking).toEqual({ result: "success", output: "service healthy" });
}, 60_000);

describe("thresholds", () => {
  function worker(spec: Probe, outcomes: ProbeOutcome["result"][], startedAt_ms = 1) {
    const settled: ProbeResult[] = [];
    const drained = Promise.withResolvers<void>();
    const made = new ProbeWorker({
      type: "readiness",
      probe: { periodSeconds: 0.001, ...spec },
      container: { name: "c" },
      startedBefore_ms: 0,
      run: async () => {
        const result = outcomes.shift();
        if (result === undefined) {
          drained.resolve();
          return new Promise<never>(() => undefined);
        }
        return { result, output: "" };
      },
      settle: (_, result) => settled.push(result),
      tell: () => undefined,
    });
    made.update({ id: "1", running: true, startedAt_ms, started: true, podIP: "" });
    return { settled, drained: drained.promise, made };
  }

  test("a result counts when it has come often enough in a row", async () => {
    const { settled, drained, made } = worker({ failureThreshold: 2, successThreshold: 2 }, [
      "success",
      "success",
      "failure",
      "success",
      "failure",
      "failure",
    ]);
    await drained;
    made.stop();
    // First what a new container starts with.
    expect(settled).toEqual(["failure", "success", "failure"]);
  });

  test("a clock that was put back since the container started does not put its probe off", async () => {
    const { settled, drained, made } = worker({}, ["success"], Date.now() + 3_600_000);
    await drained;
    made.stop();
    expect(settled).toEqual(["failure", "success"]);
  });
});

describe("times that no timer can have", () => {
  const runsOf = async (times: Probe): Promise<number> => {
    let runs = 0;
    const worker = new ProbeWorker({
      type: "liveness",
      probe: { exec: { command: ["true"] }, ...times },
      container: { name: "c" },
      startedBefore_ms: 0,
      run: async () => {
        runs++;
        return { result: "success", output: "" };
      },
      settle: () => undefined,
      tell: () => undefined,
    });
    worker.update({ id: "a", running: true, startedAt_ms: Date.now(), started: true, podIP: "" });
    await Bun.sleep(200);
    worker.stop();
    return runs;
  };

  test("a probe does not run without a pause, and not before its delay", async () => {
    expect(await runsOf({ periodSeconds: -1 })).toBe(1);
    expect(await runsOf({ periodSeconds: 3_000_000 })).toBe(1);
    expect(await runsOf({ initialDelaySeconds: 3_000_000 })).toBe(0);
  });

  test("a probe may take as long as a timer lasts", async () => {
    const given: number[] = [];
    const runtime = {
      async execSync(_: string, __: readonly string[], timeout_ms: number) {
        given.push(timeout_ms);
        return { exitCode: 0, stdout: "", stderr: "", timedOut: false };
      },
    } as unknown as ContainerRuntime;
    for (const timeoutSeconds of [3_600_000, -1, 5])
      await runProbe(
        { exec: { command: ["true"] }, timeoutSeconds },
        { runtime, container: { name: "c" }, containerId: "id", podIP: "" },
      );
    expect(given).toEqual([2_000_000_000, 1_000, 5_000]);
  });
});
