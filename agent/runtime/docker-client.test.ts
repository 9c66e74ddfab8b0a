import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "#shared/testing/until.ts";
import { linuxHost } from "../host/linux-host.ts";
import { DockerRuntime } from "./docker.ts";
import { RuntimeError } from "./runtime.ts";

/** A daemon that takes every request and answers none, as one that is stopped or hangs on its disk. */
describe("a Docker daemon that hangs", () => {
  const folder = mkdtempSync(join(tmpdir(), "hung-docker-"));
  const socketPath = join(folder, "docker.sock");
  const connections = new Set<object>();
  let server: Server;
  let runtime: DockerRuntime;

  beforeAll(async () => {
    server = createServer((connection) => {
      connections.add(connection);
      connection.resume();
      connection.once("error", () => undefined);
      connection.once("close", () => connections.delete(connection));
    });
    await new Promise<void>((done) => server.listen(socketPath, done));
    runtime = new DockerRuntime({
      socketPath,
      request_ms: 50,
      network: { attached: () => [] } as never,
      host: linuxHost(),
      resolvConfDirectory: folder,
      warn: () => undefined,
    });
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const exec = { command: ["true"], stdin: false, stdout: true, stderr: true, tty: false };
  const requests: Record<string, () => Promise<unknown>> = {
    version: () => runtime.version(),
    listContainers: () => runtime.listContainers(),
    listSandboxes: () => runtime.listSandboxes(),
    startContainer: () => runtime.startContainer("c"),
    stopContainer: () => runtime.stopContainer("c", 0),
    "stopContainer by a signal": () => runtime.stopContainer("c", 1, "SIGUSR1"),
    removeContainer: () => runtime.removeContainer("c"),
    stopSandbox: () => runtime.stopSandbox("s"),
    removeSandbox: () => runtime.removeSandbox("s"),
    updateResources: () => runtime.updateResources("c", {}),
    exec: () => runtime.exec("c", exec),
    attach: () => runtime.attach("c", { stdin: true, stdout: true, stderr: true }),
    logs: () => runtime.logs("c", { follow: false, timestamps: false }),
    portForward: () => runtime.portForward("s", 80),
    stats: () => runtime.stats("c"),
    imageStatus: () => runtime.imageStatus("busybox"),
    listImages: () => runtime.listImages(),
    removeImage: () => runtime.removeImage("busybox"),
  };

  test.each(Object.keys(requests))("holds up no %s for longer than a request may take", async (name) => {
    const error = await requests[name]?.().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RuntimeError);
    expect(error).toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(/: Docker has not answered for 0\.05 s$/),
    });
  });

  test("keeps no connection of those who gave it up", async () => {
    await until("all connections are closed", () => connections.size === 0);
  });
});
