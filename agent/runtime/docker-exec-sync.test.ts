import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execSync } from "./docker-exec-sync.ts";

test.each(["create", "start", "inspect"])(
  "a daemon that never answers to %s costs no probe more than its patience",
  async (silentAt) => {
    const folder = mkdtempSync(join(tmpdir(), "silent-docker-"));
    const socketPath = join(folder, "docker.sock");
    const answers: Record<string, (response: ServerResponse) => unknown> = {
      create: (response) => response.writeHead(201, { "content-type": "application/json" }).end('{"Id":"e"}'),
      start: (response) => response.end(),
      inspect: (response) => response.end('{"Running":false,"ExitCode":0,"Pid":1}'),
    };
    const server = createServer((request, response) => {
      const step = request.url?.endsWith("/start") ? "start" : request.method === "GET" ? "inspect" : "create";
      if (step !== silentAt) answers[step]?.(response);
    });
    await new Promise<void>((done) => server.listen(socketPath, done));
    await expect(execSync(socketPath, "c", ["true"], 10, 1024, 50)).rejects.toMatchObject({
      kind: "unavailable",
      message: "exec in container c: Docker has not answered for 0.05 s",
    });
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  },
);
