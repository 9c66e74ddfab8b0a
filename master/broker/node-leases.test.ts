import { expect, test } from "bun:test";
import { leases, nodes } from "#shared/api/resources.ts";
import { silentLog } from "#shared/client/log.ts";
import { nodeLeaseNamespace, type SessionMessage } from "#shared/heartbeat/messages.ts";
import { MemoryClient } from "../controllers/testing/memory-client.ts";
import { NodeLeases } from "./node-leases.ts";

test("a node that has been deleted is forgotten, one that is there or has a session is not", async () => {
  const client = new MemoryClient();
  const sessions = new NodeLeases(client, silentLog);
  const left: SessionMessage = { state: "leaving", bootId: "a", session: 1 };
  const living: SessionMessage = { state: "online", bootId: "a", session: 1 };
  const hasLease = async (name: string): Promise<boolean> =>
    (await client.list(leases, { namespace: nodeLeaseNamespace })).items.some(({ metadata }) => metadata.name === name);
  /** A message that is known already is not written again. */
  const isRemembered = async (name: string, message: SessionMessage): Promise<boolean> => {
    await client.delete(leases, { namespace: nodeLeaseNamespace, name });
    await sessions.take(name, message);
    return !(await hasLease(name));
  };

  await client.create(nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "there" }, spec: {} });
  await sessions.take("there", left);
  await sessions.take("living", living);
  await sessions.take("deleted", left);
  expect(await isRemembered("deleted", left)).toBe(true);
  await sessions.take("deleted", { ...left, session: 2 });
  for (let board = 0; board < 64; board++) await sessions.take(`board-${board}`, left);

  expect(await isRemembered("there", left)).toBe(true);
  expect(await isRemembered("living", living)).toBe(true);
  expect(await isRemembered("deleted", { ...left, session: 2 })).toBe(false);
});
