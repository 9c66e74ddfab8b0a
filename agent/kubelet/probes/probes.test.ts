import { afterEach, describe, expect, test } from "bun:test";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Probe } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import type { ProbeResult } from "../planner/observed-pod.ts";
import { checkGrpcHealth } from "./grpc-health.ts";
import { type ProbeType, ProbeWorker } from "./probe-worker.ts";
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

/** Has time for a busy machine, unless the probe says how much. */
const probe = (probe: Probe): Promise<ProbeOutcome> =>
  runProbe(
    { timeoutSeconds: 60, ...probe },
    {
      // HTTP and TCP probes do not ask the runtime.
      runtime: undefined as unknown as ContainerRuntime,
      container: { name: "c", ports: [{ name: "web", containerPort: 1 }] },
      containerId: "id",
      podIP: "127.0.0.1",
    },
  );

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
    expect(await probe({ httpGet: { port } })).toEqual({
      result: "failure",
      output: 'Get "ftp://127.0.0.1/": unsupported protocol scheme "ftp"',
    });
    const httpHeaders = [{ name: "X-Mine", value: "a\nb" }];
    expect(await probe({ httpGet: { port, httpHeaders } })).toMatchObject({ result: "failure" });
    // Nothing is left that would end the process when its time is over.
    for (const httpGet of [{ port }, { port, httpHeaders }]) await probe({ httpGet, timeoutSeconds: 1 });
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
  const check = (service: string): Promise<ProbeOutcome> => checkGrpcHealth("127.0.0.1", port, service, 60_000);
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
}, 300_000);

describe("when a probe runs, and what comes of it", () => {
  /** A worker whose probe gives these results in turn, the last one for ever, of a container that started `age_s` ago. */
  function probing(type: ProbeType, probe: Probe, results: readonly ProbeOutcome["result"][], age_s = 0) {
    const clock = new ManualClock();
    const settled: ProbeResult[] = [];
    const ranAt_s: number[] = [];
    const worker = new ProbeWorker({
      type,
      probe,
      container: { name: "c" },
      startedBefore_ms: 0,
      run: async () => {
        ranAt_s.push(clock.now_ms() / 1000);
        return { result: results[ranAt_s.length - 1] ?? results.at(-1) ?? "success", output: "" };
      },
      settle: (_, result) => settled.push(result),
      tell: () => undefined,
      clock,
    });
    const startedAt_ms = clock.wall_ms() - age_s * 1000;
    worker.update({ id: "1", running: true, startedAt_ms, started: type !== "startup", podIP: "" });
    return { clock, settled, ranAt_s, worker };
  }

  test("a result counts when it has come often enough in a row", async () => {
    const { settled, ranAt_s, clock } = probing(
      "readiness",
      { periodSeconds: 2, failureThreshold: 2, successThreshold: 2 },
      ["success", "success", "failure", "success", "failure", "failure"],
    );
    await clock.advance(10_000);
    expect(ranAt_s).toEqual([0, 2, 4, 6, 8, 10]);
    // First what a new container starts with.
    expect(settled).toEqual(["failure", "success", "failure"]);
  });

  test("what a probe was to find out is found out once", async () => {
    const startup = probing("startup", { periodSeconds: 1 }, ["failure", "success"]);
    const liveness = probing("liveness", { periodSeconds: 1, failureThreshold: 1 }, ["success", "failure"]);
    for (const { clock, ranAt_s } of [startup, liveness]) {
      await clock.advance(10_000);
      expect(ranAt_s).toEqual([0, 1]);
    }
    expect(startup.settled).toEqual(["unknown", "success"]);
    expect(liveness.settled).toEqual(["success", "success", "failure"]);
  });

  test("a probe that hangs on a container that is gone does not keep the next one waiting", async () => {
    const clock = new ManualClock();
    const hanging = Promise.withResolvers<ProbeOutcome>();
    const settled: string[] = [];
    const worker = new ProbeWorker({
      type: "readiness",
      probe: { periodSeconds: 1, timeoutSeconds: 60 },
      container: { name: "c" },
      startedBefore_ms: 0,
      run: ({ id }) => (id === "gone" ? hanging.promise : Promise.resolve({ result: "success", output: "" })),
      settle: (id, result) => settled.push(`${id} ${result}`),
      tell: () => undefined,
      clock,
    });
    const probed = { running: true, startedAt_ms: clock.wall_ms(), started: true, podIP: "" };
    worker.update({ ...probed, id: "gone" });
    await clock.advance(1_000);
    worker.update({ ...probed, id: "next" });
    await clock.advance(1_000);
    expect(settled).toEqual(["gone failure", "next failure", "next success", "next success"]);
    // What came of it is nobody's.
    hanging.resolve({ result: "failure", output: "" });
    await clock.advance(0);
    expect(settled).toHaveLength(4);
    worker.stop();
  });

  test("a delay counts from the container's start", async () => {
    const { ranAt_s, clock } = probing("liveness", { initialDelaySeconds: 5, periodSeconds: 10 }, ["success"], 2);
    await clock.advance(15_000);
    expect(ranAt_s).toEqual([3, 13]);
  });

  test("a clock that was put back since the container started does not put its probe off", async () => {
    const { ranAt_s, clock } = probing("liveness", { initialDelaySeconds: 5 }, ["success"], -3600);
    await clock.advance(5_000);
    expect(ranAt_s).toEqual([5]);
  });

  test("one that is stopped, or whose container is, runs no more", async () => {
    const stopped = probing("liveness", { periodSeconds: 1 }, ["success"]);
    await stopped.clock.advance(1_000);
    stopped.worker.stop();
    const ended = probing("liveness", { periodSeconds: 1 }, ["success"]);
    await ended.clock.advance(1_000);
    ended.worker.update({ id: "1", running: false, startedAt_ms: 0, started: true, podIP: "" });
    for (const { clock, ranAt_s } of [stopped, ended]) {
      await clock.advance(10_000);
      expect(ranAt_s).toEqual([0, 1]);
    }
  });

  test("times that no timer can have: a probe does not run without a pause, and not before its delay", async () => {
    const runsOf = async (times: Probe): Promise<readonly number[]> => {
      const { ranAt_s, clock } = probing("liveness", times, ["success"]);
      await clock.advance(10_000);
      return ranAt_s;
    };
    expect(await runsOf({ periodSeconds: -1 })).toEqual([0, 10]);
    expect(await runsOf({ periodSeconds: 3_000_000 })).toEqual([0]);
    expect(await runsOf({ initialDelaySeconds: 3_000_000 })).toEqual([]);
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
