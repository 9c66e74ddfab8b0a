import { expect, test } from "bun:test";
import { serveContent } from "./serve-content.ts";

const modified_ms = Date.parse("Mon, 02 Mar 2026 10:00:00 GMT") + 700;
const body = Buffer.from("0123456789");

function ask(headers: Record<string, string>, method = "GET") {
  return serveContent(
    { method, headers },
    {
      headers: { Etag: '"a"', "Content-Type": "text/x" },
      modified_ms,
      whole: async () => ({ headers: {}, body }),
      bytes: async () => body,
    },
  );
}

const textOf = (answer: Awaited<ReturnType<typeof ask>>): string => Buffer.from(answer.body ?? []).toString();

test("the whole is sent with what it can be asked for again by", async () => {
  expect(await ask({})).toEqual({
    status: 200,
    headers: {
      Etag: '"a"',
      "Content-Type": "text/x",
      "Last-Modified": "Mon, 02 Mar 2026 10:00:00 GMT",
      "Accept-Ranges": "bytes",
    },
    body,
  });
});

test.each([
  ["if-none-match", '"b", W/"a"', 304],
  ["if-none-match", '"b"', 200],
  ["if-none-match", 'bare, "a"', 200],
  ["if-none-match", "*", 304],
  ["if-match", '"b", "a"', 200],
  ["if-match", 'W/"a"', 412],
  ["if-modified-since", "Mon, 02 Mar 2026 10:00:00 GMT", 304],
  ["if-modified-since", "Mon Mar  2 10:00:00 2026", 304],
  ["if-modified-since", "Monday, 02-Mar-26 09:59:59 GMT", 200],
  ["if-modified-since", "2026-03-02T10:00:00Z", 200],
  ["if-unmodified-since", "Mon, 02 Mar 2026 09:59:59 GMT", 412],
])("%s: %s is answered %d", async (name, value, status) => {
  expect((await ask({ [name]: value })).status).toBe(status);
});

test("an entity tag is asked before a date, and nothing but reading is answered by what is known", async () => {
  expect((await ask({ "if-none-match": '"b"', "if-modified-since": "Mon, 02 Mar 2026 10:00:00 GMT" })).status).toBe(
    200,
  );
  expect((await ask({ "if-none-match": '"a"' }, "POST")).status).toBe(412);
});

test.each([
  ["bytes=2-4", "234", "bytes 2-4/10"],
  ["bytes=8-", "89", "bytes 8-9/10"],
  ["bytes=-3", "789", "bytes 7-9/10"],
  ["bytes=7-99", "789", "bytes 7-9/10"],
  ["bytes=99-,1-1", "1", "bytes 1-1/10"],
])("the part %s", async (range, text, which) => {
  const answer = await ask({ range });
  expect([answer.status, textOf(answer), answer.headers["Content-Range"]]).toEqual([206, text, which]);
});

test("several parts come with the range and the type of each; more than the whole is the whole", async () => {
  const answer = await ask({ range: "bytes=0-1,9-" });
  const [, boundary = ""] = /^multipart\/byteranges; boundary=(\w+)$/.exec(answer.headers["Content-Type"] ?? "") ?? [];
  const head = (which: string): string =>
    `--${boundary}\r\nContent-Range: bytes ${which}/10\r\nContent-Type: text/x\r\n\r\n`;
  expect(textOf(answer)).toBe(`${head("0-1")}01\r\n${head("9-9")}9\r\n--${boundary}--\r\n`);
  expect((await ask({ range: "bytes=0-,0-" })).status).toBe(200);
});

test.each([
  ["bytes=10-", "invalid range: failed to overlap\n", "bytes */10"],
  ["bytes=4-3", "invalid range\n", undefined],
  ["bytes=x", "invalid range\n", undefined],
  ["lines=1-2", "invalid range\n", undefined],
])("there is no %s", async (range, text, which) => {
  const answer = await ask({ range });
  expect([answer.status, textOf(answer), answer.headers["Content-Range"]]).toEqual([416, text, which]);
  expect(answer.headers["Etag"]).toBeUndefined();
});

test("a part of other content than the client has is not sent", async () => {
  expect((await ask({ range: "bytes=0-1", "if-range": '"a"' })).status).toBe(206);
  expect((await ask({ range: "bytes=0-1", "if-range": "Mon, 02 Mar 2026 10:00:00 GMT" })).status).toBe(206);
  for (const other of ['"b"', 'W/"a"', "Mon, 02 Mar 2026 10:00:01 GMT", "bare"]) {
    expect((await ask({ range: "bytes=0-1", "if-range": other })).status).toBe(200);
  }
});
