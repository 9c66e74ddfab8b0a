import { expect, test } from "bun:test";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { UpgradeService, type UpgradeServiceOptions } from "./upgrade-service.ts";

test("who leaves while it is found out who asks is known to have left, and its request is recorded as over", async () => {
  const admitting = Promise.withResolvers<void>();
  const isGone = Promise.withResolvers<boolean>();
  const stages: string[] = [];
  const audit = { started: () => stages.push("started"), complete: () => stages.push("complete") };
  const parts = {
    log: () => undefined,
    connections: { requestBegan: () => undefined, requestEnded: () => undefined },
    entrance: {
      namesOf: () => ({ headers: {}, auditId: "" }),
      async admit() {
        await admitting.promise;
        return { user: { name: "somebody", groups: [] }, audit };
      },
      statusOf: (error: unknown) => error,
    },
    server: {
      actorOf: (_asked: unknown, user: unknown) => user,
      async handle({ signal }: { readonly signal: AbortSignal }) {
        isGone.resolve(signal.aborted);
        return "handled";
      },
    },
  };
  const service = new UpgradeService(parts as unknown as UpgradeServiceOptions);
  const socket = new PassThrough();
  const url = "/api/v1/namespaces/default/pods/web/exec";
  const request = { method: "GET", url, headers: {}, rawHeaders: [], socket } as unknown as IncomingMessage;
  const served = service.serve(request, socket, Buffer.of());
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
  admitting.resolve();
  expect(await isGone.promise).toBe(true);
  await served;
  expect(stages).toEqual(["started", "complete"]);
});
