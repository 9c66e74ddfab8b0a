import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { constants, createDeflate } from "node:zlib";
import { dictionary, HeaderReader, HeaderWriter } from "./header-block.ts";

test("the dictionary is the specification's", () => {
  expect(dictionary).toHaveLength(1423);
  expect(createHash("sha256").update(dictionary).digest("hex")).toBe(
    "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02",
  );
});

test("what is written is read, block after block of one stream", async () => {
  const writer = new HeaderWriter();
  const reader = new HeaderReader();
  for (const headers of [{ streamtype: "data", port: "80" }, {}, { "x-long": "v".repeat(5000) }]) {
    expect(await reader.read(writer.write(headers))).toEqual(headers);
  }
  reader.close();
});

test("compressed blocks of another implementation are read", async () => {
  const deflate = createDeflate({ dictionary, flush: constants.Z_SYNC_FLUSH });
  const reader = new HeaderReader();
  for (const value of ["error", "data"]) {
    const plain = Buffer.concat([
      Buffer.from([0, 0, 0, 1, 0, 0, 0, 10]),
      Buffer.from("StreamType"),
      Buffer.from([0, 0, 0, value.length]),
      Buffer.from(value),
    ]);
    const chunks: Buffer[] = [];
    const collect = (chunk: Buffer): void => void chunks.push(chunk);
    deflate.on("data", collect);
    await new Promise<void>((done) => deflate.write(plain, () => deflate.flush(constants.Z_SYNC_FLUSH, done)));
    deflate.removeListener("data", collect);
    expect(await reader.read(Buffer.concat(chunks))).toEqual({ streamtype: value });
  }
  reader.close();
});

test("a block that lies about its lengths is refused", async () => {
  const reader = new HeaderReader();
  const good = new HeaderWriter().write({ a: "b" });
  good.writeUInt32BE(1000, good.length - 10);
  await expect(reader.read(good)).rejects.toThrow("cut short");
});
