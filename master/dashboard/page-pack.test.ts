import { expect, test } from "bun:test";
import { PagePack, pack } from "./page-pack.ts";

test("files are found in the pack, each by its path", async () => {
  const packed = pack([
    { file: { path: "index.html", contentType: "text/html", etag: '"1"' }, bytes: Buffer.from("first") },
    { file: { path: "main.js", contentType: "text/javascript", etag: '"2"' }, bytes: Buffer.from("second\n") },
  ]);
  const opened = await PagePack.open(new Blob([Buffer.from(packed)]));
  const file = opened.file("main.js");
  expect(file?.etag).toBe('"2"');
  expect(file && Buffer.from(await opened.read(file)).toString()).toBe("second\n");
  expect(opened.file("../secret")).toBeUndefined();
});
