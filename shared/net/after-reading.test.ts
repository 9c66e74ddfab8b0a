import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterReading } from "./after-reading.ts";

const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function pair(): Promise<[Socket, Socket]> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(near, "connect");
  const [far] = await accepted;
  ends.push(
    () => near.destroy(),
    () => far.destroy(),
    () => server.close(),
  );
  return [near, far];
}

test("what came while the process was busy is heard before its time is over", async () => {
  const [near, far] = await pair();
  const outcome = Promise.withResolvers<string>();
  const cancel = afterReading(10, () => outcome.resolve("late"));
  near.once("data", () => {
    cancel();
    outcome.resolve("heard");
  });
  far.write("here");
  Bun.sleepSync(1_000);
  expect(await outcome.promise).toBe("heard");
});

test("who says nothing is late, and nobody is who was let off", async () => {
  const late = Promise.withResolvers<void>();
  let isLetOff = true;
  const cancel = afterReading(1, () => {
    isLetOff = false;
  });
  cancel();
  afterReading(1, late.resolve);
  await late.promise;
  expect(isLetOff).toBe(true);
});
