import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { GrpcServer, type UnaryMethod } from "#shared/grpc/server.ts";
import { KeptDetails } from "../kept-details.ts";
import { CriClient } from "./client.ts";
import { CriContainers } from "./containers.ts";
import type { SandboxDetails } from "./details.ts";
import * as wire from "./messages.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** Containers of a runtime that answers StopContainer so. */
async function containersOf(stopContainer: UnaryMethod): Promise<CriContainers> {
  const folder = mkdtempSync(join(tmpdir(), "bramble-cri-"));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  const socket = join(folder, "cri.sock");
  const server = new GrpcServer({ unary: { [`${wire.runtimeService}StopContainer`]: stopContainer } });
  ends.push(() => server.stop());
  await server.listenUnix(socket);
  const client = new CriClient(socket);
  ends.push(() => client.close());
  const materials = {
    sandboxes: new KeptDetails<SandboxDetails>(async () => undefined),
    imageStatus: async () => undefined,
  };
  const containers = new CriContainers(client, { logRoot: folder, warn: () => undefined }, materials);
  ends.push(() => containers.close());
  return containers;
}

test("a container that ends while it is being stopped is stopped", async () => {
  const asked: string[] = [];
  const containers = await containersOf((request) => {
    asked.push(wire.StopContainerRequest.decode(request).id);
    if (asked.length === 1) throw new GrpcError(GrpcCode.Unknown, "failed to kill container: ttrpc: closed", true);
    return wire.Empty.encode({});
  });
  await containers.stop("sleeper", 30);
  expect(asked).toEqual(["sleeper", "sleeper"]);
});

test("one that cannot be stopped is told", async () => {
  const containers = await containersOf(() => {
    throw new GrpcError(GrpcCode.Unknown, "no shim answers", true);
  });
  await expect(containers.stop("sleeper", 0)).rejects.toThrow("stop container sleeper: no shim answers");
});
