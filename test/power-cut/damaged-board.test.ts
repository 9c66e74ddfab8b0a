import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { BoardIdentityError } from "#shared/pki/board-identity.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import { cacheName, openAgentImage } from "./agent-image.ts";

setDefaultTimeout(300_000);

const nowhere = ["https://127.0.0.1:1"];

describe("a board whose card is damaged", () => {
  let server: SecuredServer;
  let folder: string;
  const identity = (name: string): string => join(folder, "agent/identity", name);
  const damages = [
    ["zeros", (path: string) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))],
    ["empty", (path: string) => truncateSync(path, 0)],
    ["half", (path: string) => truncateSync(path, readFileSync(path).length >> 1)],
  ] as const;

  beforeAll(async () => {
    server = await startSecuredServer();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "bramble-damaged-"));
    const { checkpoint, caches } = await openAgentImage(folder, [server.url], server.joinToken, silentLog);
    const metadata = { name: "p", namespace: "default", uid: "p" };
    await checkpoint.save("pods", "p", { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [] } });
    await checkpoint.save("secrets", "p", { apiVersion: "v1", kind: "Secret", metadata });
    caches.changed(cacheName, () => [{ apiVersion: "v1", kind: "Service", metadata }]);
    await caches.stop();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test.each(damages)("knows its name by its certificate: board.json is %s", async (_, damage) => {
    damage(identity("board.json"));
    const { identity: found } = await openAgentImage(folder, nowhere, undefined, silentLog);
    expect(found.nodeName).toStartWith("board");
  });

  test.each(damages)("makes its second copy whole: spare.json is %s", async (_, damage) => {
    const whole = readFileSync(identity("spare.json"), "utf8");
    damage(identity("spare.json"));
    const { identity: found } = await openAgentImage(folder, [server.url], undefined, silentLog);
    expect(found.nodeName).toStartWith("board");
    expect(readFileSync(identity("spare.json"), "utf8")).toBe(whole);
  });

  for (const file of ["client.pem", "ca.crt"]) {
    test.each(damages)(`goes on by its second copy: ${file} is %s`, async (_, damage) => {
      damage(identity(file));
      const { identity: found } = await openAgentImage(folder, nowhere, undefined, silentLog);
      expect(found.nodeName).toStartWith("board");
    });

    test.each(damages)(
      `joins anew by a token, and says so without one: ${file} and the copy are %s`,
      async (_, damage) => {
        damage(identity(file));
        damage(identity("spare.json"));
        const without = openAgentImage(folder, nowhere, undefined, silentLog);
        await expect(without).rejects.toThrow(BoardIdentityError);
        await expect(without).rejects.toThrow("bramble token create");
        const { identity: found } = await openAgentImage(folder, [server.url], server.joinToken, silentLog);
        expect(found.nodeName).toStartWith("board");
      },
    );
  }

  test.each(damages)(
    "sets broken checkpoints aside, a bounded number, and takes the master's: %s",
    async (_, damage) => {
      for (let round = 0; round < 3; round++) {
        const before = await openAgentImage(folder, nowhere, undefined, silentLog);
        const metadata = { name: "p", namespace: "default", uid: "p" };
        await before.checkpoint.save("pods", "p", {
          apiVersion: "v1",
          kind: "Pod",
          metadata,
          spec: { containers: [] },
        });
        for (const kind of ["pods", "secrets"])
          for (const name of readdirSync(join(folder, "agent/checkpoint", kind)))
            damage(join(folder, "agent/checkpoint", kind, name));
        for (const name of readdirSync(join(folder, "agent/caches"))) damage(join(folder, "agent/caches", name));
        const { checkpoint, caches } = await openAgentImage(folder, nowhere, undefined, silentLog);
        expect(await checkpoint.load("pods")).toEqual([]);
        expect(await checkpoint.load("secrets")).toEqual([]);
        expect(await caches.load(cacheName)).toBeUndefined();
      }
      const aside = readdirSync(join(folder, "agent/checkpoint")).filter((name) => name.startsWith("broken"));
      expect(aside.sort()).toEqual(["broken-pods", "broken-secrets"]);
    },
  );

  test("a broken key of the checkpoint costs the checkpoint and no more", async () => {
    writeFileSync(identity("checkpoint.key"), Buffer.alloc(45));
    const { checkpoint } = await openAgentImage(folder, nowhere, undefined, silentLog);
    expect(await checkpoint.load("secrets")).toEqual([]);
    expect(await checkpoint.load("pods")).toHaveLength(1);
  });
});
