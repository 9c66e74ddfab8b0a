import { expect, test } from "bun:test";
import { PassThrough, type Readable } from "node:stream";
import { EarlyOutput } from "./docker-early-output.ts";

async function held(): Promise<{ early: EarlyOutput; connection: PassThrough }> {
  const connection = new PassThrough();
  const early = new EarlyOutput(() => Promise.resolve(connection));
  early.expect("c");
  await early.hold("c");
  return { early, connection };
}

async function text(stream: Readable | undefined): Promise<string> {
  let all = "";
  for await (const chunk of stream ?? []) all += String(chunk);
  return all;
}

test("the first who comes gets what was said before and after, the next nothing", async () => {
  const { early, connection } = await held();
  connection.write("before ");
  await Bun.sleep(0);
  const taken = early.take("c");
  connection.end("after");
  expect(await text(taken?.output)).toBe("before after");
  expect(early.take("c")).toBeUndefined();
});

test("what has ended is held as well", async () => {
  const { early, connection } = await held();
  connection.end("all");
  await Bun.sleep(0);
  expect(await text(early.take("c")?.output)).toBe("all");
});

test("who detaches has an end, and the connection goes", async () => {
  const { early, connection } = await held();
  const taken = early.take("c");
  taken?.detach();
  expect(await text(taken?.output)).toBe("");
  expect(connection.destroyed).toBe(true);
});

test("more than 64 kB is not held, nor the output of a container that is removed", async () => {
  const much = await held();
  much.connection.write(Buffer.alloc(64 * 1024 + 1));
  await Bun.sleep(0);
  expect(much.early.take("c")).toBeUndefined();
  expect(much.connection.destroyed).toBe(true);
  const removed = await held();
  removed.early.drop("c");
  expect(removed.early.take("c")).toBeUndefined();
  expect(removed.connection.destroyed).toBe(true);
});

test("only what is expected is attached to", async () => {
  const early = new EarlyOutput(() => Promise.reject(new Error("attached")));
  await early.hold("c");
  expect(early.take("c")).toBeUndefined();
});
